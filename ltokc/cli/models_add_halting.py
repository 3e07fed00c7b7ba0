"""`ltokc models add-halting`: a fitted halting head into a model's folder, with its entry in the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ltokc.cli import extras, options
from ltokc.cli.extras import need
from ltokc.jobs.paths import refuse_existing


class LooksTable(click.ParamType):
    """q:error pairs, q rising between 0 and 1, errors falling and above 0: 0.1:80,0.9:8."""

    name = "table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[list[float]]:
        try:
            table = [[float(n) for n in pair.split(":", 1)] for pair in str(value).split(",")]
            good = all(0 < q < 1 and error > 0 for q, error in table)
        except ValueError:
            good = False
        if not good or any(b[0] <= a[0] or b[1] >= a[1] for a, b in zip(table, table[1:], strict=False)):
            self.fail("pairs q:error, q rising between 0 and 1, errors falling, such as 0.1:80,0.9:8", param, ctx)
        return table


@click.command("add-halting")
@click.argument("head", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@extras.models
@extras.name
@click.option("--looks", type=LooksTable(), default="0.1:80,0.9:8", show_default=True, metavar="Q:ERROR,...",
              help="Error of SSIMULACRA2 that a -q stands for; 80 is -61 points, 8 is 42.")  # fmt: skip
@options.overwrite
def add_halting(head: Path, folder: Path, name: str, looks: list[list[float]], overwrite: bool) -> None:
    """Give a model its halting HEAD (halting.safetensors of ltokc train-halting).

    Copies it into the model's folder and enters it in MODELS/registry.json. From then on -q means a quality that
    every picture reaches, not a number of levels.

    \b
    Examples:
      ltokc models add-halting runs/halting/halting.safetensors --models models --name mine
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export import package

    refuse_existing(str(folder / name / "halting.safetensors"), overwrite)
    package.add_halting(head, folder, name, looks)
    click.echo(f"{folder / name}: has its halting head", err=True)

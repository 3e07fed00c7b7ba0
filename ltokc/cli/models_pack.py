"""`ltokc models pack`: a training run's weights to a model folder with its entry in the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ltokc.atomic import Exists
from ltokc.cli import options
from ltokc.cli.extras import need
from ltokc.jobs.paths import refusal, refuse_existing


class QualityTable(click.ParamType):
    """q:levels pairs, rising: 0:1,0.6:6.5,1:11."""

    name = "table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[list[float]]:
        try:
            table = [[float(n) for n in pair.split(":", 1)] for pair in str(value).split(",")]
        except ValueError:
            table = []
        ends = table and len(table[0]) == 2 and table[0][0] == 0 and table[-1][0] == 1
        if not ends or any(len(b) != 2 or b[0] <= a[0] or b[1] < a[1] for a, b in zip(table, table[1:], strict=False)):
            self.fail("pairs q:levels from 0 to 1, rising, such as 0:1,0.6:6.5,1:11", param, ctx)
        return table


@click.command("pack")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--models", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
              help="Folder with registry.json, or where it shall be.")  # fmt: skip
@click.option("--name", required=True, help="Name of the model and of its folder.")
@click.option("--id", "model_id", type=click.IntRange(min=1), required=True,
              help="Its number in files, never used twice; 134217728 and up: not published.")  # fmt: skip
@click.option(
    "--quality", type=QualityTable(), required=True, metavar="Q:LEVELS,...", help="What -q means for this model."
)
@click.option(
    "--license", "license_", default="see the model's README.md", show_default=True, help="Licence of the weights."
)
@click.option("--description", default="", help="One line.")
@click.option("--default", is_flag=True, help="Make it the registry's default; the first model of one always is.")
@options.overwrite
def pack(
    weights: Path, folder: Path, name: str, model_id: int, quality: list[list[float]], license_: str,
    description: str, default: bool, overwrite: bool,
) -> None:  # fmt: skip
    """Make a model folder of a training run's WEIGHTS (ema.safetensors).

    Writes model.safetensors and the graphs over it (*.onnx) into MODELS/NAME, and the entry in MODELS/registry.json;
    prior-float.safetensors beside them is for training on. With --overwrite a model of the same id is replaced: do that
    only before it is released. The halting head comes next: ltokc train-halting.

    \b
    Examples:
      ltokc models pack runs/a/ema.safetensors --models models --name mine --id 134217728 \\
            --quality 0:1,0.6:6.5,1:11
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export.package import FILES, FLOAT_PRIOR, Listing, package
    from ltokc.zoo.registry import REGISTRY, read_registry

    for file in (*FILES, FLOAT_PRIOR):
        refuse_existing(str(folder / name / file), overwrite)
    listed = {entry.id for entry in read_registry(folder / REGISTRY)} if (folder / REGISTRY).exists() else set()
    if model_id in listed and not overwrite:
        raise Exists(refusal(f"model {model_id} in {folder / REGISTRY}"))

    entry = package(weights, folder, Listing(name, model_id, quality, license_, description, default))
    click.echo(f"{folder / name}: {sum(f['bytes'] for f in entry['files'].values()):,} bytes", err=True)

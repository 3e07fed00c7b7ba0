"""`ltokc models add-rounding`: a rounding kernel into a model's folder, with its entry in the registry."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras, options
from ltokc.cli.extras import need
from ltokc.jobs.paths import refuse_existing


@click.command("add-rounding")
@click.argument("kernel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@extras.models
@extras.name
@options.overwrite
def add_rounding(kernel: Path, folder: Path, name: str, overwrite: bool) -> None:
    """Give a model its rounding KERNEL (rounding.safetensors of ltokc models fit-rounding).

    Copies it into the model's folder and enters it in MODELS/registry.json. From then on -e 1 rounds digits together.
    Files that exist stay as they are and decode as before.

    \b
    Examples:
      ltokc models add-rounding runs/rounding/rounding.safetensors --models models --name mine
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export import package

    refuse_existing(str(folder / name / "rounding.safetensors"), overwrite)
    package.add_rounding(kernel, folder, name)
    click.echo(f"{folder / name}: rounds digits together", err=True)

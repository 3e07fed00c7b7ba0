"""`ltokc models add-colour`: what digits do to colour, into a model's folder, with its entry in the registry."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras, options
from ltokc.cli.extras import need
from ltokc.jobs.paths import refuse_existing


@click.command("add-colour")
@click.argument("response", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@extras.models
@extras.name
@options.overwrite
def add_colour(response: Path, folder: Path, name: str, overwrite: bool) -> None:
    """Give a model its RESPONSE of colours to digits (colour.safetensors of ltokc models fit-colour).

    Copies it into the model's folder and enters it in MODELS/registry.json. From then on -e 1 and more choose digits
    for the colour of large areas. Files that exist stay as they are and decode as before.

    \b
    Examples:
      ltokc models add-colour runs/colour/colour.safetensors --models models --name mine
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export import package

    refuse_existing(str(folder / name / "colour.safetensors"), overwrite)
    package.add_colour(response, folder, name)
    click.echo(f"{folder / name}: chooses digits for colour", err=True)

"""`ltokc models add-generator`: a trained generator into a model's folder, with its entry in the registry."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras, options
from ltokc.cli.extras import need
from ltokc.jobs.paths import refuse_existing


@click.command("add-generator")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@extras.models
@extras.name
@options.overwrite
def add_generator(weights: Path, folder: Path, name: str, overwrite: bool) -> None:
    """Give a model its generator, WEIGHTS (generative.safetensors of ltokc train-generative).

    Copies them into the model's folder, writes the graph beside them, and enters both in MODELS/registry.json. From
    then on files of the model can be decoded with --decoder generative.

    \b
    Examples:
      ltokc models add-generator runs/g/generative.safetensors --models models --name mine
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export import package

    refuse_existing(str(folder / name / "generative.safetensors"), overwrite)
    package.add_generator(weights, folder, name)
    click.echo(f"{folder / name}: has its generator", err=True)

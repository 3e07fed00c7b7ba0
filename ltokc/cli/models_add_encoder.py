"""`ltokc models add-encoder`: a better encoder into a model's folder; files stay readable."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.extras import need


@click.command("add-encoder")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@extras.models
@extras.name
def add_encoder(weights: Path, folder: Path, name: str) -> None:
    """Give a model another encoder: that of WEIGHTS (ema.safetensors of a recipe with train = "encoder" or "queries").

    Takes only what chooses tokens, so that old files decode as before and the model keeps its id. The halting head
    was fitted to the encoder before: fit it again (ltokc models fit-halting).

    \b
    Examples:
      ltokc models add-encoder runs/e/ema.safetensors --models models --name mine
    """
    need("packing", "onnx", "torch")
    from ltokc.train.export import encoder

    encoder.add_encoder(weights, folder, name)
    click.echo(f"{folder / name}: has its encoder", err=True)

"""`ltokc models fit-colour`: what a decoder's coarse digits do to colour; needs the `train` extra (torch)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.console import LOUD
from ltokc.cli.extras import need, tars_in


@click.command("fit-colour")
@click.argument("model")
@extras.shards
@click.option("--out", type=extras.new_folder, required=True, help="Folder of the run: colour.safetensors.")
@extras.cache
@click.option("--pictures", "count", type=click.IntRange(min=1), default=60, show_default=True, metavar="N",
              help="Pictures to decode.")  # fmt: skip
@extras.held_out
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of pictures and of digits.")
@extras.verbose
def fit_colour(
    model: str, shards: Path, out: Path, cache: Path | None, count: int, held_out: int, seed: int, verbose: int
) -> None:  # fmt: skip
    """Fit how the digits of MODEL (name or id) move the colour of large areas, by decodes of training pictures.

    About eight decodes per picture. `ltokc models add-colour` puts OUT/colour.safetensors into the model's folder.

    \b
    Examples:
      ltokc models fit-colour mine --shards shards --out runs/colour
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("training", "torch")
    from safetensors.numpy import save_file

    from ltokc.train.colour import fit
    from ltokc.train.data.pictures import Pictures
    from ltokc.train.halting.pictures import variants
    from ltokc.zoo.model import open_model

    opened = open_model(model)
    out.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(tars, cache or out / "cache", held_out)
    found = fit(variants(pictures, count, seed), opened.networks(), seed)
    place = out / "colour.safetensors"
    save_file(found.tensors(), place, {"model": opened.entry.name, "pictures": str(count)})
    click.echo(f"{place}: fitted to {count} pictures", err=True)

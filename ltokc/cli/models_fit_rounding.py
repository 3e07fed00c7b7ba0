"""`ltokc models fit-rounding`: how a decoder's digits act together; needs the `train` extra (torch)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.console import LOUD
from ltokc.cli.extras import need, tars_in


@click.command("fit-rounding")
@click.argument("model")
@extras.shards
@click.option("--out", type=extras.new_folder, required=True, help="Folder of the run: rounding.safetensors.")
@extras.cache
@click.option("--crops", type=click.IntRange(min=1), default=96, show_default=True, metavar="N",
              help="Crops of 256x256, one a picture.")  # fmt: skip
@click.option("--draws", type=click.IntRange(min=1), default=6, show_default=True, metavar="N",
              help="Draws of random flips a crop.")  # fmt: skip
@extras.held_out
@click.option("--seed", type=int, default=0, show_default=True, help="Of pictures, crops, depths and flips.")
@extras.verbose
def fit_rounding(
    model: str, shards: Path, out: Path, cache: Path | None, crops: int, draws: int, held_out: int, seed: int,
    verbose: int,
) -> None:  # fmt: skip
    """Fit the rounding kernel of MODEL (name or id): how flips of digits change each other's gradients.

    Also measures how large gradients get, from which add-rounding makes their way back in 8-bit integers.

    Takes about two seconds of a core a crop. `ltokc models add-rounding` puts OUT/rounding.safetensors into the model's
    folder.

    \b
    Examples:
      ltokc models fit-rounding mine --shards shards --out runs/rounding
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("training", "torch")
    from dataclasses import replace

    import numpy as np

    from ltokc.train.data.pictures import Pictures
    from ltokc.train.rounding.fit import fitted
    from ltokc.train.rounding.peaks import peaks_of
    from ltokc.train.rounding.samples import cropped, large_enough, sample
    from ltokc.zoo.model import open_model

    opened = open_model(model)
    networks = opened.networks()
    out.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(tars, cache or out / "cache", held_out)
    chosen = np.random.default_rng(seed).permutation(large_enough(pictures))[:crops]
    cut = (cropped(pictures[i], np.random.default_rng((seed, int(i)))) for i in chosen)
    found = (sample(networks, pictures[i], draws, np.random.default_rng((seed, int(i)))) for i in chosen)
    kernel = replace(fitted(found, opened.levels), peaks=peaks_of(opened, cut, np.random.default_rng(seed)))
    place = out / "rounding.safetensors"
    about = {"model": opened.entry.name, "crops": str(len(chosen)), "draws": str(draws), "seed": str(seed)}
    kernel.save(place, about)
    click.echo(f"{place}: fitted to {len(chosen)} crops, {kernel.zeros:.0%} of its numbers are zero", err=True)

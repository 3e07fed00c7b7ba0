"""`ltokc models prune`: units that never fire out of the graphs that encode; needs the `train` extra (torch, onnx)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.console import LOUD
from ltokc.cli.extras import need, tars_in


@click.command("prune")
@extras.models
@extras.name
@extras.shards
@click.option("--cache", type=extras.new_folder, help="Folder for the decoded pictures.  [default: a temporary one]")
@click.option("--crops", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
              help="Crops of 256x256, one a picture.")  # fmt: skip
@extras.held_out
@click.option("--seed", type=int, default=0, show_default=True, help="Of pictures, crops and depths.")
@extras.verbose
def prune(
    folder: Path, name: str, shards: Path, cache: Path | None, crops: int, held_out: int, seed: int, verbose: int
) -> None:
    """Leave out what a model computes for nothing when it encodes: units that fire on no crop.

    Training leaves some behind. Decoders keep all of their units, so that files decode as before. Takes about a tenth
    of a second of a core a crop. A new encoder (ltokc models add-encoder) brings all units back.

    \b
    Examples:
      ltokc models prune --models models --name mine --shards shards
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("packing", "onnx", "torch")
    from tempfile import TemporaryDirectory

    import numpy as np

    from ltokc.tokenizer.nn.packed import load_packed
    from ltokc.train.data.pictures import Pictures
    from ltokc.train.export import encoder, package
    from ltokc.train.pruning.firing import silent_in
    from ltokc.train.rounding.samples import cropped, large_enough
    from ltokc.zoo.weights import WEIGHTS

    place = folder / package.entry_of(package.registry_of(folder), folder, name)["folder"]
    net, rng = load_packed(place / WEIGHTS), np.random.default_rng(seed)
    with TemporaryDirectory() as temporary:
        pictures = Pictures(tars, cache or Path(temporary), held_out)
        chosen = rng.permutation(large_enough(pictures))[:crops]
        silent = silent_in(net, (cropped(pictures[i], rng) for i in chosen), rng)
        del pictures
    encoder.prune(folder, name, silent)
    units = sum(map(len, silent.values()))
    click.echo(f"{place}: {units} units in {len(silent)} blocks fire on none of {len(chosen)} crops", err=True)

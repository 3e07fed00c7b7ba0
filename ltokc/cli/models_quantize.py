"""`ltokc models quantize`: graphs in 8-bit integers for a model; needs the `train` extra (torch, onnx)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.console import LOUD
from ltokc.cli.extras import need, tars_in


@click.command("quantize")
@extras.models
@extras.name
@extras.shards
@click.option("--cache", type=extras.new_folder, help="Folder for the decoded pictures.  [default: a temporary one]")
@click.option("--crops", type=click.IntRange(min=1), default=360, show_default=True, metavar="N",
              help="Crops of 256x256, one a picture.")  # fmt: skip
@extras.held_out
@click.option("--seed", type=int, default=0, show_default=True, help="Of pictures, crops and depths.")
@extras.verbose
def quantize(
    folder: Path, name: str, shards: Path, cache: Path | None, crops: int, held_out: int, seed: int, verbose: int
) -> None:
    """Give a model graphs whose 3x3 convolutions are in 8-bit integers, which takes a quarter less time.

    How large values get is measured on the crops. Files stay as they are, pixels differ by one or two of 255 mostly,
    and `--precision exact` goes on using the graphs in floating point. Takes about a seventh of a second of a core a
    crop. A new encoder (ltokc models add-encoder) takes these graphs away, since they no longer fit.

    \b
    Examples:
      ltokc models quantize --models models --name mine --shards shards
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("packing", "onnx", "torch")
    need("measuring", "onnxruntime")
    from tempfile import TemporaryDirectory

    import numpy as np

    from ltokc.tokenizer.eight_bit import FILE
    from ltokc.train import eight_bit
    from ltokc.train.data.pictures import Pictures
    from ltokc.train.export import package
    from ltokc.train.rounding.samples import cropped, large_enough

    place = folder / package.entry_of(package.registry_of(folder), folder, name)["folder"]
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as temporary:
        pictures = Pictures(tars, cache or Path(temporary), held_out)
        chosen = rng.permutation(large_enough(pictures))[:crops]
        found = eight_bit.measured(place, (cropped(pictures[i], rng) for i in chosen), rng)
        del pictures
        eight_bit.save(found, Path(temporary) / FILE, {"crops": str(len(chosen)), "seed": str(seed)})
        package.add_eight_bit(Path(temporary) / FILE, folder, name)
    blocks = sum(map(len, found.values()))
    click.echo(f"{place}: {blocks} blocks in 8-bit integers, measured on {len(chosen)} crops", err=True)

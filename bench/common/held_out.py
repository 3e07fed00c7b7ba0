"""Pictures of the shards that no training saw, as PNG files for the other benchmarks.

    python -m bench held-out --shards SHARDS --cache CACHE --count 20 --out FOLDER

Recipes leave the last 70 pictures of the shards aside; the first `count` of those are written.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from bench.common import options


def held_out(shards: Path, cache: Path, kept: int, count: int) -> dict[str, np.ndarray]:
    """The first `count` of the last `kept` pictures of the shards: name -> (H, W, 3) uint8."""
    from ltokc.train.data.pictures import Pictures

    found = Pictures(sorted(shards.glob("*.tar")), cache, kept)
    return {f"held-out-{i:02d}": np.ascontiguousarray(found.read(found.held_out[i])) for i in range(count)}


@options.command()
@options.shards()
@options.cache()
@options.held_out()
@options.count(20, "How many of these to write.")
@click.option("--out", type=options.NEW_FOLDER, required=True, help="Folder to write to.")
def main(shards: Path, cache: Path, kept: int, count: int, out: Path) -> None:
    """Write held-out pictures as PNG files."""
    out.mkdir(parents=True, exist_ok=True)
    for name, rgb in held_out(shards, cache, kept, count).items():
        Image.fromarray(rgb).save(out / f"{name}.png")


if __name__ == "__main__":
    main()

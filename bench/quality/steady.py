"""Does a higher quality give more bytes and a better look?  Every step of -q from 0 to 1, picture by picture.

    python -m bench steady --images FOLDER --out steady.json

A step is a fall where the file is smaller, or its SSIMULACRA2 lower, than that of a lower quality; small ones are kept
too, and counted from half a per cent and half a point on.  A run that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, commit, model_name, write_report
from bench.common.resume import Row, Unfinished
from ltokc import codec
from ltokc.metrics.ssimulacra2 import Reference

LEAST_BYTES, LEAST_POINTS = 0.005, 0.5  # share of the bytes, points of SSIMULACRA2, from which on a fall counts


def curve(path: Path, steps: int) -> Row:
    """Bytes and looks of a picture at all qualities."""
    image = load_rgb(path)
    reference = Reference(np.asarray(image))
    qualities, sizes, looks = [step / steps for step in range(steps + 1)], [], []
    for quality in qualities:
        data = codec.encode(image, quality)
        sizes.append(len(data))
        looks.append(round(reference.score(np.asarray(codec.decode(data).convert("RGB"))), 2))
    return {"name": path.stem, "qualities": qualities, "bytes": sizes, "looks": looks} | falls(qualities, sizes, looks)


def falls(qualities: list[float], sizes: list[int], looks: list[float]) -> Row:
    """Where bytes and looks are below those of a lower quality: quality and by how much."""
    smaller = [
        [quality, round(1 - size / max(sizes[:i]), 4)]
        for i, (quality, size) in enumerate(zip(qualities, sizes, strict=True))
        if i and size < (1 - LEAST_BYTES) * max(sizes[:i])
    ]
    worse = [
        [quality, round(max(looks[:i]) - look, 2)]
        for i, (quality, look) in enumerate(zip(qualities, looks, strict=True))
        if i and look < max(looks[:i]) - LEAST_POINTS
    ]
    return {"smaller": smaller, "worse": worse}


@options.command()
@options.images()
@click.option("--steps", default=50, show_default=True, help="Steps from 0 to 1.")
@click.option("--names", multiple=True, help="Only pictures whose names start so.")
@options.out(required=True)
def main(images: Path, steps: int, names: tuple[str, ...], out: Path) -> None:
    """Measure bytes and looks over all qualities."""
    unfinished = Unfinished(out, {"commit": commit(), "changes": changes(), "steps": steps, "names": names})
    found = unfinished.resume()
    for path in [path for path in pictures(images) if path.name.startswith(names or "")][len(found) :]:
        found.append([curve(path, steps)])
        unfinished.add(found[-1])
        row = found[-1][0]
        click.echo(f"{path.stem}: smaller {row['smaller']}, worse {row['worse']}", err=True)
    write_report(model_name(None), {"rows": [row for rows in found for row in rows]}, out)
    unfinished.finish()


if __name__ == "__main__":
    main()

"""Whether two checkouts write the same bytes: one writes hashes of files and of decoded pixels, the other compares.

    python -m bench same-bytes --images DIR --out before.json
    python -m bench same-bytes --images DIR --out after.json --against before.json     exit 1 where any differs

Pictures are cropped to 320x256 px in the middle and encoded at four qualities with efforts 0 and 1; the first six as
crops of 256x256 px also with efforts 2 and 3, which need torch.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import click
import numpy as np

import ltokc
from bench.common import options
from bench.common.pictures import load_rgb, middle, pictures
from bench.common.record import write_report
from ltokc.zoo.model import open_model

QUALITIES = (0.2, 0.4, 0.6, 0.9)
SIZE, SEARCHED_SIZE = (256, 320), (256, 256)  # height, width
SEARCHED = 6


def crop(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture, at most (height, width) of it."""
    height, width = (min(have, want) for have, want in zip(rgb.shape, size, strict=False))
    return middle(rgb, height, width)


def hashes(rgb: np.ndarray, searched: bool) -> dict[str, str]:
    """Quality and effort -> SHA-256 of the file and of its pixels."""
    small = crop(rgb, SIZE)
    jobs = [(small, quality, effort) for quality in QUALITIES for effort in (0, 1)]
    if searched:
        jobs += [(crop(rgb, SEARCHED_SIZE), 0.6, effort) for effort in (2, 3)]
    out = {}
    for picture, quality, effort in jobs:
        data = ltokc.encode(picture, quality, effort=effort)
        pixels = np.asarray(ltokc.decode(data)).tobytes()
        digests = [hashlib.sha256(each).hexdigest()[:24] for each in (data, pixels)]
        out[f"-q {quality} -e {effort}"] = " ".join(digests)
    return out


@click.command(cls=options.Command)
@options.images()
@click.option("--count", default=100, show_default=True, help="At most so many pictures.")
@click.option("--against", type=options.FILE, help="A record to compare with.")
@options.out()
def main(images: Path, count: int, against: Path | None, out: Path | None) -> None:
    """Hash what this checkout writes for pictures, and compare with what another one wrote."""
    found = {}
    for i, path in enumerate(pictures(images)[:count]):
        found[path.name] = hashes(np.asarray(load_rgb(path)), i < SEARCHED)
        print(i, path.name, file=sys.stderr)
    write_report(open_model().entry.name, {"files": sum(map(len, found.values())), "hashes": found}, out)
    if against:
        before = json.loads(against.read_text())["hashes"]
        wrong = [f"{name} {how}" for name, each in before.items() for how, digest in each.items()
                 if found.get(name, {}).get(how) != digest]  # fmt: skip
        click.echo(f"{sum(map(len, before.values())) - len(wrong)} of {sum(map(len, before.values()))} the same")
        click.echo("\n".join(wrong[:20]))
        sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

"""What looking for patches costs on photographs, and what decoding them costs beside Pillow.

    python -m bench patch-time --images PHOTOS --image page.png --out patch-time.json

CPU time of one process, so that other jobs on the machine matter little.  Encodes with `--patches auto` and `off` take
turns, picture by picture; the ratio is that of the sums.  A page is decoded from its .ltk file, and from an AVIF file
of about as many bytes.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.compare.codecs import fit


def cpu_time(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def encodes(image: Image.Image, quality: float) -> dict[str, float]:
    """CPU seconds by mode of patches, after one encode that is not counted."""
    codec.encode(image, quality)
    return {mode: cpu_time(partial(codec.encode, image, quality, patches=mode)) for mode in ("auto", "off")}


def decodes(image: Image.Image, quality: float, repeats: int) -> dict[str, float]:
    """Median CPU seconds of decoding a page, by ltokc and by Pillow."""
    data = codec.encode(image, quality)
    _, rival = fit("avif", image, len(data))
    readers: dict[str, Callable[[], object]] = {
        "ltokc": lambda: codec.decode(data),
        "pillow": lambda: Image.open(io.BytesIO(rival.data)).load(),
    }
    for reader in readers.values():
        reader()
    return {name: float(np.median([cpu_time(reader) for _ in range(repeats)])) for name, reader in readers.items()}


@options.command()
@options.images(text="Photographs.")
@options.image(text="Page of lettering.")
@options.quality()
@options.every()
@options.repeats(9)
@options.out()
def main(images: Path, image: Path, quality: float, every: int, repeats: int, out: Path | None) -> None:
    """Measure what patches cost in time."""
    rows: list[dict[str, Any]] = []
    for path in pictures(images)[::every]:
        rows.append({"name": path.stem} | encodes(load_rgb(path), quality))
        click.echo(str(rows[-1]), err=True)
    ratio = sum(row["auto"] for row in rows) / sum(row["off"] for row in rows)
    found = decodes(load_rgb(image), quality, repeats)
    write_report(model_name(None), {"encode ratio": ratio, "decode": found, "rows": rows}, out)


if __name__ == "__main__":
    main()

"""Is there a pattern of the networks' strides in decoded pictures?  Differences folded by position, and one enlarged.

    python -m bench grid-pattern --images KODAK --out grid-pattern.json [--picture 13.png --png grid-pattern.png]

A pattern that comes back every 4, 8 or 16 pixels makes the mean difference, or its strength, depend on where in that
square a pixel lies.  `offset`: the spread of the mean over these places; `strength`: the spread of the root mean
square, both in 8-bit values, beside what shuffled places give (`chance`).  The picture shows original, decoded, and
128 + 8 times the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec

PERIODS = (4, 8, 16)
GAIN = 8


def folded(difference: np.ndarray, period: int) -> dict[str, float]:
    """Spread over the period x period places of mean and root mean square of a luma difference (H, W)."""
    height, width = (n // period * period for n in difference.shape)
    squares = difference[:height, :width].reshape(height // period, period, width // period, period)
    blocks = squares.transpose(0, 2, 1, 3).reshape(-1, period * period)
    shuffled = np.random.default_rng(0).permuted(blocks, axis=1)  # inside every square: places lose their meaning
    out = {}
    for name, values in (("", blocks), ("_chance", shuffled)):
        out[f"offset{name}"] = float(values.mean(0).std())
        out[f"strength{name}"] = float(np.sqrt((values**2).mean(0)).std())
    return out


def luma(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float64) @ np.array([0.299, 0.587, 0.114])


def sheet(original: Image.Image, decoded: Image.Image) -> Image.Image:
    """Original, decoded and 128 + 8 * difference, side by side."""
    difference = np.asarray(decoded, np.int16) - np.asarray(original, np.int16)
    amplified = Image.fromarray((128 + GAIN * difference).clip(0, 255).astype(np.uint8))
    out = Image.new("RGB", (3 * original.width, original.height))
    for i, each in enumerate((original, decoded, amplified)):
        out.paste(each, (i * original.width, 0))
    return out


@options.command()
@options.images()
@options.qualities("0.4,0.6,0.8")
@options.model()
@click.option("--picture", help="Name of the picture to show.")
@click.option("--png", type=options.NEW_FILE, help="Where to write it, at the middle quality.")
@options.out()
def main(
    images: Path, qualities: tuple[float, ...], model: str | None, picture: str | None, png: Path | None,
    out: Path | None,
) -> None:  # fmt: skip
    """Look for patterns of the strides in decoded pictures."""
    name, rows = model_name(model), []
    for path in pictures(images):
        original = load_rgb(path)
        for quality in qualities:
            decoded = codec.decode(codec.encode(original, quality, model=name, patches="off"))
            difference = luma(decoded) - luma(original)
            row: dict[str, Any] = {"image": path.name, "q": quality, "rms": float(np.sqrt((difference**2).mean()))}
            rows.append(row | {str(period): folded(difference, period) for period in PERIODS})
            if png and path.name == picture and quality == qualities[len(qualities) // 2]:
                sheet(original, decoded).save(png)
    means = {}
    for quality in qualities:
        group = [row for row in rows if row["q"] == quality]
        means[str(quality)] = {"rms": float(np.mean([row["rms"] for row in group]))} | {
            str(p): {name: float(np.mean([row[str(p)][name] for row in group])) for name in group[0][str(p)]}
            for p in PERIODS
        }
    write_report(name, {"means": means, "rows": rows}, out)


if __name__ == "__main__":
    main()

"""Is there a pattern of the networks' strides in decoded pictures?  Differences folded by position, and one enlarged.

    python -m bench grid-pattern --images KODAK --out weave.json [--picture 13.png --png weave.png]

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

from bench.common.record import environment, write_report
from bench.quality.rate_distortion import load_rgb, pictures
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


@click.command()
@click.option("--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of pictures.")
@click.option("--qualities", default="0.4,0.6,0.8", show_default=True, help="Qualities.")
@click.option("--model", default=None, help="Model by name or id.")
@click.option("--picture", help="Name of the picture to show.")
@click.option("--png", type=click.Path(path_type=Path), help="Where to write it, at the middle quality.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON, instead of stdout.")
def main(
    images: Path, qualities: str, model: str | None, picture: str | None, png: Path | None, out: Path | None
) -> None:
    """Look for patterns of the strides in decoded pictures."""
    wanted, rows = [float(v) for v in qualities.split(",")], []
    for path in pictures(images):
        original = load_rgb(path)
        for quality in wanted:
            decoded = codec.decode(codec.encode(original, quality, model=model))
            difference = luma(decoded) - luma(original)
            row: dict[str, Any] = {"image": path.name, "q": quality, "rms": float(np.sqrt((difference**2).mean()))}
            rows.append(row | {str(period): folded(difference, period) for period in PERIODS})
            if png and path.name == picture and quality == wanted[len(wanted) // 2]:
                sheet(original, decoded).save(png)
    means = {}
    for quality in wanted:
        group = [row for row in rows if row["q"] == quality]
        means[str(quality)] = {"rms": float(np.mean([row["rms"] for row in group]))} | {
            str(p): {name: float(np.mean([row[str(p)][name] for row in group])) for name in group[0][str(p)]}
            for p in PERIODS
        }
    write_report(environment() | {"means": means, "rows": rows}, out)


if __name__ == "__main__":
    main()

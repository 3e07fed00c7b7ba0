"""Is a quality kept on pictures unlike those of training?  One channel, false colours, noise, negatives, contrast.

    python -m bench odd-looks --images KODAK --every 8 --out odd-looks.json

Photographs are turned into such pictures, and each is encoded at some qualities, by tokens alone and as by default.  A
row has bytes, SSIMULACRA2, the points that the quality asks for, and how much of the picture patches show.  `missed`
counts those that are `FAR` points below, or more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate.plan import error_of_quality
from ltokc.zoo.model import open_model

Pixels = npt.NDArray[np.uint8]
FAR = 8.0  # points
WIDTH, HEIGHT = 512, 384  # of the part that is taken
NOISE = 40.0  # of 255, standard deviation


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _luma(rgb: Pixels) -> npt.NDArray[np.float64]:
    return rgb.mean(2, dtype=np.float64)


def _channels(*kept: int) -> Callable[[Pixels], Pixels]:
    return lambda rgb: np.where(np.isin(np.arange(3), kept), rgb, 0).astype(np.uint8)


def _heat(rgb: Pixels) -> Pixels:
    """Black, red, yellow, white, as thermal cameras have it."""
    warmth = _luma(rgb)[..., None] / 255
    return _rounded(255 * (3 * warmth - np.arange(3)))


def _hues(rgb: Pixels) -> Pixels:
    """Lightness as hue, as maps of heights and depths have it."""
    hue = _rounded(_luma(rgb))
    full = np.full_like(hue, 255)
    return np.asarray(Image.fromarray(np.stack([hue, full, full], -1), "HSV").convert("RGB"))


def _saturated(rgb: Pixels) -> Pixels:
    luma = _luma(rgb)[..., None]
    return _rounded(luma + 3 * (rgb - luma))


def _noisy(rgb: Pixels) -> Pixels:
    return _rounded(rgb + np.random.default_rng(0).normal(0, NOISE, rgb.shape))


def _two_colours(rgb: Pixels) -> Pixels:
    luma = _luma(rgb)
    return _rounded(np.stack([255 - luma, 0 * luma, luma], -1))


KINDS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda rgb: rgb,
    "red": _channels(0), "green": _channels(1), "blue": _channels(2),
    "magenta": _channels(0, 2), "yellow": _channels(0, 1), "cyan": _channels(1, 2),
    "blue on red": _two_colours, "heat": _heat, "hues": _hues, "saturated": _saturated,
    "negative": lambda rgb: 255 - rgb, "swapped": lambda rgb: np.ascontiguousarray(rgb[..., ::-1]),
    "dark": lambda rgb: _rounded(rgb * 0.15), "bright": lambda rgb: _rounded(255 - (255 - rgb) * 0.15),
    "contrast": lambda rgb: _rounded(128 + 3 * (rgb.astype(float) - 128)), "noisy": _noisy,
    "gray": lambda rgb: _rounded(_luma(rgb))[..., None].repeat(3, 2),
}  # fmt: skip


def measured(name: str, kind: str, rgb: Pixels, qualities: list[float], effort: int) -> list[dict[str, Any]]:
    """The rows of one picture."""
    reference, looks = Reference(rgb), open_model().entry.looks
    rows = []
    for quality in qualities:
        row: dict[str, Any] = {"picture": name, "kind": kind, "q": quality}
        row["wanted"] = round(points(error_of_quality(quality, looks)), 2)
        for way in ("off", "auto"):
            data = codec.encode(rgb, quality, effort=effort, patches=way)
            shown = np.asarray(codec.decode(data).convert("RGB"))
            row[way] = {"bytes": len(data), "ssimulacra2": round(reference.score(shown), 2)}
        row["patches"] = round(codec.info(data).patches, 3)
        rows.append(row)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many looks were missed, by tokens alone and by default, and bytes of those that both meet."""
    missed = {way: sum(row["wanted"] - row[way]["ssimulacra2"] >= FAR for row in rows) for way in ("off", "auto")}
    met = [row for row in rows if all(row["wanted"] - row[way]["ssimulacra2"] < FAR for way in ("off", "auto"))]
    ratio = [np.log(row["auto"]["bytes"] / row["off"]["bytes"]) for row in met]
    return {"files": len(rows), "missed": missed, "bytes": round(float(np.exp(np.mean(ratio)) - 1), 4) if met else None}


@options.command()
@options.images()
@options.every()
@click.option("--qualities", default="0.4,0.6,0.8,0.9", show_default=True)
@click.option("--effort", default=1, show_default=True)
@options.out(required=True)
def main(images: Path, every: int, qualities: str, effort: int, out: Path) -> None:
    """Measure looks of odd pictures, by tokens alone and as by default."""
    wanted, rows = [float(each) for each in qualities.split(",")], []
    for path in pictures(images)[::every]:
        rgb = np.asarray(load_rgb(path))[:HEIGHT, :WIDTH]
        for kind, made in KINDS.items():
            rows += measured(path.stem, kind, made(rgb), wanted, effort)
            told = [f"{row['auto']['bytes']} {row['auto']['ssimulacra2']}" for row in rows[-len(wanted) :]]
            click.echo(f"{path.stem}, {kind}: {', '.join(told)}", err=True)
    write_report(model_name(None), {"summary": summary(rows), "rows": rows}, out)


if __name__ == "__main__":
    main()

"""True colours: means of 16x16 pixels in photographs, flat fields and gradients, with and without what keeps them.

    python -m bench colour --images KODAK --gradients CASES --out colour.json
    python -m bench colour --images KODAK --dark --random 0 --flat 0 --out dark.json

Of each file: bytes, mean CIE76 between means of 16x16 pixels, their mean and largest difference of 255, PSNR, MS-SSIM
and SSIMULACRA2; the same of the file that the encoder writes without a choice of digits and a grid (`before`); and of
the largest AVIF that is no larger, or the smallest there is.  A folder of gradients gives its grad_*.png and
flat_*.png; flat fields and slopes
of random colours come beside them.  With --dark photographs are darkened to a quarter of their light first, and
`lifted` is the mean CIE76 after four times the light, as a viewer lifts shadows; `lifted_hue` leaves lightness out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.compare.codecs import Avif
from ltokc.compare.scores import Scorer
from ltokc.metrics.colour import difference, lab, pooled
from ltokc.rate.defaults import DEFAULT_EFFORT
from ltokc.rate.tokenized import TokenizedPicture

WIDTH, HEIGHT = 512, 384  # of random slopes; flat fields have half of it
SCORES = ("psnr", "ms_ssim", "ssimulacra2")
FIGURES = ("bytes", "delta_e", "block", "largest", *SCORES, "lifted", "lifted_hue")
LIFT = 4.0  # times the light, that dark pictures lack


@options.command()
@options.images(required=False)
@click.option("--gradients", type=options.FOLDER, help="Folder with grad_*.png and flat_*.png.")
@click.option("--random", "drawn", default=20, show_default=True, type=click.IntRange(0), help="Random slopes.")
@click.option("--flat", default=12, show_default=True, type=click.IntRange(0), help="Flat fields of random colours.")
@click.option("--dark", is_flag=True, help="Photographs darkened to a quarter of their light.")
@click.option("--avif/--no-avif", "rivals", default=True, help="AVIF beside it.")
@options.qualities("0.4,0.6")
@options.effort(DEFAULT_EFFORT)
@options.limit()
@options.model()
@options.out()
def main(
    images: Path | None, gradients: Path | None, drawn: int, flat: int, dark: bool, rivals: bool,
    qualities: tuple[float, ...], effort: int,
    limit: int | None, model: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure what becomes of colours."""
    called, rows = model_name(model), []
    for kind, name, image in _inputs(images, gradients, drawn, flat, limit):
        if dark and kind == "photograph":
            kind, image = "dark photograph", Image.fromarray(_light(1 / LIFT)[np.asarray(image)])
        for quality in qualities:
            row: dict[str, Any] = {"kind": kind, "image": name, "quality": quality}
            data = codec.encode(image, quality, effort=effort, model=called)
            grid = dict(codec.info(data).chunks).get("cOLr", 0)
            with mock.patch.object(TokenizedPicture, "chosen", lambda picture, *given: picture):
                before = codec.encode(image, quality, effort=effort, model=called)
            row |= {"grid": grid, **_figures(image, codec.decode(data).convert("RGB"), len(data))}
            row["before"] = _figures(image, codec.decode(before).convert("RGB"), len(before))
            row["avif"] = _rival(image, len(data)) if rivals else None
            rows.append(row)
            click.echo(
                f"{kind} {name} {quality}: {row['delta_e']:.2f}, before {row['before']['delta_e']:.2f}", err=True
            )
    write_report(called, {"effort": effort, "means": _means(rows), "rows": rows}, out)


def _inputs(
    images: Path | None, gradients: Path | None, drawn: int, flat: int, limit: int | None
) -> Iterator[tuple[str, str, Image.Image]]:
    """(kind, name, picture) of everything that is measured."""
    for path in pictures(images)[:limit] if images else []:
        yield "photograph", path.name, load_rgb(path)
    for kind in ("grad", "flat"):
        for path in sorted(gradients.glob(f"{kind}_*.png"))[:limit] if gradients else []:
            yield {"grad": "gradient", "flat": "flat field"}[kind], path.name, load_rgb(path)
    for i in range(drawn):
        yield "random gradient", f"{i}", Image.fromarray(slope(np.random.default_rng((1, i))))
    for i in range(flat):
        colour = tuple(int(v) for v in np.random.default_rng((2, i)).integers(0, 256, 3))
        yield (
            "random flat field",
            "{:02x}{:02x}{:02x}".format(*colour),
            Image.new("RGB", (WIDTH // 2, HEIGHT // 2), colour),
        )


def slope(rng: np.random.Generator) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: two or three colours along a line or around a point."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / [[[HEIGHT]], [[WIDTH]]]
    if rng.random() < 0.3:
        at = np.hypot(x - rng.random(), y - rng.random())
    else:
        angle = rng.uniform(0, 2 * np.pi)
        at = x * np.cos(angle) + y * np.sin(angle)
    at = (at - at.min()) / np.ptp(at)
    colours = rng.integers(0, 256, (int(rng.integers(2, 4)), 3))
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(at, places, colours[:, c]) for c in range(3)], -1).round().astype(np.uint8)


def _rival(image: Image.Image, size: int) -> dict[str, Any]:
    """Figures of the largest AVIF that is no larger than `size`, or of the smallest there is."""
    found = Avif().encode_to_size(image, size)
    data = found.data if found else Avif().encode(image, Avif.steps[0])
    return _figures(image, Avif().decode(data), len(data))


def _figures(image: Image.Image, decoded: Image.Image, size: int) -> dict[str, Any]:
    a, b = pooled(np.asarray(image)), pooled(np.asarray(decoded))
    scores = Scorer(image, None).score(decoded, size)
    lift = _light(LIFT)
    lifted = [lab(pooled(lift[np.asarray(each)])) for each in (image, decoded)]
    apart = lifted[0] - lifted[1]
    return {
        "bytes": size, "delta_e": float(difference(a, b).mean()), "block": float(np.abs(a - b).mean()),
        "largest": float(np.abs(a - b).max()), **{name: _finite(scores[name]) for name in SCORES},
        "lifted": float(np.linalg.norm(apart, axis=-1).mean()),
        "lifted_hue": float(np.linalg.norm(apart[..., 1:], axis=-1).mean()),
    }  # fmt: skip


def _light(times: float) -> np.ndarray:
    """What becomes of each value of sRGB, (256,) uint8, with so many times the light."""
    v = np.arange(256) / 255
    light = np.minimum(times * np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4), 1)
    back = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * back).round().astype(np.uint8)


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of every kind and quality, and the largest difference of a picture."""
    out = []
    for kind, quality in dict.fromkeys((row["kind"], row["quality"]) for row in rows):
        of = [row for row in rows if (row["kind"], row["quality"]) == (kind, quality)]
        line: dict[str, Any] = {"kind": kind, "quality": quality, "pictures": len(of)}
        for prefix, each in (("", of), ("before_", [r["before"] for r in of]), ("avif_", [r["avif"] for r in of])):
            for name in FIGURES:
                values = [row[name] for row in each if row is not None and row[name] is not None]
                line[prefix + name] = float(np.mean(values)) if values else None
            worst = [row["delta_e"] for row in each if row is not None]
            line[prefix + "worst_delta_e"] = max(worst) if worst else None
        out.append(line)
    return out


if __name__ == "__main__":
    main()

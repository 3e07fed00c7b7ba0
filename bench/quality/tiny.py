"""256x256 crops in 384 bytes, the size of One-D-Piece's 256 tokens of 12 bits: figures, and a sheet to look at.

    python -m bench tiny --images KODAK --lpips lpips_squeeze.safetensors --out tiny.json --sheet tiny.png

One-D-Piece (Miwa et al. 2025) codes 256x256 pictures as up to 256 tokens from 4,096 words.  The crops are the middles
of the pictures; smaller pictures are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common.record import environment, write_report
from bench.quality.rate_distortion import load_rgb, pictures
from bench.quality.side_by_side import Panel, sheet
from ltokc import codec
from ltokc.compare.scores import METRICS, Lpips, Reference
from ltokc.rate.effort import DEFAULT_EFFORT

SIDE = 256


def middle(image: Image.Image) -> Image.Image | None:
    """The middle 256x256 px; None of a smaller picture."""
    if min(image.size) < SIDE:
        return None
    left, top = ((side - SIDE) // 2 for side in image.size)
    return image.crop((left, top, left + SIDE, top + SIDE))


@click.command()
@click.option("--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of pictures.")
@click.option("--bytes", "size", default=384, show_default=True, help="Size of each file.")
@click.option("--effort", default=DEFAULT_EFFORT, show_default=True, help="Effort of ltokc.")
@click.option("--lpips", type=click.Path(exists=True, path_type=Path), help="LPIPS weights.")
@click.option("--model", default=None, help="Model by name or id.")
@click.option("--sheet", "picture", type=click.Path(path_type=Path), help="PNG: originals above what they became.")
@click.option("--show", default=6, show_default=True, help="Pairs on the sheet, evenly spread.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON, instead of stdout.")
def main(
    images: Path, size: int, effort: int, lpips: Path | None, model: str | None, picture: Path | None, show: int,
    out: Path | None,
) -> None:  # fmt: skip
    """Code 256x256 crops in so many bytes."""
    judge, rows, pairs = Lpips(lpips) if lpips else None, [], []
    for path in pictures(images):
        crop = middle(load_rgb(path))
        if crop is None:
            continue
        data = codec.encode(crop, target_size=size, strict=True, effort=effort, model=model)
        decoded = codec.decode(data)
        scores = Reference(crop, judge).score(decoded, len(data))
        rows.append({"image": path.name, "tokens": codec.info(data).tokens} | scores)
        pairs.append((Panel(crop, (path.name, "")), Panel(decoded, (f"{len(data)} bytes", _figures(scores)))))
    names = [name for name in ("bytes", "tokens", *METRICS) if rows and rows[0].get(name) is not None]
    means = {name: float(np.mean([row[name] for row in rows])) for name in names}  # type: ignore[arg-type]
    write_report(environment() | {"size": size, "effort": effort, "means": means, "pictures": rows}, out)
    if picture and pairs:
        spread = np.linspace(0, len(pairs) - 1, min(show, len(pairs))).round().astype(int)
        chosen = [pairs[i] for i in spread]
        sheet([pair[row] for row in (0, 1) for pair in chosen], len(chosen)).save(picture)


def _figures(scores: dict[str, Any]) -> str:
    lpips = "" if scores["lpips_squeeze"] is None else f"  LPIPS {scores['lpips_squeeze']:.3f}"
    return f"PSNR {scores['psnr']:.1f}{lpips}"


if __name__ == "__main__":
    main()

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

from bench.common import options
from bench.common.pictures import load_rgb, middle, pictures
from bench.common.record import model_name, write_report
from bench.quality.side_by_side import Panel, sheet
from ltokc import codec
from ltokc.compare.scores import METRICS, Lpips, Scorer
from ltokc.rate.defaults import DEFAULT_EFFORT

SIDE = 256


@options.command()
@options.images()
@click.option("--bytes", "size", default=384, show_default=True, help="Size of each file.")
@options.effort(DEFAULT_EFFORT)
@options.lpips()
@options.model()
@click.option("--sheet", "picture", type=options.NEW_FILE, help="PNG: originals above what they became.")
@click.option("--show", default=6, show_default=True, help="Pairs on the sheet, evenly spread.")
@options.out()
def main(
    images: Path, size: int, effort: int, lpips: Path | None, model: str | None, picture: Path | None, show: int,
    out: Path | None,
) -> None:  # fmt: skip
    """Code 256x256 crops in so many bytes."""
    called, judge, rows, pairs = model_name(model), Lpips(lpips) if lpips else None, [], []
    for path in pictures(images):
        image = load_rgb(path)
        if min(image.size) < SIDE:
            continue
        crop = Image.fromarray(middle(np.asarray(image), SIDE, SIDE))
        data = codec.encode(crop, target_size=size, strict=True, effort=effort, model=called, patches="off")
        decoded = codec.decode(data)
        scores = Scorer(crop, judge).score(decoded, len(data))
        rows.append({"image": path.name, "tokens": codec.info(data).tokens} | scores)
        pairs.append((Panel(crop, (path.name, "")), Panel(decoded, (f"{len(data)} bytes", _figures(scores)))))
    names = [name for name in ("bytes", "tokens", *METRICS) if rows and rows[0].get(name) is not None]
    means = {name: float(np.mean([row[name] for row in rows])) for name in names}  # type: ignore[arg-type]
    write_report(called, {"size": size, "effort": effort, "means": means, "pictures": rows}, out)
    if picture and pairs:
        spread = np.linspace(0, len(pairs) - 1, min(show, len(pairs))).round().astype(int)
        chosen = [pairs[i] for i in spread]
        sheet([pair[row] for row in (0, 1) for pair in chosen], len(chosen)).save(picture)


def _figures(scores: dict[str, Any]) -> str:
    lpips = "" if scores["lpips_squeeze"] is None else f"  LPIPS {scores['lpips_squeeze']:.3f}"
    return f"PSNR {scores['psnr']:.1f}{lpips}"


if __name__ == "__main__":
    main()

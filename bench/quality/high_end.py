"""Above the reach of tokens: bytes beside AVIF's at equal SSIMULACRA2.

    python -m bench high-end --images PHOTOS --out high-end.json

AVIF is Pillow's at speed 6 and 4:2:0; its bytes are those between its two qualities that are nearest in look.  A run
that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, commit, model_name, write_report
from bench.common.resume import Row, Unfinished
from bench.common.rival import Rival
from ltokc import codec
from ltokc.metrics.ssimulacra2 import Reference


def compared(path: Path, qualities: tuple[float, ...]) -> list[Row]:
    """A photograph at each quality, and AVIF's bytes at that look."""
    image = load_rgb(path)
    reference = Reference(np.asarray(image))
    rival, rows = Rival(image, reference), []
    for quality in qualities:
        data = codec.encode(image, quality)
        look = reference.score(np.asarray(codec.decode(data).convert("RGB")))
        equal = rival.bytes_at(look)
        rows.append({
            "name": path.stem, "quality": quality, "bytes": len(data), "ssimulacra2": round(look, 2),
            "avif": equal and round(equal), "ratio": equal and round(len(data) / equal, 4),
        })  # fmt: skip
    return rows


def summary(rows: list[Row], quality: float) -> Row:
    """Of all photographs at a quality: ratios of bytes to AVIF's (geometric mean, least, most), and looks."""
    found = [row for row in rows if row["quality"] == quality]
    ratios = [row["ratio"] for row in found if row["ratio"]]
    return {
        "quality": quality, "photographs": len(found), "compared": len(ratios),
        "ratio": float(np.exp(np.mean(np.log(ratios)))) if ratios else None,
        "least": min(ratios, default=None), "most": max(ratios, default=None),
        "ssimulacra2": float(np.mean([row["ssimulacra2"] for row in found])),
        "least ssimulacra2": min(row["ssimulacra2"] for row in found),
    }  # fmt: skip


@options.command()
@options.images(text="Photographs.")
@options.qualities("0.92,0.95,1")
@options.every()
@options.out(required=True)
def main(images: Path, qualities: tuple[float, ...], every: int, out: Path) -> None:
    """Compare the highest qualities with AVIF at equal look."""
    unfinished = Unfinished(out, {"commit": commit(), "changes": changes(), "qualities": qualities, "every": every})
    found = unfinished.resume()
    for path in pictures(images)[::every][len(found) :]:
        found.append(compared(path, qualities))
        unfinished.add(found[-1])
        click.echo(str(found[-1]), err=True)
    rows = [row for each in found for row in each]
    write_report(model_name(None), {"summary": [summary(rows, quality) for quality in qualities], "rows": rows}, out)
    unfinished.finish()


if __name__ == "__main__":
    main()

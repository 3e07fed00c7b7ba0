"""Does -q keep its promise?  Misses of the wanted look and falls from one quality to the next, of measured rows.

    python -m bench calibration kodak.json held-out-photos.json --out calibration.json

Files are those of `python -m bench rate-distortion`.  A picture misses where its distance from 100 points of
SSIMULACRA2 is over the wanted one by more than a tenth; where no row of it, that of the highest quality included,
reaches the wanted look, it is out of reach and does not count.  The highest quality itself says nothing then and is
left out.  A fall is a step of -q after which a picture has fewer bytes or
fewer points.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.record import write_report
from bench.quality.curves import OURS, Row
from bench.quality.halting_summary import MISS
from bench.quality.per_picture import model_of, rows_of
from ltokc.metrics.ssimulacra2 import points
from ltokc.rate.plan import error_of_quality
from ltokc.zoo.registry import find

TOKENS_END = 0.9  # the quality from which on tokens do not decide the look


def kept(rows: list[Row], wanted: dict[float, float]) -> list[dict[str, Any]]:
    """For each quality: the wanted and the mean points, share of pictures that miss, and by how much the worst does.

    wanted: points by quality.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row["image"]] = max(row["ssimulacra2"], best.get(row["image"], -np.inf))
    out = []
    for q, goal in wanted.items():
        here = [row for row in rows if row["q"] == q]
        inside = [row["ssimulacra2"] for row in here if best[row["image"]] >= goal]
        over = [(100 - value) / (100 - goal) - 1 for value in inside]
        line: dict[str, Any] = {
            "q": q,
            "wanted": goal,
            "pictures": len(inside),
            "out_of_reach": len(here) - len(inside),
        }
        if inside:
            line |= {
                "mean": float(np.mean(inside)),
                "miss": float(np.mean([v > MISS for v in over])),
                "worst": max(over),
            }
        out.append(line)
    return out


def falls(rows: list[Row]) -> dict[str, Any]:
    """Steps of the quality up to .9, and those with fewer bytes, or fewer points, than before."""
    steps, found = 0, []
    for image in dict.fromkeys(row["image"] for row in rows):
        mine = sorted(
            (row for row in rows if row["image"] == image and row["q"] <= TOKENS_END), key=lambda row: row["q"]
        )
        for low, high in zip(mine, mine[1:], strict=False):
            steps += 1
            more, better = high["bytes"] / low["bytes"] - 1, high["ssimulacra2"] - low["ssimulacra2"]
            if more < 0 or better < 0:
                found.append({"image": image, "from": low["q"], "to": high["q"], "bytes": more, "points": better})
    return {"steps": steps, "falls": found}


@options.command()
@click.argument("files", nargs=-1, required=True, type=options.FILE)
@options.out()
def main(files: tuple[Path, ...], out: Path | None) -> None:
    """Count misses and falls in the rows of other benchmarks."""
    model, sets = model_of(files), {}
    looks = find(model).looks
    for path in files:
        rows = [row for row in rows_of(path) if row["codec"] == OURS and row["ssimulacra2"] is not None]
        measured = sorted({row["q"] for row in rows})
        qualities = [q for q in measured[:-1] if looks[0][0] <= q <= TOKENS_END]
        wanted = {q: float(points(error_of_quality(q, looks))) for q in qualities}
        sets[path.name] = {"calibration": kept(rows, wanted)} | falls(rows)
    write_report(model, sets, out)


if __name__ == "__main__":
    main()

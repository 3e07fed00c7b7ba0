"""Bytes against a rival's at the same look, quality by quality and kind by kind: mean, best and worst picture.

    python -m bench at-quality results.json [more.json] --rival avif --out at-quality.json

Files are those of `python -m bench rate-distortion`.  A picture counts at a quality where the rival's own curve of that
picture reaches its SSIMULACRA2; between the rival's points the logarithm of the bytes is interpolated.  Kinds are the
second part of names such as 01310-photo-x.png; other pictures are of one kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.record import write_report
from bench.quality.bd_rate import Curve
from bench.quality.curves import OURS, Row
from bench.quality.per_picture import model_of, rows_of
from ltokc.compare.scores import LOWER_IS_BETTER, METRICS

LIMIT = 0.15  # more bytes, above which a picture is counted as bad
ANY = "picture"


def kind_of(name: str) -> str:
    """photo, screen, art; `ANY` for names without a kind."""
    parts = name.split("-")
    return parts[1] if len(parts) > 2 else ANY


def differences(rows: list[Row], rival: str, metric: str) -> list[tuple[Row, float | None]]:
    """Each row of ltokc with its bytes against the rival's at the same score; None where the rival is not so good."""
    curves: dict[str, Curve | None] = {}
    lower = metric in LOWER_IS_BETTER
    for image in dict.fromkeys(row["image"] for row in rows):
        theirs = [row for row in rows if row["image"] == image and row["codec"] == rival and row[metric] is not None]
        try:
            curves[image] = Curve([(row["bpp"], row[metric]) for row in theirs], lower)
        except ValueError:
            curves[image] = None
    found = []
    for row in rows:
        if row["codec"] == OURS:
            there = curves[row["image"]]
            value = np.inf
            if there is not None and row[metric] is not None:
                value = float(there(np.array([-row[metric] if lower else row[metric]]))[0])
            found.append((row, float(np.exp(np.log(row["bpp"]) - value) - 1) if np.isfinite(value) else None))
    return found


def table(rows: list[Row], rival: str, metric: str) -> list[dict[str, Any]]:
    """For each kind and quality: pictures, how many can be compared, and mean, best and worst difference of bytes."""
    pairs = differences(rows, rival, metric)
    out = []
    for kind, q in sorted({(kind_of(row["image"]), row["q"]) for row, _ in pairs}):
        group = [(row, value) for row, value in pairs if (kind_of(row["image"]), row["q"]) == (kind, q)]
        values = [value for _, value in group if value is not None]
        line: dict[str, Any] = {"kind": kind, "q": q, "metric": metric, "pictures": len(group), "compared": len(values)}
        if values:
            line |= {"mean": float(np.mean(values)), "best": min(values), "worst": max(values)}
            line["above_limit"] = sum(value > LIMIT for value in values)
        out.append(line)
    return out


@options.command()
@click.argument("files", nargs=-1, required=True, type=options.FILE)
@click.option("--rival", default="avif", show_default=True, help="The other codec.")
@click.option("--metric", default="ssimulacra2", show_default=True, type=click.Choice(METRICS), help="What is equal.")
@click.option("--least", default=-30.0, show_default=True, help="SSIMULACRA2 from which on it counts.")
@options.out()
def main(files: tuple[Path, ...], rival: str, metric: str, least: float, out: Path | None) -> None:
    """Compare bytes at each quality of ltokc."""
    rows = [row for path in files for row in rows_of(path, least)]
    lines = table(rows, rival, metric)
    about = {"files": [path.name for path in files], "rival": rival, "least": least, "limit": LIMIT}
    write_report(model_of(files), about | {"rows": lines}, out)


if __name__ == "__main__":
    main()

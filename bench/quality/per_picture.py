"""BD-rates picture by picture, then averaged: the fair way where a quality means the same look for every picture.

    python -m bench per-picture ours.json rivals.json [--earlier old.json] --out per-picture.json

A codec whose quality is a look spends more on hard pictures and less on easy ones, so that the mean rate at a mean
score (`bench.quality.rate_distortion`) is not what it needs for a picture.  Files are those of
`bench.quality.rate_distortion` over the same pictures, and their rows count together: no two may have the same codec at
the same quality.  `--earlier` is another such file, whose ltokc becomes a rival.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.record import write_report
from bench.quality.curves import OURS, Row, bd_rates
from ltokc.compare.scores import LABELS, METRICS
from ltokc.errors import UsageError

EARLIER = "earlier"


def model_of(paths: Iterable[Path]) -> str | None:
    """The model of ltokc that the files name; None where none does.  Raises UsageError of two."""
    found = {json.loads(path.read_text()).get("model") for path in paths} - {None}
    if len(found) > 1:
        raise UsageError(f"rows of several models would mix: {', '.join(sorted(found))}")
    return found.pop() if found else None


def rows_of(path: Path, least: float = -np.inf) -> list[Row]:
    """Rows of a file; SSIMULACRA2 below `least` points counts as not measured."""
    rows = [row for row in json.loads(path.read_text())["rows"] if "_" not in row["codec"]]
    low = [row["ssimulacra2"] is not None and row["ssimulacra2"] < least for row in rows]
    return [row | {"ssimulacra2": None} if no else row for row, no in zip(rows, low, strict=True)]


def average(rows: list[Row]) -> list[dict[str, Any]]:
    """For each rival and metric: mean, best and worst BD-rate over the pictures, and how many have one."""
    found: dict[tuple[str, str], list[float]] = {}
    for image in dict.fromkeys(row["image"] for row in rows):
        for rate in bd_rates([row for row in rows if row["image"] == image]):
            if rate["bd_rate"] is not None:
                found.setdefault((rate["rival"], rate["metric"]), []).append(rate["bd_rate"])
    return [
        {
            "rival": rival, "metric": metric, "bd_rate": float(np.mean(rates)), "best": min(rates),
            "worst": max(rates), "pictures": len(rates),
        }
        for (rival, metric), rates in found.items()
    ]  # fmt: skip


def table(rates: list[dict[str, Any]]) -> str:
    lines = ["| mean over pictures, against | " + " | ".join(LABELS[m] for m in METRICS) + " |", "|---" * 5 + "|"]
    for rival in dict.fromkeys(rate["rival"] for rate in rates):
        cells = {r["metric"]: f"{100 * r['bd_rate']:+.1f} %" for r in rates if r["rival"] == rival}
        lines.append(f"| {rival} | " + " | ".join(cells.get(m, "") for m in METRICS) + " |")
    return "\n".join(lines)


@options.command()
@click.argument("files", nargs=-1, required=True, type=options.FILE)
@click.option("--earlier", type=options.FILE, help="Rows of an earlier ltokc, as a rival.")
@click.option("--least", default=-30.0, show_default=True,
              help="SSIMULACRA2 from which on it counts: about -60 its scale is nearly flat.")  # fmt: skip
@click.option("--qualities", help="Only these qualities of ltokc, for curves that can be compared.")
@options.out(text="JSON, beside the table on stdout.")
def main(
    files: tuple[Path, ...], earlier: Path | None, least: float, qualities: str | None, out: Path | None
) -> None:  # fmt: skip
    """Average the BD-rates of ltokc over the pictures."""
    rows = [row for path in files for row in rows_of(path, least)]
    for (image, codec, q), n in Counter((row["image"], row["codec"], row["q"]) for row in rows).items():
        if n > 1:
            raise UsageError(f"{image} has {n} rows of {codec} at {q}: two curves would mix")
    if qualities:
        wanted = [float(v) for v in qualities.split(",")]
        rows = [row for row in rows if row["codec"] != OURS or row["q"] in wanted]
    if earlier:
        rows += [row | {"codec": EARLIER} for row in rows_of(earlier, least) if row["codec"] == OURS]
    rates = average(rows)
    click.echo(table(rates))
    if out:
        about = {"least": least, "qualities": qualities, "files": [path.name for path in files]}
        write_report(model_of(files), about | {"bd_rates": rates}, out)


if __name__ == "__main__":
    main()

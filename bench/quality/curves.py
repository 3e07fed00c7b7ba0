"""From rows per picture to mean curves, and from curves to the table of BD-rates.

A row is a dict with `codec`, `q` and the metrics of `ltokc.compare.scores`; a mean row has the columns MEAN_COLUMNS,
which are also those of the CSV with ready curves of rivals.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.quality.bd_rate import BdRate, bd_rate
from ltokc.compare.codecs import CODECS, family
from ltokc.compare.scores import LABELS, LOWER_IS_BETTER, METRICS
from ltokc.errors import UsageError
from ltokc.metrics.fidelity import PEAK, psnr_of_error

Row = dict[str, Any]
MEAN_COLUMNS = ("codec", "q", "images", "bpp", "psnr", "ms_ssim", "lpips_squeeze", "ssimulacra2", "psnr_pooled",
                "mean_bytes", "min_bytes", "max_bytes")  # fmt: skip
OURS = "ltokc"


def mean_rows(rows: Iterable[Row]) -> list[Row]:
    """One row for each codec and quality, in order of appearance: means over the pictures, None where one is missing.

    `psnr_pooled` is the PSNR of the mean squared error over all pictures, each with the same weight.
    """
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["codec"], row["q"]), []).append(row)
    return [_mean(codec, q, group) for (codec, q), group in groups.items()]


def _mean(codec: str, q: float, group: list[Row]) -> Row:
    def mean(column: str) -> float | None:
        values = [row[column] for row in group]
        return None if any(v is None for v in values) else sum(values) / len(values)

    sizes = [row["bytes"] for row in group]
    errors = [0.0 if row["psnr"] == math.inf else PEAK**2 / 10 ** (row["psnr"] / 10) for row in group]
    return {
        "codec": codec,
        "q": q,
        "images": len(group),
        **{column: mean(column) for column in ("bpp", "psnr", "ms_ssim", "lpips_squeeze", "ssimulacra2")},
        "psnr_pooled": psnr_of_error(sum(errors) / len(errors)),
        "mean_bytes": round(sum(sizes) / len(sizes)),
        "min_bytes": min(sizes),
        "max_bytes": max(sizes),
    }


def read_means(path: str | Path) -> list[Row]:
    """Ready curves from a CSV with the columns MEAN_COLUMNS; an empty field is None.  Raises UsageError."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(MEAN_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise UsageError(f"{Path(path).name}: no column {', '.join(sorted(missing))}")
        try:
            return [{c: _field(c, record[c]) for c in MEAN_COLUMNS} for record in reader]
        except ValueError as error:
            raise UsageError(f"{Path(path).name}: {error}") from error


def _field(column: str, text: str | None) -> Any:
    if column == "codec":
        return text
    if not text:
        return None
    return int(text) if column in ("images", "mean_bytes", "min_bytes", "max_bytes") else float(text)


def write_means(path: str | Path, means: Iterable[Row]) -> None:
    """The CSV that `read_means` reads, metrics with five decimals."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MEAN_COLUMNS)
        for row in means:
            writer.writerow([_text(column, row[column]) for column in MEAN_COLUMNS])


def _text(column: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:g}" if column == "q" else f"{value:.5f}"


def points(means: Iterable[Row], codec: str, metric: str) -> list[tuple[float, float]]:
    """(bpp, metric) of one codec, without rows that lack the metric or have an infinite one."""
    rows = [row for row in means if row["codec"] == codec]
    return [(row["bpp"], row[metric]) for row in rows if row[metric] is not None and math.isfinite(row[metric])]


def bd_rates(means: Sequence[Row], test: str = OURS) -> list[Row]:
    """BD-rate of `test` against every other codec: rows with `rival`, `curves`, `metric`, `bd_rate`, `low`, `high`.

    A rival's first figure is the codec itself; where downscaled variants were measured, a second one takes the cheapest
    of all its curves at every quality.  `bd_rate` is None where the curves do not overlap.
    """
    names = list(dict.fromkeys(row["codec"] for row in means))
    rivals = dict.fromkeys(family(name) for name in names if family(name) != test)
    out = []
    for rival in rivals:
        curves = [name for name in names if family(name) == rival]
        for chosen in ([rival], curves) if len(curves) > 1 and rival in curves else (curves,):
            for metric in METRICS:
                anchor = [curve for name in chosen if len(curve := points(means, name, metric)) > 1]
                found = bd_rate(anchor, points(means, test, metric), metric in LOWER_IS_BETTER)
                out.append({"rival": rival, "curves": chosen, "metric": metric} | _figures(found))
    return out


def _figures(found: BdRate | None) -> Row:
    if found is None:
        return {"bd_rate": None, "low": None, "high": None}
    return {"bd_rate": found.rate, "low": found.low, "high": found.high}


def markdown(rates: Sequence[Row]) -> str:
    """The BD-rates as a table: in every cell the rate and, in brackets, the range of the metric it was taken over."""
    titles = ["BD-rate of ltokc against", *(LABELS[m] for m in METRICS)]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    cells: dict[str, dict[str, str]] = {}
    for row in rates:
        cells.setdefault(_title(row["rival"], row["curves"]), {})[row["metric"]] = _cell(row)
    lines += [f"| {title} | " + " | ".join(found[m] for m in METRICS) + " |" for title, found in cells.items()]
    return "\n".join(lines)


def _title(rival: str, curves: Sequence[str]) -> str:
    label = CODECS[rival].label if rival in CODECS else rival
    variants = [name.partition("_")[2] for name in curves if "_" in name]
    if not variants:
        return label
    return f"{label} {'with ' if rival in curves else ''}{' and '.join(variants)} size"


def _cell(row: Row) -> str:
    if row["bd_rate"] is None:
        return "no overlap"
    digits = {"ms_ssim": 3, "lpips_squeeze": 3}.get(row["metric"], 1)
    return f"{100 * row['bd_rate']:+.1f} % ({row['low']:.{digits}f} to {row['high']:.{digits}f})"

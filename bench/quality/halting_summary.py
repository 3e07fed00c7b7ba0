"""What the measurements of `bench.quality.halting` say: calibration, worth of depths, monotony.

`found` is by picture: `pixels`; `curve`, rows of one depth for all cells, after every half level; `rows`, one for each
effort and quality.  A row has `bytes`, `error` (SSIMULACRA2's sum, `ltokc.metrics.by_cell`) and `points`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ltokc.metrics.ssimulacra2 import points
from ltokc.rate.plan import error_of_quality

TARGETS = (0.2, 0.35, 0.5, 0.6, 0.8)  # qualities
STEP = 0.5  # levels between points of a curve
MISS = 0.1  # of the distance to 100 points
Array = np.ndarray[Any, Any]


def at_equal(curve: list[dict[str, Any]], name: str, value: float) -> float:
    """Bytes of the same depth for all at a value of `error` (falling) or `ms_ssim` (rising)."""
    values = np.array([row[name] for row in curve])
    rising = np.maximum.accumulate(-np.log(values) if name == "error" else values)
    return float(np.exp(np.interp(-np.log(value) if name == "error" else value, rising, np.log(_sizes(curve)))))


def _between(curve: list[dict[str, Any]], place: float, name: str) -> float:
    """`bytes` or `error` at a place of the curve, a fraction for a place between two."""
    return float(np.exp(np.interp(place, range(len(curve)), np.log([row[name] for row in curve]))))


def _sizes(curve: list[dict[str, Any]]) -> Array:
    return np.array([row["bytes"] for row in curve], float)


def calibration(found: dict[str, Any], table: Any, effort: int) -> list[dict[str, float]]:
    """Of each target: share of pictures whose distance to 100 points is over the wanted one by a tenth, by how much."""
    out = []
    for quality in TARGETS:
        wanted = error_of_quality(quality, table)
        rows = [(each, _row(each, effort, quality)) for each in found.values()]
        bound = [r for each, r in rows if each["curve"][-1]["error"] < wanted]  # all levels are enough
        over = np.array([(100 - r["points"]) / (100 - points(wanted)) - 1 for r in bound])
        out.append(
            {
                "q": quality, "wanted": points(wanted), "mean": float(np.mean([r["points"] for r in bound])),
                "pictures": len(bound), "out_of_reach": len(rows) - len(bound), "miss": float((over > MISS).mean()),
                "worst": float(over.max()), "cells_over_10": float(np.mean([r["cells"]["over_10"] for r in bound])),
                "cells_over_50": float(np.mean([r["cells"]["over_50"] for r in bound])),
            }
        )  # fmt: skip
    return out


def _row(each: dict[str, Any], effort: int, quality: float) -> dict[str, Any]:
    return next(r for r in each["rows"] if r["effort"] == effort and abs(r["q"] - quality) < 1e-6)


def worth_of_pictures(found: dict[str, Any], effort: int) -> list[dict[str, float]]:
    """A depth for each picture against the same for all, at the same bytes in all: points, spread and worst tenth."""
    out = []
    for quality in TARGETS:
        rows = [_row(each, effort, quality) for each in found.values()]
        total, low, high = sum(r["bytes"] for r in rows), 0.0, float(len(next(iter(found.values()))["curve"]) - 1)
        for _ in range(40):
            middle = (low + high) / 2
            size = sum(_between(e["curve"], middle, "bytes") for e in found.values())
            low, high = (middle, high) if size < total else (low, middle)
        same = [points(_between(e["curve"], high, "error")) for e in found.values()]
        ours = [r["points"] for r in rows]
        tenth = max(1, len(rows) // 10)
        out.append(
            {
                "q": quality, "bytes": total / len(rows), "levels_of_all": 1 + STEP * high,
                "spread": float(np.std(ours)), "spread_same_depth": float(np.std(same)),
                "worst_tenth": float(np.mean(np.sort(ours)[:tenth])),
                "worst_tenth_same_depth": float(np.mean(np.sort(same)[:tenth])),
                "mean": float(np.mean(ours)), "mean_same_depth": float(np.mean(same)),
            }
        )  # fmt: skip
    return out


def worth_of_cells(found: dict[str, Any], effort: int) -> list[dict[str, float]]:
    """Bytes of depths per cell against one depth for the picture, at its own look and at its own MS-SSIM."""
    out = []
    for quality in TARGETS:
        pairs = [(each["curve"], _row(each, effort, quality)) for each in found.values()]
        record: dict[str, float] = {"q": quality, "mixed": float(np.mean([r["mixed"] for _, r in pairs]))}
        for name in ("error", "ms_ssim"):
            gains = np.array([r["bytes"] / at_equal(curve, name, r[name]) - 1 for curve, r in pairs])
            record |= {name: float(gains.mean()), f"{name}_best": float(gains.min())}
            record[f"{name}_worst"] = float(gains.max())
        out.append(record)
    return out


def monotone(found: dict[str, Any], effort: int) -> dict[str, Any]:
    """Falls of the bytes of any picture, and of the mean points, from one quality to the next."""
    rows = {
        name: [r for r in each["rows"] if r["effort"] == effort and abs(r["q"] * 20 - round(r["q"] * 20)) < 1e-6]
        for name, each in found.items()
    }
    falls = [
        f"{name} {a['q']:.2f} to {b['q']:.2f}: {a['bytes']} to {b['bytes']}"
        for name, each in rows.items()
        for a, b in zip(each, each[1:], strict=False)
        if b["bytes"] < a["bytes"]
    ]
    qualities = [r["q"] for r in next(iter(rows.values()))]
    mean = [float(np.mean([each[i]["points"] for each in rows.values()])) for i in range(len(qualities))]
    bpp = [
        float(np.mean([8 * each[i]["bytes"] / found[name]["pixels"] for name, each in rows.items()]))
        for i in range(len(qualities))
    ]
    falling = [q for q, a, b in zip(qualities[1:], mean, mean[1:], strict=False) if b < a]
    return {"q": qualities, "points": mean, "bpp": bpp, "bytes_fall": falls, "mean_points_fall_at": falling}

"""BD-rate (Bjontegaard 2001): the mean difference of log-rate between two curves, pchip over the range both have.

A rival may be several curves (the codec itself, and with the picture shrunk first): the cheapest counts everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

SAMPLES = 4001
Points = Iterable[tuple[float, float]]  # (rate > 0, metric)


@dataclass(frozen=True, slots=True)
class BdRate:
    """`rate` is the relative difference (-0.5: half the bytes); the curves were compared for metrics low to high."""

    rate: float
    low: float
    high: float


class Curve:
    """Natural log of the rate over the metric, of points from which those that a cheaper one beats are left out."""

    def __init__(self, points: Points, lower_is_better: bool = False):
        sign = -1.0 if lower_is_better else 1.0
        kept: list[tuple[float, float]] = []
        for rate, metric in sorted(((r, sign * m) for r, m in points), key=lambda p: (p[0], -p[1])):
            if not kept or metric > kept[-1][1]:
                kept.append((rate, metric))
        if len(kept) < 2:
            raise ValueError("a curve needs two points of rising rate and quality")
        rates, metrics = np.array(kept).T
        self.low, self.high = float(metrics[0]), float(metrics[-1])
        self._interpolate = PchipInterpolator(metrics, np.log(rates), extrapolate=False)

    def __call__(self, metrics: np.ndarray) -> np.ndarray:
        """Log-rates at metrics of positive sense; +inf outside of the curve."""
        values = self._interpolate(metrics)
        return np.where(np.isnan(values), np.inf, values)


def bd_rate(anchor: Sequence[Points], test: Points, lower_is_better: bool = False) -> BdRate | None:
    """Mean relative rate of the curve `test` against the envelope of the curves in `anchor`; negative: fewer bytes.

    Points are (rate, metric).  None when the ranges do not overlap or a curve has fewer than two rising points.
    """
    try:
        ours, theirs = Curve(test, lower_is_better), [Curve(points, lower_is_better) for points in anchor]
    except ValueError:
        return None
    low = max(ours.low, min((curve.low for curve in theirs), default=np.inf))
    high = min(ours.high, max((curve.high for curve in theirs), default=-np.inf))
    if not low < high:
        return None
    grid = np.linspace(low, high, SAMPLES)
    ours_at, theirs_at = ours(grid), np.min([curve(grid) for curve in theirs], axis=0)
    both = np.isfinite(ours_at) & np.isfinite(theirs_at)
    if np.count_nonzero(both) < 2:
        return None
    # the trapezoid rule over the samples; where two curves leave a gap between them, the gap is left out
    weights = np.where(both, 1.0, 0.0)
    weights[[0, -1]] /= 2
    difference = np.where(both, ours_at, 0.0) - np.where(both, theirs_at, 0.0)
    rate = float(np.exp(np.sum(weights * difference) / np.sum(weights)) - 1)
    return BdRate(rate, -high, -low) if lower_is_better else BdRate(rate, low, high)

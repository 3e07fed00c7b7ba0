"""Which cells a patch takes: those whose error and bits are worth less than the patch's own, cell by cell.

A cell's worth is D + lambda R in the unit of the token plan: D what the cell adds to the picture's error, R its bits,
lambda what a bit of the tokens gains where the plan stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL
from ltokc.metrics import by_cell
from ltokc.metrics.ssimulacra2 import LEAST_SIDE, Reference
from ltokc.rate.curves import RDCurves
from ltokc.rate.plan import Plan

BAND = 16  # rows of cells that are compared at a time
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Worth:
    """Distortion and bits of each cell (rows, columns)."""

    distortion: Floats
    bits: Floats

    def cost(self, multiplier: float) -> Floats:
        """D + lambda R."""
        return self.distortion + multiplier * self.bits


def worth_of_tokens(curves: RDCurves, plan: Plan) -> Worth:
    """Of the tokens that a plan keeps."""
    if plan.keep is not None:
        levels = np.arange(1, len(curves.bits) + 1)
        bits = np.apply_along_axis(lambda each: np.interp(plan.keep, levels, each), 0, curves.bits)
        return Worth(curves.at(plan.keep), bits)
    return Worth(*(np.take_along_axis(values, plan.depths[None] - 1, 0)[0]
                   for values in (curves.distortion, curves.bits)))  # fmt: skip


def multiplier_of(curves: RDCurves, plan: Plan) -> float:
    """Lambda: how much distortion of all cells a bit saves about where the plan ends."""
    levels = len(curves.bits)
    keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
    low, high = max(1.0, keep - 1), min(float(levels), keep + 1)
    bits = np.interp([low, high], np.arange(1, levels + 1), curves.bits.sum((1, 2)))
    return float((curves.at(low).sum() - curves.at(high).sum()) / max(bits[1] - bits[0], 1.0))


def worth_of_patch(rgb: Pixels, shown: Pixels, size: int, detail: Floats, sensitivity: np.ndarray) -> Worth:
    """Of a patch of `size` bytes over the cells that have any `detail`; it shows `shown`, the picture being `rgb`.

    Bytes are shared out by detail (`ltokc.rate.patches.drawn.Drawing`).
    """
    share = detail / max(float(detail.sum()), 1.0)
    return Worth(difference(rgb, shown, sensitivity), 8.0 * size * share)


def difference(rgb: Pixels, shown: Pixels, sensitivity: np.ndarray) -> Floats:
    """What each cell (rows, columns) of a decoded picture adds to the error, found in bands of rows."""
    parts: list[Floats] = []
    step = BAND * CELL
    for top in range(0, len(rgb), step):
        one, other = rgb[top : top + step], shown[top : top + step]
        if min(one.shape[:2]) < LEAST_SIDE:
            rows = math.ceil(len(one) / CELL)
            parts.append(np.repeat(parts[-1][-1:], rows, 0))
        else:
            parts.append(by_cell.moments(Reference(one), other).distortion(sensitivity))
    return np.concatenate(parts)

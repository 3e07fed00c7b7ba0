"""What cells are worth, by tokens and in a patch, so that a patch takes those where it is worth more.

A cell costs E + lambda R.  E is the error that it would have as a picture of its own (SSIMULACRA2's weighted sum of
norms), R its bits, and lambda what a bit must gain at the wanted quality.
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

# by quality, the logarithm of what a byte must gain, error times pixels: from about what it gains in photographs at low
# qualities to less than that from 0.4 on, where letters are to be legible
GAINS = tuple((quality, math.log(gain)) for quality, gain in (
    (0.0, 80000.0), (0.1, 20000.0), (0.2, 3700.0), (0.35, 900.0), (0.4, 450.0), (0.6, 220.0), (0.8, 150.0), (0.9, 100.0)
))  # fmt: skip
# error of drawn cells by tokens at least, by quality, whatever the metric says: it hardly sees red on blue; from 0.4 on
# so much that lines are never left to tokens
ILLEGIBLE = ((0.35, 25.0), (0.4, 100.0))
BAND = 16  # rows of cells that are compared at a time
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Worth:
    """Error and bits of each cell (rows, columns)."""

    errors: Floats
    bits: Floats

    def cost(self, multiplier: float) -> Floats:
        """E + lambda R."""
        return self.errors + multiplier * self.bits


def multiplier_of(quality: float) -> float:
    """Lambda: error that a cell has less for a bit more."""
    gained = float(np.exp(np.interp(quality, [q for q, _ in GAINS], [gain for _, gain in GAINS])))
    return gained / 8 / CELL**2


def worth_of_tokens(curves: RDCurves, plan: Plan, drawn: Mask, quality: float) -> Worth:
    """Of the tokens that a plan keeps for a quality; drawn: (rows, columns) cells of lettering and drawings."""
    found = _measured(curves, plan)
    least = np.interp(quality, [q for q, _ in ILLEGIBLE], [error for _, error in ILLEGIBLE])
    return Worth(np.where(drawn, np.maximum(found.errors, least), found.errors), found.bits)


def _measured(curves: RDCurves, plan: Plan) -> Worth:
    if plan.keep is not None:
        low = min(int(plan.keep) - 1, len(curves.bits) - 2)
        share = plan.keep - 1 - low
        distortion, bits = curves.at(plan.keep), curves.bits[low] * (1 - share) + curves.bits[low + 1] * share
    else:
        distortion, bits = (np.take_along_axis(values, plan.depths[None] - 1, 0)[0]
                            for values in (curves.distortion, curves.bits))  # fmt: skip
    found = curves.moments_at(distortion)
    if found is None:  # an error grows about as the fourth root of the distortion
        keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
        return Worth(curves.error_at(keep) * (distortion / curves.at(keep).mean()) ** 0.25, bits)
    return Worth(found.errors(), bits)


def worth_of_patch(rgb: Pixels, shown: Pixels, size: int, detail: Floats) -> Worth:
    """Of a patch of `size` bytes over the cells that have any `detail`; it shows `shown`, the picture being `rgb`.

    Bytes are shared out by detail (`ltokc.rate.patches.drawn.Drawing`).
    """
    share = detail / max(float(detail.sum()), 1.0)
    return Worth(errors_of(rgb, shown), 8.0 * size * share)


def errors_of(rgb: Pixels, shown: Pixels) -> Floats:
    """The error of each cell (rows, columns) of a decoded picture, found in bands of rows."""
    parts: list[Floats] = []
    step = BAND * CELL
    for top in range(0, len(rgb), step):
        one, other = rgb[top : top + step], shown[top : top + step]
        if min(one.shape[:2]) < LEAST_SIDE:
            rows = math.ceil(len(one) / CELL)
            parts.append(np.repeat(parts[-1][-1:], rows, 0))
        else:
            parts.append(by_cell.moments(Reference(one), other).errors())
    return np.concatenate(parts)

"""How a decoded picture looks beside its original, as one number to minimise, and its derivative by every pixel.

    distance from 100 points of SSIMULACRA2, in hundreds  +  STRUCTURE_WEIGHT * (1 - SSIM of the luma at three scales)
    +  MSE_WEIGHT * mean squared difference of 8-bit values

It is what `ltokc.rate.refine` lowers with torch; here it takes numpy alone, and about as long as two measurements.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.metrics.by_cell import DECIDING
from ltokc.metrics.ssimulacra2_gradient import check_pair, distance_gradient
from ltokc.metrics.strips import row_strips
from ltokc.metrics.structure import LUMA, structural_gradient

Array = npt.NDArray[np.float32]
MSE_WEIGHT = 0.0035  # of the mean squared difference of 8-bit values
STRUCTURE_WEIGHT = 2.0  # of 1 - SSIM
HALF_PEAK = 127.5  # 8-bit values to a unit of [-1, 1]


def loss_gradient(
    original: npt.NDArray[np.uint8], shown: Array, wanted: npt.NDArray[np.bool_] = DECIDING
) -> tuple[float, Array]:
    """The loss above, and its derivative by every sample of `shown`, (H, W, 3) float32.

    original: (H, W, 3) uint8, sides of 8 and more.  shown: (H, W, 3) float32, what a decoder gives before it is clamped
    and rounded: black -1 to white 1.  SSIMULACRA2 sees it clamped, the other terms as it is.  wanted: the terms of
    SSIMULACRA2 that count, (3 channels, 6 scales, 2 norms, 3 maps); those left out by default move a score by
    thousandths of a point.  A call keeps about 80 bytes a pixel.  Raises ValueError on shapes that differ or are too
    small.
    """
    check_pair(original, shown)
    squared, lumas = _squared_error(original, shown)
    structure, by_luma = structural_gradient(*lumas)
    del lumas
    distance, planes = distance_gradient(original, shown, wanted)
    out: Array = np.empty(shown.shape, np.float32)
    for rows in row_strips(shown.shape):
        pixels = out[rows]
        np.multiply(original[rows], np.float32(-1 / HALF_PEAK), out=pixels)
        pixels += shown[rows]
        pixels += np.float32(1)
        pixels *= np.float32(MSE_WEIGHT * 2 * HALF_PEAK**2 / shown.size)
        for c in range(3):
            plane = by_luma[rows] * np.float32(STRUCTURE_WEIGHT * LUMA[c] / 2)
            plane += planes[c, rows]
            pixels[..., c] += plane
    return distance + STRUCTURE_WEIGHT * structure + MSE_WEIGHT * squared, out


def _squared_error(original: npt.NDArray[np.uint8], shown: Array) -> tuple[float, Array]:
    """Mean squared difference of 8-bit values, and the luma of both pictures, black 0 to white 1, (2, H, W)."""
    lumas: Array = np.empty((2, *shown.shape[:2]), np.float32)
    weights = np.array(LUMA, np.float32) / np.float32(2 * HALF_PEAK)
    squared = 0.0
    for rows in row_strips(shown.shape):
        values = (shown[rows] + np.float32(1)) * np.float32(HALF_PEAK)
        codes = original[rows].astype(np.float32)
        np.matmul(codes, weights, out=lumas[0, rows])
        np.matmul(values, weights, out=lumas[1, rows])
        values -= codes
        squared += float(np.einsum("yxc,yxc->y", values, values).sum(dtype=np.float64))
    return squared / shown.size, lumas

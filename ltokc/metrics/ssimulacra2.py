"""SSIMULACRA2 2.1 (Sneyers, Cloudinary 2022/2023) with numpy alone: how alike two pictures look, in points.

100 is equal, 90 near lossless, 70 good, 50 medium, 30 low, under 0 bad.  Constants and weights are the published ones
of the reference program (libjxl, tools/ssimulacra2.cc); so is the blur (`ltokc.metrics.ssimulacra2_blur`), with zeros
beyond every border.  Arithmetic is float32.  The maps are those of `ltokc.metrics.ssimulacra2_tiles`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2_tiles import LEAST_SIDE, cell_sums, scale_sizes
from ltokc.metrics.ssimulacra2_weights import WEIGHTS

POWER = 0.6276336467831387  # of the last step
LEAST_STRETCHED = 1e-3  # a loss takes less for this much, since the slope of the power is endless at 0


def score_of(norms: npt.NDArray[np.float64]) -> float:
    """Mean and fourth-power norm of every map, (3 channels, scales, 2 norms, 3 maps), to points."""
    return points(float((WEIGHTS[:, : norms.shape[1]] * norms).sum()))


def points(error: float) -> float:
    """The last step: weighted sum of norms to points."""
    total = stretched(error)
    return 100.0 - 10.0 * total**POWER if total > 0 else 100.0


def stretched(error: Any) -> Any:
    """The cubic of the last step, of a number, an array or a tensor; its power follows."""
    total = error * 0.9562382616834844
    return 2.326765642916932 * total - 0.020884521182843837 * total**2 + 6.248496625763138e-05 * total**3


def stretched_slope(error: float) -> float:
    """The derivative of `stretched`."""
    total = error * 0.9562382616834844
    return 0.9562382616834844 * (
        2.326765642916932 - 2 * 0.020884521182843837 * total + 3 * 6.248496625763138e-05 * total**2
    )


class Reference:
    """An original (H, W, 3) uint8 with sides of 8 or more.  Raises ValueError on smaller ones."""

    def __init__(self, rgb: npt.NDArray[np.uint8]):
        if min(rgb.shape[:2]) < LEAST_SIDE:
            raise ValueError(f"SSIMULACRA2 needs sides of {LEAST_SIDE} or more, not {rgb.shape[1]}x{rgb.shape[0]}")
        self.rgb = rgb

    def sums(self, rgb: npt.NDArray[np.uint8], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Sums of the maps over the cells, see `cell_sums`.  Raises ValueError on another shape."""
        if rgb.shape != self.rgb.shape:
            raise ValueError(f"pictures of different shapes: {self.rgb.shape} and {rgb.shape}")
        return cell_sums(self.rgb, rgb, wanted)

    def norms(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """(3 channels, scales, 2 norms, 3 maps) float64 of a decoded picture of the same shape.

        Those whose weight is 0 are left out, and 0.
        """
        sizes = scale_sizes(*rgb.shape[:2])
        samples = np.array([height * width for height, width in sizes], np.float64)
        norms = self.sums(rgb, WEIGHTS != 0).sum((0, 1), dtype=np.float64)[:, : len(sizes)]
        norms /= samples[:, None, None]
        norms[:, :, 1] = np.maximum(norms[:, :, 1], 0) ** 0.25
        return norms

    def score(self, rgb: npt.NDArray[np.uint8]) -> float:
        """Points of a decoded picture (H, W, 3) uint8.  Raises ValueError on another shape."""
        return score_of(self.norms(rgb))

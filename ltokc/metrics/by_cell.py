"""How a decoded picture looks, as a whole and cell by cell: SSIMULACRA2 taken apart into 64x64 cells.

SSIMULACRA2's error is a weighted sum of norms of maps, means and fourth-power norms.  Near one point it is linear in
what every cell adds to the means of the maps and of their fourth powers: those parts are a cell's *price*.  The point
is one for all pictures (`slopes`), so that prices add up and mean the same everywhere; a picture's *error* is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2 import WEIGHTS, Reference
from ltokc.metrics.ssimulacra2_tiles import SCALES, scale_sizes

PARTS = (3, SCALES, 2, 3)  # of moments: channels, scales, mean and mean fourth power, maps
DECIDING = WEIGHTS >= 0.01  # the others move a score by thousandths of a point, and take most of the time
LEAST_PART, NEWTON_STEPS = 1e-12, 12  # of a distortion; many enough for single precision at any ratio
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of every cell, map, channel and scale the mean and the mean fourth power: (rows, columns, *PARTS) float32,
    such that their mean over the cells is that of the picture.

    colours: means over 16x16 pixels of what was decoded (`ltokc.metrics.colour.pooled`), where they were kept; kept:
    levels that each cell had then, (rows, columns).
    """

    cells: npt.NDArray[np.float32]
    colours: npt.NDArray[np.float32] | None = None
    kept: Floats | None = None

    def norms(self) -> Floats:
        """SSIMULACRA2's norms of the picture, (3, 6, 2, 3)."""
        mean = self.cells.mean((0, 1), dtype=np.float64)
        mean[:, :, 1] = np.maximum(mean[:, :, 1], 0) ** 0.25
        return mean

    def error(self) -> float:
        """SSIMULACRA2's weighted sum of norms: 0 is equal, about 8 is 40 points, 21 is 0 points."""
        return float((WEIGHTS * self.norms()).sum())

    def errors(self) -> Floats:
        """The error that each cell would have as a picture of its own, (rows, columns)."""
        means = self.cells.astype(np.float64)
        means[..., 1, :] = np.maximum(means[..., 1, :], 0) ** 0.25
        return np.einsum("yxcsnm,csnm->yx", means, WEIGHTS)

    def scaled(self, ratio: np.ndarray, sensitivity: np.ndarray) -> Moments:
        """Where every cell has `ratio` (rows, columns) times its distortion, from an error of the same shape.

        The maps of a cell are then a times what they are, their mean fourth powers a^4 times; a solves the equation
        m a + n a^4 = ratio (m + n), m and n being the distortion's parts from means and from fourth powers.
        """
        parts = np.einsum("yxcsnm,csnm->nyx", self.cells, sensitivity, dtype=np.float64)
        mean, fourth = np.maximum(parts, LEAST_PART)
        wanted = ratio * (mean + fourth)
        amplitude = np.minimum(wanted / mean, (wanted / fourth) ** 0.25)  # at least the root: Newton's steps fall to it
        for _ in range(NEWTON_STEPS):
            over = mean * amplitude + fourth * amplitude**4 - wanted
            amplitude = amplitude - over / (mean + 4 * fourth * amplitude**3)
        factors = np.stack([amplitude, amplitude**4], -1).astype(np.float32)
        return replace(self, cells=self.cells * factors[:, :, None, None, :, None])

    def distortion(self, sensitivity: np.ndarray) -> Floats:
        """What each cell adds to the error, (rows, columns), with `sensitivity` (3, 6, 2, 3) of its moments."""
        return np.einsum("yxcsnm,csnm->yx", self.cells, sensitivity, dtype=np.float64)


def moments(reference: Reference, rgb: npt.NDArray[np.uint8]) -> Moments:
    """Compares a decoded picture (H, W, 3) with the original of the same shape.

    Cells that the border cuts count as what they have; scales that the picture is too small for are 0, and so is what
    has hardly any weight.
    """
    cells = reference.sums(rgb, DECIDING)
    for i, (height, width) in enumerate(scale_sizes(*rgb.shape[:2])):
        cells[:, :, :, i] *= np.float32(cells.shape[0] * cells.shape[1] / (height * width))
    return Moments(cells)


def sensitivity_at(norms: np.ndarray) -> npt.NDArray[np.float32]:
    """Slopes of the error in the moments at a point of given `norms` (3, 6, 2, 3)."""
    out = WEIGHTS.copy()
    out[:, :, 1] *= 0.25 * np.maximum(norms[:, :, 1], 1e-3) ** -3
    return out.astype(np.float32)

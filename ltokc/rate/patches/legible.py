"""Whether lettering can still be read in a lossy patch: how far its luma is off, beside its contrast in luma.

Red letters on blue differ in colour much more than in luma.  A lossy codec gives luma the step that its quality has,
however low the contrast is, and the look hardly counts that.  Eyes and readers of text need the luma.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL
from ltokc.rate.patches.drawn import STRIP

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEAST_CONTRAST = 5.0  # of 255, standard deviation of a channel in a cell that counts: flat ones have nothing to read
LEAST_VARIANCE = 9.0  # of luma at least, so that a step of rounding is no large error
MOST_ERROR = 0.06  # of the variance, mean over cells: beyond it, letters of 8 to 18 px were misread
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def is_legible(rgb: Pixels, shown: Pixels, lines: Mask, margin: float = 1.0) -> bool:
    """Whether the cells of lines (rows, columns) of a picture (H, W, 3) can be read in what is `shown`.

    margin: times the error at which they just can.
    """
    return luma_error(rgb, shown, lines) <= MOST_ERROR * margin


def luma_error(rgb: Pixels, shown: Pixels, lines: Mask) -> float:
    """Squared error of luma as a share of its variance, mean over the cells of lines that have contrast; 0: none has.

    Cells that the border cuts are left out.
    """
    found: list[npt.NDArray[np.float64]] = []
    for first in range(0, len(lines), STRIP):
        part = slice(first * CELL, (first + STRIP) * CELL)
        one, other = _cells(rgb[part]), _cells(shown[part])
        if one.size == 0:
            continue
        rows, columns = one.shape[:2]
        contrast = one.std(2).max(2)
        counted = lines[first : first + rows, :columns] & (contrast >= LEAST_CONTRAST)
        luma, off = (one[counted] @ LUMA), (other[counted] - one[counted]) @ LUMA
        found.append((off**2).mean(1) / np.maximum(luma.var(1), LEAST_VARIANCE))
    ratios = np.concatenate(found) if found else np.zeros(0)
    return float(ratios.mean()) if ratios.size else 0.0


def _cells(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Whole cells of pixels: (rows, columns, pixels, 3)."""
    rows, columns = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    cut = pixels[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL, 3)
    return cut.transpose(0, 2, 1, 3, 4).reshape(rows, columns, CELL * CELL, 3).astype(np.float32)

"""Filling up to whole cells: pixels beyond the right and lower border, which are coded and never shown.

The border is repeated up to the next multiple of 16 px, and in a picture thinner than that as often as it has rows or
columns; from there each row or column is a smoother copy of the one before.  So what the tokens near the border see
goes on, and detail that nobody sees costs nothing: repeated 64 times a row of noise would cost as much as 64 rows.
"""

from __future__ import annotations

import numpy as np

REPEATED = 16  # px, the stride of the middle level


def filled_up(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Pixels (H, W, 3) uint8 as the upper left part of (rows, columns, 3)."""
    wider = _longer(pixels.swapaxes(0, 1), columns).swapaxes(0, 1)
    return _longer(wider, rows)


def _longer(pixels: np.ndarray, length: int) -> np.ndarray:
    """More rows at the end of (H, W, 3), up to so many."""
    height = len(pixels)
    if height == length:
        return pixels
    out = np.empty((length, *pixels.shape[1:]), np.uint8)
    out[:height] = pixels
    smooth = height + min(-height % REPEATED, height)
    out[height:smooth] = pixels[-1]
    row = pixels[-1].astype(np.float32)
    for y in range(smooth, length):
        row = (np.concatenate([row[:1], row[:-1]]) + 2 * row + np.concatenate([row[1:], row[-1:]])) / 4
        out[y] = np.rint(row)
    return out

"""Spread order of the tokens inside a level: any prefix covers the whole picture.

Positions are ranked by an 8x8 Bayer (ordered-dither) matrix, ties in raster order.  Its first half is the even squares
of the checkerboard, so the two passes of the prior's spatial context (`ltokc.entropy.prior`) are a prefix of the order.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

BAYER_SIDE = 8


def _bayer(side: int) -> np.ndarray:
    if side == 1:
        return np.zeros((1, 1), np.int64)
    smaller = _bayer(side // 2)
    return np.block([[4 * smaller, 4 * smaller + 2], [4 * smaller + 3, 4 * smaller + 1]])


BAYER = _bayer(BAYER_SIDE)  # (8, 8) int64, a permutation of 0..63; ranks under 32 are the squares with (x + y) even


def spread_rank(height: int, width: int) -> np.ndarray:
    """Rank of the Bayer matrix at every position: (height, width) int64 in [0, 64)."""
    rows, columns = np.arange(height) % BAYER_SIDE, np.arange(width) % BAYER_SIDE
    return BAYER[np.ix_(rows, columns)]


@lru_cache(maxsize=32)
def spread_order(height: int, width: int) -> np.ndarray:
    """Flat raster indices of an (height, width) grid in coding order: (height * width,) int64, read-only."""
    order = np.argsort(spread_rank(height, width).ravel(), kind="stable")
    order.setflags(write=False)
    return order

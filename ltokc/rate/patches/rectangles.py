"""Cells as rectangles: few of them, in the order that a chunk of patches wants."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CellBox


def rectangles_of(cells: npt.NDArray[np.bool_]) -> tuple[CellBox, ...]:
    """The set cells of a map (rows, columns), by rising top, then left; none overlap.

    Each takes what is free to its right, then the rows below as far as they are free over its whole width.
    """
    left_over, out = cells.copy(), []
    for top, left in np.argwhere(cells):
        if not left_over[top, left]:
            continue
        row = left_over[top, left:]
        columns = len(row) if row.all() else int(row.argmin())
        below = left_over[top:, left : left + columns].all(1)
        rows = len(below) if below.all() else int(below.argmin())
        left_over[top : top + rows, left : left + columns] = False
        out.append(CellBox(int(left), int(top), columns, rows))
    return tuple(out)

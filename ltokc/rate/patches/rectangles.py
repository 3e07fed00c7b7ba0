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
    for top, left in np.argwhere(cells).tolist():
        if not left_over[top, left]:
            continue
        columns = _run(left_over[top, left:])
        rows = _run(np.all(left_over[top:, left : left + columns], axis=1))
        left_over[top : top + rows, left : left + columns] = False
        out.append(CellBox(left, top, columns, rows))
    return tuple(out)


def _run(values: npt.NDArray[np.bool_]) -> int:
    """How many are set before the first that is not."""
    return values.size if values.all() else int(values.argmin())

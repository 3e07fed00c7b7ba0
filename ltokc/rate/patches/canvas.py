"""The picture of a patch before it is coded: the cells that it shows, and between them what costs least."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL, CellBox

Mask = npt.NDArray[np.bool_]


def canvas_of(rgb: npt.NDArray[np.uint8], cells: Mask, box: CellBox) -> npt.NDArray[np.uint8]:
    """The pixels of a box of cells of a picture (H, W, 3); a cell that is not in `cells` has one colour.

    That is the median of its neighbours' pixels at their border, so that no edge arises.
    """
    out = rgb[box.at(CELL)]
    shown = cells[box.at(1)]
    if shown.all():
        return out
    out, known = out.copy(), shown.copy()
    todo = [(int(y), int(x)) for y, x in np.argwhere(~shown)]
    while todo:
        later = []
        for y, x in todo:
            border = _border(out, known, y, x)
            if border is None:
                later.append((y, x))
                continue
            out[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] = np.median(border, 0).astype(np.uint8)
            known[y, x] = True
        todo = later
    return out


def _border(pixels: npt.NDArray[np.uint8], known: Mask, y: int, x: int) -> npt.NDArray[np.uint8] | None:
    """Pixels (n, 3) of the four neighbours that are known where they touch a cell; None: there are none."""
    rows, columns = known.shape
    across, down = slice(x * CELL, (x + 1) * CELL), slice(y * CELL, (y + 1) * CELL)
    parts = []
    if y > 0 and known[y - 1, x]:
        parts.append(pixels[y * CELL - 1, across])
    if y + 1 < rows and known[y + 1, x]:
        parts.append(pixels[(y + 1) * CELL, across])
    if x > 0 and known[y, x - 1]:
        parts.append(pixels[down, x * CELL - 1])
    if x + 1 < columns and known[y, x + 1]:
        parts.append(pixels[down, (x + 1) * CELL])
    return np.concatenate(parts) if parts else None

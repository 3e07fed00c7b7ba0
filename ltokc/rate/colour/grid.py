"""The colour grid of a file (chunk cOLr): what large areas of the decode lack, where that is worth its bytes.

The values at the centres of the cells are those whose blend is nearest to the lacking means of 16x16 pixels (least
squares, and a ridge that keeps them from swinging).  Of several roundings that is taken whose error and bytes cost
least:

    sum of squared differences, CIE76, over areas of 16x16 pixels  +  worth of a byte, times bytes of the chunk
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.container import colour
from ltokc.container.chunks import COLOUR
from ltokc.container.records import Chunk, Ltk
from ltokc.geometry import CELL
from ltokc.metrics.colour import SIDE
from ltokc.rate.colour.digits import GRAY, Means, total

SMOOTH_BYTE = 1.0  # worth of a byte in flat fields and gradients, where nothing hides an error
SHARE = 22.0  # in other pictures: worth of as many bytes as the tokens take, for every area
OVERHEAD = 10  # bytes of a chunk beside its data
QUARTERS = 4  # of an 8-bit step, is the unit of the grid
ROUNDINGS = (1, 2, 4, 8, 16)  # units
ZERO = 0.7  # of a rounding: values below are left out
RIDGE = 0.02
LARGEST = 127
LARGEST_DATA = 1 << 31
MOST = 0.25
Floats = npt.NDArray[np.float32]


def with_grid(ltk: Ltk, means: Means | None, size: int | None = None) -> Ltk:
    """The record with a colour grid, if that pays.

    means: of the picture and of what its tokens decode to, as far as is known, None where nothing is; size: of the
    file, in bytes, of which a grid takes `MOST` at most.
    """
    most = LARGEST_DATA if size is None else int(MOST * size)
    data = None if means is None else best_grid(means, most).data
    return ltk if data is None else ltk.with_chunks((Chunk(COLOUR, data), *ltk.chunks))


def worth_of_byte(areas: int, tokens: float, smooth: bool) -> float:
    """What a byte of the grid has to save, as a sum of squared differences over `areas`; tokens: their bytes."""
    return SMOOTH_BYTE if smooth else SHARE * areas / max(tokens, 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """data: of the chunk, None for no grid; cost: error that is left, and bytes, as squared differences, CIE76; given:
    what it adds to the means, (rows * 4, columns * 4, 3) or nothing.
    """

    data: bytes | None
    cost: float
    given: Floats | float = 0.0


def best_grid(means: Means, most: int = LARGEST_DATA) -> Grid:
    """The grid whose cost is least, or none; of `most` bytes at most with all that a chunk takes."""
    residual, metric = means.residual, means.metric
    y, x = (_blend(count) for count in residual.shape[:2])
    field = (residual @ GRAY)[..., None] if means.gray else residual
    exact = np.einsum("iy,yxc,jx->cij", _inverse(y), field, _inverse(x), optimize=True) * QUARTERS
    best = Grid(None, total(residual, metric))
    for values in _rounded(exact):
        data = colour.encode(values)
        given = np.einsum("yi,cij,xj->yxc", y, values.astype(np.float32) / QUARTERS, x, optimize=True)
        if len(data) + OVERHEAD > most:
            continue
        cost = total(residual - given, metric) + means.byte * (len(data) + OVERHEAD)
        if cost < best.cost:
            best = Grid(data, cost, given)
    return best


def _rounded(exact: Floats) -> list[npt.NDArray[np.int8]]:
    """Candidates: (planes, rows, columns) in several roundings, with and without small values, and all cells alike."""
    out = []
    for source in (exact, np.broadcast_to(exact.mean((1, 2), keepdims=True), exact.shape)):
        for unit in ROUNDINGS:
            most = LARGEST // unit
            steps = np.clip(source / unit, -most, most)
            out.append((np.rint(steps) * unit).astype(np.int8))
            out.append((np.where(abs(steps) < ZERO, 0, np.rint(steps)) * unit).astype(np.int8))
    return out


def _blend(areas: int) -> Floats:
    """What each cell's value adds to the mean of each area along a side: (areas, cells)."""
    cells = areas * SIDE // CELL
    at = (np.arange(areas * SIDE) + 0.5) / CELL - 0.5
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)
    out = np.zeros((areas * SIDE, cells), np.float32)
    pixels = np.arange(areas * SIDE)
    np.add.at(out, (pixels, low.clip(0, cells - 1)), 1 - share)
    np.add.at(out, (pixels, (low + 1).clip(0, cells - 1)), share)
    return out.reshape(areas, SIDE, cells).mean(1)


def _inverse(blend: Floats) -> Floats:
    """Least squares of `_blend`, with a ridge: (cells, areas)."""
    return np.linalg.solve(blend.T @ blend + RIDGE * np.eye(blend.shape[1], dtype=np.float32), blend.T)

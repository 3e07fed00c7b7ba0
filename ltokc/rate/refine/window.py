"""Windows of the search for digits: large pictures are searched part by part, each with some context around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ltokc.geometry import CELL, CellBox, Grid
from ltokc.token_grid import Digits, Masks, Tokens


class Side(NamedTuple):
    """One side of a window in cells: [first, last) whose digits may change, those computed, those that the loss counts.

    `counted` is told from the first cell that is computed.
    """

    core: tuple[int, int]
    seen: tuple[int, int]
    counted: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SearchTiling:
    """Cells of a window's side, of the context around it, and of that context what the loss counts.

    Pictures of up to `whole` cells are one window.
    """

    core: int = 10
    margin: int = 2
    counted: int = 1
    whole: int = 160

    def windows(self, grid: Grid) -> list[tuple[Side, Side]]:
        """(y, x) of all windows of a picture of so many cells."""
        if grid.cells <= self.whole:
            rows, columns = ((0, side) for side in grid)
            return [(Side(rows, rows, rows), Side(columns, columns, columns))]
        return [(y, x) for y in self._sides(grid.rows) for x in self._sides(grid.columns)]

    def _sides(self, cells: int) -> list[Side]:
        """Windows of nearly equal cores."""
        edges = np.linspace(0, cells, -(-cells // self.core) + 1).round().astype(int).tolist()
        out = []
        for first, last in zip(edges, edges[1:], strict=False):
            seen = max(0, first - self.margin), min(cells, last + self.margin)
            counted = max(first - self.counted, seen[0]), min(last + self.counted, seen[1])
            out.append(Side((first, last), seen, (counted[0] - seen[0], counted[1] - seen[0])))
        return out


@dataclass(frozen=True, slots=True)
class Window:
    """What the search works on.

    rgb: (h, w, 3) uint8, the window or, at the picture's border, what there is of it; digits: per level int8 (rows,
    columns, d); masks: per level bool (rows, columns), the tokens that will be sent; core: bool (cells), where digits
    may change; counted: rows and columns of cells whose pixels and tokens the loss counts.
    """

    rgb: np.ndarray
    digits: Digits
    masks: Masks
    core: np.ndarray
    counted: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, rgb: np.ndarray, tokens: Tokens, y: Side, x: Side) -> Window:
        """The window of a picture's tokens: views of their grids."""
        box = CellBox(x.seen[0], y.seen[0], x.seen[1] - x.seen[0], y.seen[1] - y.seen[0])
        core = np.zeros(box.grid, bool)
        core[y.core[0] - box.top : y.core[1] - box.top, x.core[0] - box.left : x.core[1] - box.left] = True
        part = tokens.cut(box)
        return cls(rgb[box.at(CELL)], part.digits, part.masks, core, (y.counted, x.counted))

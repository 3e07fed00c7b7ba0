"""Which cells are drawn, not photographed: letters, lines, flat fields of screens.  A test of milliseconds.

A drawn cell has edges, neighbours that are equal to the last bit, and few colours for its pixels that differ from their
neighbours.  Over-exposed skies have equal neighbours too, but as many colours at their border as pixels.  Where lines
are so dense that hardly any neighbours are equal, a cell is drawn that has much of one colour and few others.

Screens and pages that a lossy codec had before have hardly any equal neighbours left, but flat ground with sharp edges,
little between and not many colours: such cells are *inked*.  Photographs have some, of branches before a sky, too few
to count alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL, Size

STRIP = 2  # rows of cells that are looked at at a time, so that memory stays bounded
SAMPLED = 8  # rows, of which the first test looks at one
EDGE = 48  # of 255, least step to a neighbour that counts as an edge
LEAST_EQUAL, LEAST_EDGES = 0.3, 0.01  # shares of a drawn cell's pixels
MOST_COLOURS = 0.3  # different colours for each pixel that differs from a neighbour
MUCH, FEW = 0.12, 0.07  # shares of a densely drawn cell's pixels: of its commonest colour at least, of colours at most
SHARP = 0.3  # of the pixels that differ from a neighbour, edges in a cell of lettering
NEAR = 8  # of 255, most step to a neighbour on flat ground that a lossy codec had before
LEAST_NEAR = 0.3  # share of an inked cell's pixels that are flat ground
INK, CRISP = (0.02, 0.004), (0.4, 0.3)  # edges, of its pixels and of those not on flat ground; also of cells beside it
COARSE, MOST_COARSE = 16, 200  # step of coarse colours, and how many of them an inked cell has at most
LEAST_INKED = 0.2  # share of inked cells from which on a picture has a drawn part
LEAST_DRAWN, LEAST_SHARP = 0.1, 0.03  # shares of the cells from which on a picture has a drawn part
FLAT, LEAST_PAPER = 0.9, 0.2  # equal pixels of a cell of paper; share of these from which on lettering is looked for
LEAST_GRAY = 0.1  # share of cells of lettering in a gray one, where also photographs have few colours
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the pixels of each cell say, (rows, columns) each.

    equal: share of pixels equal to their right and lower neighbour; detail: sum of the logarithms of the steps to the
    neighbours, about in proportion to what a codec spends; drawn, sharp: whether the cell is drawn, and lettering;
    inked: whether it has flat ground with sharp edges, of a picture that was lossy before maybe.
    gray: whether the picture has no colours.
    """

    equal: Floats
    detail: Floats
    drawn: Mask
    sharp: Mask
    inked: Mask
    gray: bool

    @property
    def present(self) -> bool:
        """Whether the picture has a drawn part, of what is not flat; photographs of documents alone have one."""
        least = LEAST_GRAY if self.gray else LEAST_SHARP
        uneven = max(1, int((self.equal < 1).sum()))
        shares = [cells.sum() / uneven for cells in (self.drawn, self.sharp, self.inked)]
        return any(share >= limit for share, limit in zip(shares, (LEAST_DRAWN, least, LEAST_INKED), strict=True))

    @property
    def lines(self) -> Mask:
        """Cells of lettering and lines, which tokens would change."""
        return self.drawn | self.inked

    @property
    def candidates(self) -> Mask:
        """Cells that may go into a patch: those of lines, those around them, and flat ones."""
        return widened(self.lines) | (self.equal >= LEAST_EQUAL)


def maybe_drawn(rgb: npt.NDArray[np.uint8]) -> bool:
    """Whether `drawing_of` may find a drawn part: every eighth row alone, a tenth of its time."""
    rows = rgb[SAMPLED // 2 :: SAMPLED] if len(rgb) > SAMPLED // 2 else rgb
    width = rows.shape[1] // CELL * CELL
    if width == 0:
        return True
    steps = np.zeros((len(rows), width), np.uint8)
    here, there = rows[:, 1:width], rows[:, : width - 1]
    steps[:, 1:] = (np.maximum(here, there) - np.minimum(here, there)).max(2)
    kinds = np.stack([steps == 0, steps <= NEAR, steps >= EDGE])
    groups = np.add.reduceat(kinds, np.arange(0, len(rows), CELL // SAMPLED), 1, int)
    equal, near, edges = groups.reshape(3, groups.shape[1], -1, CELL).sum(3) / (CELL * CELL // SAMPLED)
    drawn = (equal >= LEAST_EQUAL) & (edges >= LEAST_EDGES / 2)
    inked = (near >= LEAST_NEAR) & (edges >= INK[0] / 2) & (edges >= CRISP[1] * (1 - near))
    paper = equal >= FLAT  # lines along the rows and a few letters may lie between those that were looked at
    return bool(drawn.mean() >= LEAST_SHARP / 2 or inked.mean() >= LEAST_INKED / 2 or paper.mean() >= LEAST_PAPER)


def drawing_of(rgb: npt.NDArray[np.uint8]) -> Drawing:
    """Looks at every cell of a picture (H, W, 3)."""
    rows, columns = Size.of(rgb).grid
    equal, detail = np.zeros((rows, columns)), np.zeros((rows, columns))
    drawn, sharp, inked, beside = (np.zeros((rows, columns), bool) for _ in range(4))
    for first in range(0, rows, STRIP):
        strip = rgb[first * CELL : (first + STRIP) * CELL]
        high = min(STRIP, rows - first)
        strip = np.pad(strip, ((0, high * CELL - len(strip)), (0, columns * CELL - strip.shape[1]), (0, 0)), "edge")
        steps = _steps(strip)
        at = slice(first, first + high)
        equal[at] = _means(steps == 0)
        detail[at] = CELL * CELL * _means(_LOGARITHMS[steps])
        edges, rough = _means(steps >= EDGE), _means(steps > NEAR)
        lively = 1 - equal[at]
        loose = (equal[at] >= LEAST_EQUAL) & (edges >= LEAST_EDGES)
        crowded = (edges > 0) & (edges >= SHARP * lively)
        maybe = loose | crowded
        for y, x in np.argwhere(maybe):
            colours = _colours(strip[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL])
            few = 1 < len(colours) <= MOST_COLOURS * lively[y, x] * CELL * CELL  # one: paper beside something
            dense = len(colours) <= FEW * CELL * CELL and colours.max() >= MUCH * CELL * CELL
            maybe[y, x] = few if loose[y, x] else dense
        drawn[at], sharp[at] = maybe, maybe & crowded
        flat = rough <= 1 - LEAST_NEAR
        strong, weak = (flat & (edges >= ink) & (edges >= crisp * rough) for ink, crisp in zip(INK, CRISP, strict=True))
        for y, x in np.argwhere(strong | weak):
            coarse = strip[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] // COARSE
            strong[y, x] &= (few := len(_colours(coarse)) <= MOST_COARSE)
            weak[y, x] &= few
        inked[at], beside[at] = strong, weak
    inked |= beside & widened(inked)
    return Drawing(equal, detail, drawn, sharp, inked, bool((rgb[..., :1] == rgb[..., 1:]).all()))


def widened(cells: Mask) -> Mask:
    """The cells and all that touch them, corners included."""
    rows, columns = cells.shape
    padded = np.pad(cells, 1)
    out = np.zeros_like(cells)
    for y in range(3):
        for x in range(3):
            out |= padded[y : y + rows, x : x + columns]
    return out


_KEY = np.array([1 << 16, 1 << 8, 1], np.int32)  # a colour as one number
_LOGARITHMS = np.log2(1 + np.arange(256, dtype=np.float32))  # of a step


def _steps(strip: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Largest difference of any channel to the right and lower neighbour; there is none beyond the border."""
    out = np.zeros(strip.shape[:2], np.uint8)
    for axis in (0, 1):
        here = strip[:-1] if axis == 0 else strip[:, :-1]
        there = strip[1:] if axis == 0 else strip[:, 1:]
        step = (np.maximum(here, there) - np.minimum(here, there)).max(2)
        part = out[:-1] if axis == 0 else out[:, :-1]
        np.maximum(part, step, out=part)
    return out


def _means(plane: np.ndarray) -> np.ndarray:
    rows, columns = plane.shape[0] // CELL, plane.shape[1] // CELL
    return plane.reshape(rows, CELL, columns, CELL).mean((1, 3), dtype=np.float64)


def _colours(cell: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """How many pixels have each colour of a cell."""
    return np.unique(cell.astype(np.int32) @ _KEY, return_counts=True)[1]

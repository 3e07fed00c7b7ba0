"""Pixels, cells, levels and boxes: the shapes that all rooms share.

A *cell* is a square of 64x64 px, the place of one token of the coarsest level.  A picture is filled up to whole cells
at its right and lower border.  Nothing here needs numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ltokc.arguments import shown
from ltokc.errors import ModelError, UsageError

CELL = 64  # side of a cell in pixels
STRIDES = (4, 8, 16, 32, 64)  # of the networks' states, in pixels, fine to coarse


def cells_of(length: int) -> int:
    """Cells that a side of `length` px takes, the last one filled up."""
    return -(-length // CELL)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of tokens: `digits` FSQ digits of `size` values each, one token per square of `stride` px."""

    stride: int
    digits: int
    size: int

    @property
    def half(self) -> int:
        """Digits lie in [-half, half]."""
        return (self.size - 1) // 2

    @property
    def per_side(self) -> int:
        """Tokens along a side of a cell."""
        return CELL // self.stride

    @property
    def tokens(self) -> int:
        """Tokens of a cell."""
        return self.per_side**2


def check_levels(levels: Sequence[Level]) -> None:
    """Raises ModelError unless strides halve from 64 without a gap and sizes are odd, 3 to 15."""
    strides = [level.stride for level in levels]
    falling = strides == sorted(strides, reverse=True) and set(strides) == {64 >> i for i in range(len(set(strides)))}
    if not levels or not falling or any(level.size not in range(3, 16, 2) or level.digits < 1 for level in levels):
        raise ModelError("the levels of the model are not those of a ladder")


class Grid(NamedTuple):
    """Rows and columns, of cells where nothing else is said."""

    rows: int
    columns: int

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    def at(self, level: Level) -> Grid:
        """Rows and columns of the tokens of a level."""
        return Grid(self.rows * level.per_side, self.columns * level.per_side)


class Box(NamedTuple):
    """A rectangle of pixels, or of positions of a grid."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array (H, W, ...)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Size(NamedTuple):
    """Width and height of a picture in pixels."""

    width: int
    height: int

    @classmethod
    def of(cls, rgb: object) -> Size:
        """Size of an array (H, W, ...)."""
        return cls(rgb.shape[1], rgb.shape[0])  # type: ignore[attr-defined]

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def grid(self) -> Grid:
        """The cells that hold the picture."""
        return Grid(cells_of(self.height), cells_of(self.width))

    @property
    def box(self) -> Box:
        """The whole picture."""
        return Box(0, 0, self.width, self.height)


class CellBox(NamedTuple):
    """A rectangle of cells."""

    left: int
    top: int
    columns: int
    rows: int

    @property
    def grid(self) -> Grid:
        return Grid(self.rows, self.columns)

    def at(self, per_side: int) -> tuple[slice, slice]:
        """Rows and columns of it in an array that has `per_side` positions along a cell."""
        rows = slice(self.top * per_side, (self.top + self.rows) * per_side)
        return rows, slice(self.left * per_side, (self.left + self.columns) * per_side)


def segment_boxes(width: int, height: int, segment_cells: int) -> list[CellBox]:
    """The segments of a file, in raster order.

    segment_cells: side of a segment in cells; 0: one segment, the whole picture.  The segments at the right and lower
    border may be smaller.
    """
    rows, columns = Size(width, height).grid
    side = segment_cells or max(columns, rows)
    return [
        CellBox(left, top, min(side, columns - left), min(side, rows - top))
        for top in range(0, rows, side)
        for left in range(0, columns, side)
    ]


def checked_crop(crop: Sequence[int] | None, size: Size) -> Box:
    """The region of a picture that is wanted, None for all of it.

    Raises UsageError for one that is no region or reaches outside.
    """
    if crop is None:
        return size.box
    try:
        box = Box(*(int(v) for v in crop))
        whole_numbers = tuple(box) == tuple(crop)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{shown(crop)} is no region (left, top, width, height)") from None
    if not whole_numbers or min(box.left, box.top) < 0 or min(box.width, box.height) < 1:
        raise UsageError(f"{shown(crop)} is no region: left and top are whole numbers from 0, width and height from 1")
    if box.left + box.width > size.width or box.top + box.height > size.height:
        raise UsageError(
            f"the region {box.left},{box.top},{box.width},{box.height} reaches outside of the picture's "
            f"{size.width}x{size.height} pixels"
        )
    return box

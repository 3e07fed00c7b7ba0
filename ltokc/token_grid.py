"""The tokens of a picture: per level a grid of digits, and which positions hold a token."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CellBox, Grid, Level
from ltokc.token_order import spread_order

Digits = list[npt.NDArray[np.int8]]
Masks = list[npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Tokens of a picture or of a part of it.

    levels: coarse to fine; digits: per level int8 (rows, columns, d), centred on 0 and 0 where there is no token;
    masks: per level bool (rows, columns), which positions hold one; origin: row and column of the cell of the picture
    at which the grids begin.
    """

    levels: tuple[Level, ...]
    digits: Digits
    masks: Masks
    origin: tuple[int, int] = (0, 0)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        if self.levels != other.levels or self.origin != other.origin:
            return False
        pairs = (*zip(self.digits, other.digits, strict=True), *zip(self.masks, other.masks, strict=True))
        return all(np.array_equal(one, two) for one, two in pairs)

    @classmethod
    def empty(cls, levels: Sequence[Level], grid: Grid, origin: tuple[int, int] = (0, 0)) -> Tokens:
        """A grid of cells without a token, to be filled."""
        masks = [np.zeros(grid.at(level), bool) for level in levels]
        digits = [np.zeros((*mask.shape, level.digits), np.int8) for mask, level in zip(masks, levels, strict=True)]
        return cls(tuple(levels), digits, masks, origin)

    @property
    def grid(self) -> Grid:
        """Rows and columns of cells."""
        rows, columns = self.masks[0].shape
        return Grid(rows // self.levels[0].per_side, columns // self.levels[0].per_side)

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(level.stride for level in self.levels)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(level.size for level in self.levels)

    @property
    def level_counts(self) -> list[int]:
        """Number of tokens of every level."""
        return [int(mask.sum()) for mask in self.masks]

    @property
    def count(self) -> int:
        return sum(self.level_counts)

    def only(self, masks: Masks) -> Tokens:
        """The tokens at the positions of these masks."""
        digits = [grid * mask[..., None] for grid, mask in zip(self.digits, masks, strict=True)]
        return Tokens(self.levels, digits, masks, self.origin)

    def cut(self, box: CellBox) -> Tokens:
        """Views of the grids in a box of cells, which counts from this grid's own corner."""
        places = [box.at(level.per_side) for level in self.levels]
        digits = [grid[place] for grid, place in zip(self.digits, places, strict=True)]
        masks = [mask[place] for mask, place in zip(self.masks, places, strict=True)]
        return Tokens(self.levels, digits, masks, (self.origin[0] + box.top, self.origin[1] + box.left))

    def paste(self, part: Tokens) -> None:
        """Copies what of another part of the picture lies inside this one."""
        for level, *grids in zip(self.levels, self.digits, part.digits, self.masks, part.masks, strict=True):
            starts = [(at - own) * level.per_side for at, own in zip(part.origin, self.origin, strict=True)]
            for target, source in (grids[:2], grids[2:]):
                to, of = [], []
                for first, length, size in zip(starts, source.shape, target.shape, strict=False):
                    low, high = max(0, first), min(size, first + length)
                    to.append(slice(low, max(low, high)))
                    of.append(slice(low - first, max(low, high) - first))
                target[tuple(to)] = source[tuple(of)]

    def sha256(self) -> str:
        """SHA-256 in hexadecimal of the canonical bytes (formats/LTK.md, "Tokens as bytes"): equal for equal tokens."""
        digest = hashlib.sha256()
        for level, grid, mask in zip(self.levels, self.digits, self.masks, strict=True):
            rows, columns, digits = grid.shape
            digest.update(f"{rows} {columns} {digits} {level.size}\n".encode("ascii"))
            digest.update(mask.astype(np.uint8).tobytes() + (grid * mask[..., None]).astype(np.int8).tobytes())
        return digest.hexdigest()


def full_masks(levels: Sequence[Level], rows: int, columns: int, depths: np.ndarray | None = None) -> Masks:
    """Positions of a grid of cells that the depths keep: per level bool (rows * s, columns * s) with s = 64 / stride.

    depths: (rows, columns) levels of each cell; None: all.
    """
    out: Masks = []
    for k, level in enumerate(levels):
        out.append(cells_at(np.ones((rows, columns), bool) if depths is None else depths > k, level))
    return out


def first_tokens(sent: np.ndarray, tokens: int) -> np.ndarray:
    """The mask of the first `tokens` positions of `sent` in coding order.

    The counts of these tokens stay the same: an odd position sees even ones, which all come before it.
    """
    if tokens >= int(sent.sum()):
        return sent
    order = spread_order(*sent.shape)
    mask = np.zeros(sent.size, bool)
    mask[order[sent.ravel()[order]][:tokens]] = True
    return mask.reshape(sent.shape)


def token_capacity(levels: Sequence[Level], rows: int, columns: int) -> int:
    """Tokens of a grid of cells with every level kept."""
    return rows * columns * sum(level.tokens for level in levels)


def tokens_of_cell(levels: Sequence[Level]) -> list[int]:
    """Tokens of one cell after 1, 2, ... levels."""
    return [int(n) for n in np.cumsum([level.tokens for level in levels])]


def tokens_of_keep(keep: float, level_counts: Sequence[int]) -> int:
    """Tokens in the first `keep` levels, which have so many each (a fraction of a level: that share, rounded)."""
    whole = max(0, min(int(keep), len(level_counts)))
    part = round(level_counts[whole] * (keep - whole)) if whole < len(level_counts) else 0
    return sum(level_counts[:whole]) + part


def cells_at(cells: np.ndarray, level: Level) -> np.ndarray:
    """A map of cells (rows, columns) at the positions of a level."""
    return cells.repeat(level.per_side, 0).repeat(level.per_side, 1)


def kept_levels(masks: Masks, levels: Sequence[Level]) -> npt.NDArray[np.float32]:
    """How many levels each cell has, a fraction for a part of one: (rows, columns) float32; undoes `full_masks`."""
    shares = []
    for mask, level in zip(masks, levels, strict=True):
        side = level.per_side
        shares.append(mask.reshape(len(mask) // side, side, mask.shape[1] // side, side).mean((1, 3), np.float32))
    return np.sum(shares, 0)

"""Levels of strides 16 and 8 as channels of one grid of stride 16, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltokc.geometry import Level
from ltokc.tokenizer.rounding import STRIDE, channels_of

Folded = npt.NDArray[np.float32]


class Folding:
    """The folding of the first levels of a model; `taking` has the numbers of those that take part."""

    def __init__(self, levels: Sequence[Level]):
        self.levels = tuple(levels)
        self.taking = [k for k, level in enumerate(levels) if channels_of(level)]
        self.sizes = [channels_of(self.levels[k]) for k in self.taking]
        self.channels = sum(self.sizes)

    def fold(self, grids: Sequence[np.ndarray | None]) -> Folded:
        """grids: of every level (rows, columns, d); (channels, h, w) float32 at stride 16.

        A channel is a digit of a place: those of a level lie together, of these those of a digit, then row, column.
        """
        parts = []
        for k in self.taking:
            grid, side = grids[k], STRIDE // self.levels[k].stride
            assert grid is not None
            rows, columns, digits = grid.shape
            places = grid.reshape(rows // side, side, columns // side, side, digits).transpose(4, 1, 3, 0, 2)
            parts.append(places.reshape(-1, rows // side, columns // side).astype(np.float32))
        return np.concatenate(parts)

    def unfold(self, folded: Folded, grids: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The inverse: `grids` with the levels that take part replaced, of the type that they had."""
        out = list(grids)
        for k, part in zip(self.taking, np.split(folded, np.cumsum(self.sizes)[:-1]), strict=True):
            side = STRIDE // self.levels[k].stride
            places = part.reshape(self.levels[k].digits, side, side, *part.shape[1:]).transpose(3, 1, 4, 2, 0)
            out[k] = places.reshape(grids[k].shape).astype(grids[k].dtype)
        return out

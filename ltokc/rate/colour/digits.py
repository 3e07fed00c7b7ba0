"""Digits chosen for the colour of large areas: coordinate descent on a linear model of the decoder.

The tokenizer rounds each digit for itself.  Here single digits of the coarse levels are moved by one where that brings
the means of 16x16 pixels nearer to the original's:

    sum of squared differences, CIE76, linear in the means, and expected beyond that
    +  LUMA, CHROMA times the squared change inside of areas  +  BIT times bits

`ltokc.tokenizer.colour` says what a digit does to the means, so that no decode is needed but the one that measured the
picture.  Other digits are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ltokc.geometry import CELL
from ltokc.metrics.colour import SIDE, lab_slopes
from ltokc.token_grid import Tokens
from ltokc.token_order import spread_rank
from ltokc.tokenizer.colour import ColourResponse, LevelResponse

LUMA, CHROMA = 1.0, 0.2  # worth of a squared 8-bit step inside an area
BIT = 1.0  # worth of a bit
SMOOTH = 0.25  # share of these in flat fields and gradients, where decodes tell what is better
DOUBT = 0.3  # of what a decode lacked, for the square of each level that a cell keeps more or fewer
SWEEPS, ROUNDS = 2, 8  # over all levels; of moves within a level
WINDOW = 16  # cells along a side that are worked on at a time, so that memory stays bounded
PER_CELL = CELL // SIDE  # areas along a cell's side
GRAY = np.array([0.299, 0.587, 0.114], np.float32)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Means:
    """Means over 16x16 pixels, (rows * 4, columns * 4, 3) float32 in 0 to 255: of a picture and of what it decodes to.

    gray: the decode is shown as its luma; smooth: the picture is made of flat fields and gradients alone; byte: what
    one of a colour grid has to save (`ltokc.rate.colour.grid.worth_of_byte`).
    """

    original: Floats
    decoded: Floats
    gray: bool = False
    smooth: bool = False
    byte: float = 1.0

    @property
    def residual(self) -> Floats:
        """What the decode, as it is shown, lacks."""
        shown = np.repeat((self.decoded @ GRAY)[..., None], 3, -1) if self.gray else self.decoded
        return self.original - shown

    def expected(self, levels_off: np.ndarray) -> Means:
        """Of a decode whose cells keep other numbers of levels than the one that was seen.

        levels_off: (rows, columns) of cells, how many.  What was lacking is believed the less the more it is.
        """
        doubt = 1 + DOUBT * np.square(levels_off.repeat(PER_CELL, 0).repeat(PER_CELL, 1))[..., None]
        return replace(self, decoded=(self.original - self.residual / doubt).astype(np.float32))

    @property
    def metric(self) -> Floats:
        """Of a squared difference, CIE76, of red, green and blue: (rows * 4, columns * 4, 3, 3)."""
        slopes = lab_slopes(self.original)
        return np.swapaxes(slopes, -1, -2) @ slopes


def choose(means: Means, tokens: Tokens, response: ColourResponse) -> tuple[Tokens, Means]:
    """Tokens of the same shapes: other digits where the masks are set, the rest as it was; and means as expected then.

    means: of the picture and of what `tokens` decode to.
    """
    if means.gray:
        response = ColourResponse(tuple(_gray(level) for level in response.levels))
    work = _Work(_margin(means.residual), _margin(means.metric), SMOOTH if means.smooth else 1.0)
    digits = [np.array(grid) for grid in tokens.digits]
    for _ in range(SWEEPS):
        for level, grid, start, sent in zip(response.levels, digits, tokens.digits, tokens.masks, strict=False):
            if not sent.any():
                continue
            step = WINDOW * PER_CELL // level.side
            for y in range(0, sent.shape[0], step):
                for x in range(0, sent.shape[1], step):
                    place = slice(y, y + step), slice(x, x + step)
                    work.move(level, grid[place], start[place], sent[place], (y, x))
    inside = slice(PER_CELL, -PER_CELL)
    expected = means.original - work.residual[inside, inside]
    return Tokens(tokens.levels, digits, tokens.masks, tokens.origin), replace(means, decoded=expected)


def moved(means: Means, before: Tokens, now: Tokens, response: ColourResponse) -> Means:
    """Means as expected of tokens `now`, where those of `means` were decoded from other digits, `before`."""
    residual = _margin(means.residual)
    for level, old, new, sent in zip(response.levels, before.digits, now.digits, now.masks, strict=False):
        steps = np.where(sent[..., None], new.astype(np.float32) - old, 0)
        rows, columns, count = steps.shape
        top = PER_CELL - level.side
        field = residual[top : residual.shape[0] - top, top : residual.shape[1] - top]
        parts = -(steps @ level.kernels.reshape(count, -1))
        _spread(field, parts.reshape(rows, columns, 3, level.side, 3, level.side, 3))
    inside = slice(PER_CELL, -PER_CELL)
    return replace(means, decoded=(means.original - residual[inside, inside]).astype(np.float32))


@dataclass(frozen=True, slots=True)
class _Work:
    """residual: (h, w, 3), what means lack; metric: (h, w, 3, 3), of a squared difference; with a cell of margin
    around; caution: what texture and bits weigh."""

    residual: Floats
    metric: Floats
    caution: float

    def move(
        self, level: LevelResponse, digits: np.ndarray, start: np.ndarray, sent: np.ndarray, first: tuple[int, int]
    ) -> None:  # fmt: skip
        """Moves digits (rows, columns, d) of a window, which begins at position `first`, while that gains."""
        side, half = level.side, (level.bits.shape[1] - 1) // 2
        rows, columns, count = digits.shape
        high, wide = (rows + 2) * side, (columns + 2) * side
        top, left = (PER_CELL + (each - 1) * side for each in first)
        residual = self.residual[top : top + high, left : left + wide]
        metric = self.metric[top : top + high, left : left + wide]
        flat = level.kernels.reshape(count, -1)
        squares = (level.kernels[..., :, None] * level.kernels[..., None, :]).reshape(count, -1)
        spent = _around(metric.reshape(high, wide, 9), side) @ squares.T  # what a step adds by its square
        unlike = np.trace(metric, axis1=2, axis2=3)[..., None] / 3  # of a squared step that no kernel foresees
        texture = level.texture[:, :2] @ np.array([LUMA, CHROMA], np.float32)
        texture = (texture + _around(unlike, side).mean(-1)[..., None] * level.texture[:, 2]) * np.float32(self.caution)
        order = 1 + np.float32(1e-4) * spread_rank(rows, columns)  # equal gains must not all be taken at once
        which = np.arange(count)
        for _ in range(ROUNDS):
            pull = _around((metric @ residual[..., None])[..., 0], side) @ flat.T
            now, moved = digits.astype(int), digits.astype(int) - start
            gains = []
            for way in (-1, 1):
                to = np.clip(now + way, -half, half)
                bits = np.maximum(level.bits[which, to + half] - level.bits[which, now + half], 0)
                gain = 2 * way * pull - spent - texture * (1 + 2 * way * moved) - BIT * self.caution * bits
                gains.append(np.where((to != now) & sent[..., None], gain, 0))
            both = np.concatenate(gains, -1)
            best = both.argmax(-1)
            gain = np.take_along_axis(both, best[..., None], -1)[..., 0] * order
            nearby = sliding_window_view(np.pad(gain, 1), (3, 3)).max((2, 3))
            taken = (gain > 0) & (gain >= nearby)
            if not taken.any():
                break
            step = np.zeros(digits.shape, np.int8)
            y, x = np.nonzero(taken)
            step[y, x, best[y, x] % count] = np.where(best[y, x] < count, -1, 1)
            digits += step
            _spread(residual, -(step.astype(np.float32) @ flat).reshape(rows, columns, 3, side, 3, side, 3))


def _around(field: Floats, side: int) -> Floats:
    """What lies around each position: (h, w, c) areas, with a position of margin, to (rows, columns, 9 side² c)."""
    view = sliding_window_view(field, (3 * side, 3 * side), (0, 1))[::side, ::side]  # (rows, columns, c, 3s, 3s)
    return np.ascontiguousarray(view.transpose(0, 1, 3, 4, 2)).reshape(*view.shape[:2], -1)


def _spread(field: Floats, parts: Floats) -> None:
    """Adds to areas (h, w, c) what the positions give to them: (rows, columns, 3, side, 3, side, c)."""
    rows, columns, _, side, _, _, channels = parts.shape
    for a in range(3):
        for b in range(3):
            block = parts[:, :, a, :, b].transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, channels)
            field[a * side : (a + rows) * side, b * side : (b + columns) * side] += block


def _margin(field: Floats) -> Floats:
    """With a cell of zeros around."""
    return np.pad(field, ((PER_CELL, PER_CELL), (PER_CELL, PER_CELL), *[(0, 0)] * (field.ndim - 2)))


def _gray(level: LevelResponse) -> LevelResponse:
    """What digits do where the decoder shows luma alone."""
    kernels = np.repeat((level.kernels @ GRAY)[..., None], 3, -1)
    return LevelResponse(kernels, level.texture * np.array([1, 0, 1], np.float32), level.bits)


def total(residual: Floats, metric: Floats) -> float:
    """Sum of squared differences, CIE76, of residuals (h, w, 3) under the metric (h, w, 3, 3)."""
    return float((residual * (metric @ residual[..., None])[..., 0]).sum())

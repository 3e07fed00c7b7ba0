"""Digits of a picture rounded together, window by window: decodes, gradients, a quadratic model.

The tokenizer rounds each digit to the nearest one.  Here a window is decoded, the gradient of how it looks
(`ltokc.metrics.look`) is taken by its digits, and those that pay together are rounded the other way
(`ltokc.rate.rounding.quadratic`); then perhaps again, from what was found.  The file is an ordinary one: decoders need
to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ltokc.geometry import CELL, Grid, Size
from ltokc.metrics.colour import SIDE, pooled
from ltokc.metrics.look import loss_gradient
from ltokc.metrics.ssimulacra2 import LEAST_SIDE
from ltokc.rate.refine.window import SearchTiling, Window
from ltokc.rate.rounding.folding import Folding
from ltokc.rate.rounding.quadratic import Flips, Question, flipped, stiffness
from ltokc.token_grid import Tokens, cells_at
from ltokc.tokenizer.rounding import RoundingKernel
from ltokc.tokenizer.windows import Networks

TILING = SearchTiling(core=12, margin=1, counted=1, whole=160)
MOST_PIXELS = 1 << 22  # of a picture to which one gradient is given unasked: it doubles the time, which large ones feel


@dataclass(frozen=True, slots=True)
class Rounded:
    """tokens: with the digits that were found; means: of the last decode on the way to them, as `pooled` has them."""

    tokens: Tokens
    means: np.ndarray


def fits(size: Size, gradients: int) -> bool:
    """Whether a picture is large enough to be measured and, for one gradient, small enough not to wait long for it."""
    return min(size) >= LEAST_SIDE and (gradients > 1 or size.width * size.height <= MOST_PIXELS)


def windows_of(grid: Grid) -> int:
    """Windows, each of which takes a step of progress a gradient."""
    return len(TILING.windows(grid))


@dataclass(frozen=True, slots=True)
class Rounding:
    """What rounds digits together: a model's networks, its rounding kernel, and how many gradients are taken."""

    networks: Networks
    kernel: RoundingKernel
    gradients: int = 1

    def run(
        self, rgb: np.ndarray, tokens: Tokens, values: list[np.ndarray], bit: float,
        advance: Callable[[], None] = lambda: None,
    ) -> Rounded:  # fmt: skip
        """Other digits where the masks of `tokens` are set and that pays, the rest as it was.

        rgb: (H, W, 3) uint8; tokens: with digits everywhere, masks of those that will be sent; values: what was rounded
        to the digits, per level (rows, columns, d); bit: what a bit per pixel weighs; advance: called after every
        gradient.
        """
        out = Tokens(tokens.levels, [np.array(grid) for grid in tokens.digits], tokens.masks)
        unrounded = Tokens(tokens.levels, values, tokens.masks)
        rows, columns = (side * CELL // SIDE for side in tokens.grid)
        means = np.zeros((rows, columns, 3), np.float32)
        for y, x in TILING.windows(tokens.grid):
            window, leans = Window.of(rgb, out, y, x), Window.of(rgb, unrounded, y, x).digits
            found, seen = self._window(window, leans, bit, advance)
            for part, new in zip(window.digits, found, strict=True):
                part[...] = new
            means[_areas(y.core, x.core, (0, 0))] = seen[_areas(y.core, x.core, (y.seen[0], x.seen[0]))]
        return Rounded(out, means)

    def _window(
        self, window: Window, values: list[np.ndarray], bit: float, advance: Callable[[], None]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Digits of the window's shapes, and the means of what the last ones that were decoded look like."""
        height, width = window.rgb.shape[:2]
        rows, columns = (slice(a * CELL, b * CELL) for a, b in window.counted)
        counted = np.ascontiguousarray(window.rgb[rows, columns])
        whole = (*(side * CELL for side in window.core.shape), 3)
        colours: np.ndarray = np.empty(0)

        def by_pixels(shown: np.ndarray) -> np.ndarray:
            nonlocal colours
            shown = shown[:height, :width]
            colours = pooled(np.clip(np.round((shown + 1) * 127.5), 0, 255).astype(np.uint8))
            out = np.zeros(whole, np.float32)
            out[:height, :width][rows, columns] = loss_gradient(counted, shown[rows, columns])[1]
            return out

        masks = [mask[None, None].astype(np.uint8) for mask in window.masks]

        def slope_at(grids: list[np.ndarray]) -> list[np.ndarray | None]:
            digits = [np.ascontiguousarray(grid.transpose(2, 0, 1)[None]) for grid in grids]
            gradient = self.networks.runtime.digit_gradient(digits, masks, by_pixels)
            advance()
            return [None if g is None else g[0].transpose(1, 2, 0) for g in gradient]

        depth = max((k + 1 for k, mask in enumerate(window.masks) if mask.any()), default=0)
        folding = Folding(self.networks.levels[:depth])
        if not folding.channels:
            slope_at(window.digits)
            return window.digits, colours
        question = _question(window, values, folding, bit, counted[..., 0].size)
        flips: Flips = np.zeros(question.digits.shape, bool)
        found, before, weight, stiff = window.digits, (flips, question.digits), self.kernel.weight, 1.0
        for i in range(self.gradients):
            slope = folding.fold(slope_at(found))
            if i:
                moved = question.side * (flips.astype(np.float32) - before[0])
                stiff = stiffness(question, weight, moved, slope - before[1])
            before = flips, slope
            flips = flipped(question, weight, slope, flips, stiff)
            found = folding.unfold(question.digits + question.side * flips, window.digits)
        return found, colours


def _question(window: Window, values: list[np.ndarray], folding: Folding, bit: float, pixels: int) -> Question:
    """Which digits of a window may flip: those that are sent, in the cells that are its own."""
    levels, fold = folding.levels, folding.fold
    sent = [np.repeat(mask[..., None], v.digits, 2) for mask, v in zip(window.masks, levels, strict=False)]
    free = [s & cells_at(window.core, v)[..., None] for s, v in zip(sent, levels, strict=True)]
    start = fold(window.digits)
    return Question(folding, start, fold(values) - start, fold(sent), fold(free), bit, pixels)


def _areas(rows: tuple[int, int], columns: tuple[int, int], corner: tuple[int, int]) -> tuple[slice, slice]:
    """Where the areas of 16x16 pixels of these cells lie, counted from a cell."""
    scale = CELL // SIDE
    spans = zip((rows, columns), corner, strict=True)
    y, x = (slice((low - first) * scale, (high - first) * scale) for (low, high), first in spans)
    return y, x

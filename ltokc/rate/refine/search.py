"""Digits chosen by what they cost and what they do to the picture: gradient descent with the decoder frozen.

The tokenizer guesses good digits in one pass; here they are tried.  The bounded values that it rounds are variables;
every step rounds them (at first half-way), decodes, counts bits with the prior, and moves the variables against the
gradient of

    distance from 100 points of SSIMULACRA2, in hundreds  +  STRUCTURE_WEIGHT * (1 - SSIM of the luma at three scales)
    +  MSE_WEIGHT * mean squared error  +  rate * bits per pixel

through the rounding (Bengio et al. 2013; per-picture search as in Campos et al. 2019).  The file is an ordinary one:
decoders need to know nothing of it.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltokc.errors import ModelError
from ltokc.rate.refine.schedule import Schedule

if TYPE_CHECKING:
    from ltokc.rate.refine.descent import Descent

CELL = 64
CORE, MARGIN, SEEN = 10, 2, 1  # side of a window in cells, context around it, and how much of that its loss counts
WHOLE = 160  # pictures of up to so many cells are one window
Digits = list[np.ndarray]


@dataclass(frozen=True, slots=True)
class Window:
    """One side of a window in cells: [first, last) whose digits may change, and which of them are computed."""

    core: tuple[int, int]
    seen: tuple[int, int]

    @property
    def counted(self) -> tuple[int, int]:
        """The cells whose pixels and bits the loss counts, from the first that is computed."""
        first, last = max(self.core[0] - SEEN, self.seen[0]), min(self.core[1] + SEEN, self.seen[1])
        return first - self.seen[0], last - self.seen[0]


def steps_of(rows: int, columns: int, steps: int) -> int:
    """Steps in all for a picture of so many cells."""
    return steps * len(_windows(rows, columns))


def need_torch() -> None:
    """Raises ModelError if torch is not installed."""
    if not find_spec("torch"):
        raise ModelError("efforts above 1 choose digits with torch, which is not installed: pip install torch")


def refined(
    folder: Path, rgb: np.ndarray, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], *,
    schedule: Schedule, rate: float, device: str = "auto", advance: Callable[[], None] = lambda: None,
) -> Digits:  # fmt: skip
    """Digits of the same shapes, other values where `masks` are set; the rest as it was.

    folder: of the model; rgb: (H, W, 3) uint8, sides of 8 and more; digits: per level int8 (rows, columns, d); masks:
    per level bool (rows, columns), the tokens that will be sent; rate: what a bit per pixel weighs.
    """
    descent = _descent(folder, device)
    out = [np.array(grid) for grid in digits]
    rows, columns = (-(-side // CELL) for side in rgb.shape[:2])
    for y, x in _windows(rows, columns):
        box = (x.seen[0], y.seen[0], x.seen[1] - x.seen[0], y.seen[1] - y.seen[0])
        strides = descent.strides
        parts = [_part(grid, box, stride) for grid, stride in zip(out, strides, strict=True)]
        sent = [_part(mask, box, stride) for mask, stride in zip(masks, strides, strict=True)]
        core = np.zeros((box[3], box[2]), bool)
        core[y.core[0] - box[1] : y.core[1] - box[1], x.core[0] - box[0] : x.core[1] - box[0]] = True
        pixels = rgb[box[1] * CELL : (box[1] + box[3]) * CELL, box[0] * CELL : (box[0] + box[2]) * CELL]
        found = descent.run(
            pixels, parts, sent, core, (y.counted, x.counted), schedule=schedule, rate=rate, advance=advance
        )
        for part, new in zip(parts, found, strict=True):
            part[...] = new
    return out


@lru_cache(maxsize=2)
def _descent(folder: Path, device: str) -> Descent:
    from ltokc.rate.refine.descent import Descent

    return Descent(folder, device)


def _windows(rows: int, columns: int) -> list[tuple[Window, Window]]:
    """(y, x) of all windows of a picture of so many cells."""
    if rows * columns <= WHOLE:
        return [(Window((0, rows), (0, rows)), Window((0, columns), (0, columns)))]
    return [(y, x) for y in _side(rows) for x in _side(columns)]


def _side(cells: int) -> list[Window]:
    """Windows of nearly equal cores."""
    edges = np.linspace(0, cells, -(-cells // CORE) + 1).round().astype(int).tolist()
    return [
        Window((a, b), (max(0, a - MARGIN), min(cells, b + MARGIN))) for a, b in zip(edges, edges[1:], strict=False)
    ]


def _part(grid: np.ndarray, box: tuple[int, int, int, int], stride: int) -> np.ndarray:
    """View of a box (left, top, columns, rows) in cells of a per-level grid."""
    left, top, columns, rows = (n * (CELL // stride) for n in box)
    return grid[top : top + rows, left : left + columns]

"""Where a file's tokens and bits went: a map over the picture, and its colours.

The cost of a token is its information under the prior, minus log2 of its probability: what the range coder spends on it
to a few hundredths of a bit.  A token of stride s is drawn over its s x s pixels, evenly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ltokc import container
from ltokc.container import DEFAULT_LIMIT_PIXELS, Data
from ltokc.errors import UsageError
from ltokc.geometry import CELL, Size, segment_boxes

if TYPE_CHECKING:
    from ltokc.entropy.segment import SegmentWriter

STRIP = 64  # rows that are painted at a time, so that memory follows what is drawn
DEFAULT_CELL = 16  # px; finer, a level of stride 8 that the file cuts short shows the grain of its coding order
# The colour map "inferno" in nine stops (Nathaniel Smith and Stefan van der Walt, CC0): dark is cheap, pale is dear.
STOPS = ((0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
         (249, 201, 50), (252, 255, 164))  # fmt: skip


def bit_map(
    data: Data, *, cell: int = DEFAULT_CELL, tokens: bool = False, allow_truncated: bool = False,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
) -> np.ndarray:  # fmt: skip
    """Bits (or with `tokens` the number of tokens) in every square of `cell` px: (rows, columns) float64.

    cell: a power of two from 1 to 64.  The map has ceil(height / cell) x ceil(width / cell) squares; what a file spends
    on the padding beyond the picture's edges (to whole cells of 64 px) is left out.  The networks are not run.
    Raises FormatError, LimitError, ModelError, UsageError.
    """
    from ltokc.entropy.segment import reopen
    from ltokc.zoo.model import model_of

    if cell not in (1, 2, 4, 8, 16, 32, 64):
        raise UsageError(f"a map has squares of 1, 2, 4, 8, 16, 32 or 64 pixels, not {cell}")
    ltk = container.read(data, allow_truncated=allow_truncated, limit_pixels=limit_pixels)
    container.check_density(ltk, limit_pixels)
    model = model_of(ltk)
    finest = min(cell, *(level.stride for level in model.levels))
    scale = CELL // finest
    rows, columns = (cells * scale for cells in Size(ltk.width, ltk.height).grid)
    out = np.zeros((rows, columns))
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    for segment, box in zip(ltk.segments, boxes, strict=True):
        writer = reopen(model.prior, segment, box.grid, cut=ltk.truncated)
        target = out[box.at(scale)]
        for stride, spent in _levels(writer, writer.total, tokens):
            repeat = stride // finest
            target += (spent / repeat**2).repeat(repeat, 0).repeat(repeat, 1)
    if not tokens:
        _add_patches(out, ltk, scale)
    group = cell // finest
    squares = out.reshape(rows // group, group, columns // group, group).sum((1, 3))
    return squares[: -(-ltk.height // cell), : -(-ltk.width // cell)]


def _add_patches(bits: np.ndarray, ltk: container.Ltk, scale: int) -> None:
    """Adds the bits of each patch to the squares that it shows, evenly; `scale`: squares along a cell."""
    from ltokc.container import patches

    for chunk in ltk.chunks:
        if chunk.fourcc == container.PATCHES:
            shown = patches.covered_cells([patches.parse(chunk.data, ltk.header)], ltk.header)
            squares = shown.repeat(scale, 0).repeat(scale, 1)
            bits[squares] += 8 * len(chunk.data) / squares.sum()


def _levels(writer: SegmentWriter, count: int, tokens: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Stride and bits (or number) of the tokens at every position of each level that the first `count` tokens reach."""
    from ltokc.token_order import spread_order

    writer.bits(count)  # walks so far
    for k, (level, mask) in enumerate(zip(writer.prior.levels, writer.masks, strict=True)):
        if count <= 0:
            return
        order = spread_order(*mask.shape)
        order = order[mask.ravel()[order]][:count]  # the two passes of a level lie one behind the other in this order
        spent = np.zeros(mask.size)
        spent[order] = 1 if tokens else np.concatenate(writer.costs[2 * k : 2 * k + 2])[: len(order)]
        count -= len(order)
        yield level.stride, spent.reshape(mask.shape)


def strongest(bits: np.ndarray) -> float:
    """The value of the palest colour: the 99th percentile, so that single squares do not darken the rest."""
    return float(np.percentile(bits, 99)) or float(bits.max()) or 1.0


def colours(bits: np.ndarray, top: float | None = None) -> np.ndarray:
    """A map (rows, columns) in colours: (rows, columns, 3) uint8; 0 is black, `top` (see `strongest`) and more pale."""
    share = np.clip(bits / (strongest(bits) if top is None else top), 0, 1) * (len(STOPS) - 1)
    stops = np.asarray(STOPS, float)
    planes = [np.interp(share, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    return np.stack(planes, -1).round().astype(np.uint8)


def overlay(bits: np.ndarray, cell: int, width: int, height: int, under: np.ndarray | None = None) -> np.ndarray:
    """The map at the size of the picture, (height, width, 3) uint8, in colours.

    cell: the squares' side; under: a picture (height, width, 3) uint8 that shines through in gray, None for none.
    """
    squares, out = colours(bits), np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP):
        rows = slice(top, min(height, top + STRIP))
        painted = squares[np.arange(rows.start, rows.stop) // cell].repeat(cell, 1)[:, :width]
        if under is not None:
            gray = under[rows] @ np.array([0.299, 0.587, 0.114])
            painted = (0.62 * painted + 0.38 * gray[..., None]).round().clip(0, 255)
        out[rows] = painted
    return out


def transparent(bits: np.ndarray) -> np.ndarray:
    """The map as (rows, columns, 4) uint8, nearly clear where little was spent, and never so dense as to hide all."""
    share = np.clip(bits / strongest(bits), 0, 1)
    alpha = (255 * (0.3 + 0.4 * share)).round().astype(np.uint8)
    return np.dstack([colours(bits), alpha])

"""Pictures and regions through the networks, whole or in windows with a halo, so that memory stays bounded.

A window makes 1024x1024 px.  Its halo is context that is computed and thrown away; how wide it has to be at each stride
is derived from the model (`ltokc.tokenizer.receptive_field`).  Decoding in windows is exact, up to the order of
floating-point sums.  Encoding takes a part of the full reach, `TOKENIZER_SHARE`: what is left out decides a rounding
very seldom, and any choice of tokens is a good file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ltokc.entropy.prior import LevelShape
from ltokc.tokenizer.receptive_field import STRIDES, Reach, Span, Spans, decoder_spans, encoder_cells, tokenizer_spans
from ltokc.tokenizer.runtime import Cuts, Runtime, feature_cut, state_cut

CELL = 64
CORE = 16  # side of a window in cells, without its halo
WHOLE = 1536 * 1024  # pictures and regions of up to so many pixels go through in one piece
TOKENIZER_SHARE = 0.5  # of the tokenizer's reach (docs: bench/results/large.json, "seams")

Progress = Callable[[int, int], None]
Box = tuple[int, int, int, int]  # left, top, width, height


@dataclass(frozen=True, slots=True)
class Axis:
    """One side of a window: `core` in pixels, spans by stride, and the cells that the encoder sees (tokenizer only)."""

    core: Span
    spans: Spans
    seen: Span = (0, 0)


def pieces(start: int, length: int, whole: bool) -> list[Span]:
    """A range cut into windows' cores: pixels."""
    step = length if whole else CORE * CELL
    return [(i, min(i + step, start + length)) for i in range(start, start + length, step)]


def _fits(height: int, width: int) -> bool:
    """Whether a picture or region goes through in one piece: its pixels count filled up to whole cells, as they are
    worked on."""
    return -(-height // CELL) * -(-width // CELL) * CELL * CELL <= WHOLE


def decoder_windows(reach: Reach, height: int, width: int, box: Box) -> list[tuple[Axis, Axis]]:
    """(y, x) of the windows that make the region `box` of a picture of this size."""
    left, top, w, h = box
    rows, columns = (
        [Axis(core, decoder_spans(reach, core, side)) for core in pieces(start, length, _fits(h, w))]
        for start, length, side in ((top, h, height), (left, w, width))
    )
    return [(y, x) for y in rows for x in columns]


def tokenizer_windows(reach: Reach, height: int, width: int) -> list[tuple[Axis, Axis]]:
    """(y, x) of the windows that make the tokens of a picture of this size; cores are whole cells."""
    sides = []
    for length in (height, width):
        padded, axes = -(-length // CELL) * CELL, []
        for core in pieces(0, padded, _fits(height, width)):
            spans = tokenizer_spans(reach, (core[0] // CELL, core[1] // CELL), length, TOKENIZER_SHARE)
            axes.append(Axis(core, spans, encoder_cells(reach, spans, length, TOKENIZER_SHARE)))
        sides.append(axes)
    return [(y, x) for y in sides[0] for x in sides[1]]


def tokenize(
    runtime: Runtime, levels: Sequence[LevelShape], reach: Reach, rgb: np.ndarray, masks: Sequence[np.ndarray],
    progress: Progress | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """(H, W, 3) uint8 and per level masks bool (rows, columns) -> per level digits int8 (rows, columns, d)."""
    height, width = rgb.shape[:2]
    out = [np.zeros((*mask.shape, level.digits), np.int8) for mask, level in zip(masks, levels, strict=True)]
    parts = tokenizer_windows(reach, height, width)
    for i, (y, x) in enumerate(parts):
        sent = [
            _part(m, y.spans[lv.stride], x.spans[lv.stride])[None, None].astype(np.uint8)
            for m, lv in zip(masks, levels, strict=True)
        ]
        found = runtime.tokenize(pack(_seen(rgb, y.seen, x.seen)), sent, _tokenizer_cuts(y, x) if parts[1:] else None)
        for digits, level, grid in zip(found, levels, out, strict=True):
            to_y, to_x = _scaled(y.core, level.stride), _scaled(x.core, level.stride)
            part = _part(digits[0].transpose(1, 2, 0), to_y, to_x, y.spans[level.stride][0], x.spans[level.stride][0])
            _part(grid, to_y, to_x)[...] = part
        if progress:
            progress(i + 1, len(parts))
    return out


def detokenize(
    runtime: Runtime, levels: Sequence[LevelShape], reach: Reach, digits: Sequence[np.ndarray],
    masks: Sequence[np.ndarray], height: int, width: int, progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Inverse of `tokenize`: (height, width, 3) uint8."""
    out = np.empty((height, width, 3), np.uint8)
    for x, y, part in parts_of(runtime, levels, reach, digits, masks, height, width, progress=progress):
        out[y : y + len(part), x : x + part.shape[1]] = part
    return out


def parts_of(
    runtime: Runtime, levels: Sequence[LevelShape], reach: Reach, digits: Sequence[np.ndarray],
    masks: Sequence[np.ndarray], height: int, width: int, *, box: Box | None = None, origin: tuple[int, int] = (0, 0),
    progress: Progress | None = None,
) -> Iterator[tuple[int, int, np.ndarray]]:  # fmt: skip
    """The pixels of a region, window by window: (left, top, (h, w, 3) uint8), counted from the picture's corner.

    box: the region, None for everything; origin: (row, column) of the cell at which `digits` and `masks` begin, which
    must hold at least `needed_cells` of the region.
    """
    box = box or (0, 0, width, height)
    parts = decoder_windows(reach, height, width, box)
    whole = len(parts) == 1 and box == (0, 0, width, height)
    if whole:  # nothing is cut, so that every stride has all of its cells
        parts = [(_uncut(height), _uncut(width))]
    for i, (y, x) in enumerate(parts):
        window_digits, window_masks = [], []
        for k, level in enumerate(levels):
            scale = CELL // level.stride
            place = y.spans[level.stride], x.spans[level.stride], origin[0] * scale, origin[1] * scale
            window_digits.append(np.ascontiguousarray(_part(digits[k], *place).transpose(2, 0, 1)[None]))
            window_masks.append(_part(masks[k], *place)[None, None].astype(np.uint8))
        picture = unpack(runtime.detokenize(window_digits, window_masks, None if whole else _decoder_cuts(y, x)))
        yield x.core[0], y.core[0], _part(picture, y.core, x.core, y.spans[4][0] * 4, x.spans[4][0] * 4)
        if progress:
            progress(i + 1, len(parts))


def _uncut(length: int) -> Axis:
    """One side of a picture in a single piece."""
    cells = -(-length // CELL)
    return Axis((0, length), {stride: (0, cells * CELL // stride) for stride in STRIDES}, (0, cells))


def needed_cells(reach: Reach, height: int, width: int, box: Box, stride: int = CELL) -> tuple[Span, Span]:
    """Rows and columns of cells whose tokens of this stride the pixels of a region depend on."""
    left, top, w, h = box
    spans = [decoder_spans(reach, (a, a + n), side)[stride] for a, n, side in ((top, h, height), (left, w, width))]
    scale = CELL // stride
    rows, columns = ((a // scale, -(-b // scale)) for a, b in spans)
    return rows, columns


def _tokenizer_cuts(y: Axis, x: Axis) -> Cuts:
    cuts = _state_cuts(y, x)
    for stride in y.spans:
        scale = CELL // stride
        places = [
            (a - seen[0] * scale, b - seen[0] * scale)
            for seen, (a, b) in ((y.seen, y.spans[stride]), (x.seen, x.spans[stride]))
        ]
        cuts[feature_cut(stride)] = places[0], places[1]
    return cuts


def _decoder_cuts(y: Axis, x: Axis) -> Cuts:
    return _state_cuts(y, x)


def _state_cuts(y: Axis, x: Axis) -> Cuts:
    """Of the state that has just come to a stride, doubled: rows and columns that go on."""
    cuts: Cuts = {}
    for stride in sorted(y.spans, reverse=True)[1:]:
        places = [
            (spans[stride][0] - 2 * spans[2 * stride][0], spans[stride][1] - 2 * spans[2 * stride][0])
            for spans in (y.spans, x.spans)
        ]
        cuts[state_cut(stride)] = places[0], places[1]
    return cuts


def _seen(rgb: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    """The pixels of these cells; the border's are repeated where the last cells reach over it."""
    window = rgb[rows[0] * CELL : rows[1] * CELL, columns[0] * CELL : columns[1] * CELL]
    lack = [(cells[1] - cells[0]) * CELL - n for cells, n in zip((rows, columns), window.shape, strict=False)]
    return np.pad(window, ((0, lack[0]), (0, lack[1]), (0, 0)), "edge") if any(lack) else window


def _scaled(pixels: Span, stride: int) -> Span:
    return pixels[0] // stride, pixels[1] // stride


def _part(grid: np.ndarray, rows: Span, columns: Span, top: int = 0, left: int = 0) -> np.ndarray:
    """Rows and columns of a grid that begins at (top, left)."""
    return grid[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]


def pack(rgb: np.ndarray) -> np.ndarray:
    """4x4 px into the channels: (H, W, 3) -> (1, 48, H/4, W/4), channel = colour * 16 + y * 4 + x."""
    h, w = rgb.shape[0] // 4, rgb.shape[1] // 4
    return np.ascontiguousarray(rgb.reshape(h, 4, w, 4, 3).transpose(4, 1, 3, 0, 2).reshape(1, 48, h, w))


def unpack(packed: np.ndarray) -> np.ndarray:
    """Inverse of `pack`."""
    h, w = packed.shape[2:]
    return packed.reshape(3, 4, 4, h, w).transpose(3, 1, 4, 2, 0).reshape(h * 4, w * 4, 3)

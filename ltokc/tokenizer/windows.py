"""Pictures and regions through the networks, whole or in windows with a halo, so that memory stays bounded.

A window's halo is context that is computed and thrown away; how wide it has to be at each stride is derived from the
model (`ltokc.tokenizer.receptive_field`).  Decoding in windows is exact, up to the order of floating-point sums.
Encoding takes a part of the full halo, `Tiling.share`: what is left out decides a rounding very seldom, and any choice
of tokens is a good file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ltokc.geometry import CELL, STRIDES, Box, Level, Size, cells_of
from ltokc.threads import Progress
from ltokc.token_grid import Masks, Tokens, cells_at, full_masks
from ltokc.tokenizer.generative import Sampling
from ltokc.tokenizer.noise import window_noise
from ltokc.tokenizer.padding import filled_up
from ltokc.tokenizer.receptive_field import (
    ReceptiveField,
    Span,
    Spans,
    decoder_spans,
    encoder_cells,
    tokenizer_spans,
)
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER, Cuts, Runtime, feature_cut, state_cut

Windows = list[tuple["WindowSide", "WindowSide"]]  # (y, x)


@dataclass(frozen=True, slots=True)
class Tiling:
    """How large pictures are cut up.

    core: most cells along a window, without its halo; whole: pictures and regions of up to so many pixels go through
    in one piece; large: from so many on the tokenizer is opened anew for each picture (.2 of 7 s and more), so that its
    weights and the decoder's are not held at a time; share: of the tokenizer's true halo that is taken
    (bench/results/large.json, "seams"); one_segment: pictures of up to so many cells are one segment of the
    file; segment: side of a segment in cells else.
    """

    core: int = 20
    whole: int = 1536 * 1024
    large: int = 12_000_000
    share: float = 0.4
    one_segment: int = 1024
    segment: int = 16

    def segment_cells(self, size: Size) -> int:
        """Side of the segments of a picture in cells, 0 for one segment."""
        return 0 if size.grid.cells <= self.one_segment else self.segment

    def fits(self, size: Size | Box) -> bool:
        """Whether a picture or region goes through in one piece: its pixels count filled up to whole cells."""
        return cells_of(size.width) * cells_of(size.height) * CELL * CELL <= self.whole

    def cores(self, start: int, length: int, whole: bool) -> list[Span]:
        """A range of pixels cut into windows' cores, about as long as each other."""
        cells = cells_of(length)
        step = length if whole else -(-cells // -(-cells // self.core)) * CELL
        return [(i, min(i + step, start + length)) for i in range(start, start + length, step)]


TILING = Tiling()


@dataclass(frozen=True, slots=True)
class WindowSide:
    """One side of a window: `core` in pixels, spans by stride, and the cells that the encoder sees (tokenizer only)."""

    core: Span
    spans: Spans
    seen: Span = (0, 0)

    @classmethod
    def uncut(cls, length: int) -> WindowSide:
        """One side of a picture in a single piece."""
        cells = cells_of(length)
        return cls((0, length), {stride: (0, cells * CELL // stride) for stride in STRIDES}, (0, cells))


@dataclass(frozen=True, slots=True)
class Networks:
    """A model's networks on a runtime: pixels to tokens and back, for pictures of any size.

    sampling: of the generative decoder, whose `field` it has to be then; None: pictures are faithful ones.
    """

    runtime: Runtime
    levels: tuple[Level, ...]
    field: ReceptiveField
    tiling: Tiling = TILING
    sampling: Sampling | None = None

    def decoder_windows(self, size: Size, box: Box) -> Windows:
        """The windows that make the region `box` of a picture of this size."""
        cores, whole = self.tiling.cores, self.tiling.fits(box)
        rows, columns = (
            [WindowSide(core, decoder_spans(self.field, core, side)) for core in cores(start, length, whole)]
            for start, length, side in ((box.top, box.height, size.height), (box.left, box.width, size.width))
        )
        return _in_groups([(y, x) for y in rows for x in columns])

    def prepare(self, size: Size, box: Box, graphs: Sequence[str] = (DETOKENIZER,)) -> None:
        """Lets the runtime get ready, beside other work, for a picture that goes through in one piece.

        graphs: those that will be run, in their order (`ltokc.tokenizer.runtime.Runtime.prepare`).
        """
        if self.sampling is None and box == size.box and self.tiling.fits(box):
            self.runtime.prepare(*graphs)

    def tokenizer_windows(self, size: Size) -> Windows:
        """The windows that make the tokens of a picture of this size; cores are whole cells."""
        sides, share, whole = [], self.tiling.share, self.tiling.fits(size)
        for length in (size.height, size.width):
            windows = []
            for core in self.tiling.cores(0, cells_of(length) * CELL, whole):
                spans = tokenizer_spans(self.field, (core[0] // CELL, core[1] // CELL), length, share)
                windows.append(WindowSide(core, spans, encoder_cells(self.field, spans, length, share)))
            sides.append(windows)
        return _in_groups([(y, x) for y in sides[0] for x in sides[1]])

    def tokenize(
        self, rgb: np.ndarray, masks: Masks | None = None, advance: Callable[[], None] = lambda: None,
        kept: np.ndarray | None = None, values: list[np.ndarray] | None = None,
    ) -> Tokens:  # fmt: skip
        """The tokens of a picture (H, W, 3) uint8; masks: at which positions, None for all.

        advance: called after every window; kept: what a told tokenizer is told, (rows, columns) of cells, how many
        levels each will keep (a fraction for a part of one), None: all.  It says nothing of which tokens are made;
        values: a list that gets what was rounded to the digits, sent or not: float16 (rows, columns, d), one a level.
        """
        size = Size.of(rgb)
        out = Tokens.empty(self.levels, size.grid)
        sent_masks = full_masks(self.levels, *size.grid) if masks is None else masks
        windows = self.tokenizer_windows(size)
        if values is not None:
            values += [np.empty(grid.shape, np.float16) for grid in out.digits]
        told = None if kept is None else [cells_at(kept.astype(np.float32), level) for level in self.levels]
        for y, x in windows:
            cuts = _tokenizer_cuts(y, x) if len(windows) > 1 else None
            sent = self._window_of([mask.astype(np.uint8) for mask in sent_masks], y, x)
            depth = self._window_of(told, y, x) if told else None
            packed = pack(_seen(rgb, y.seen, x.seen))
            if values is None:
                self._put(self.runtime.tokenize(packed, sent, cuts, depth), out.digits, y, x)
            else:
                digits, unrounded = self.runtime.tokenize_values(packed, sent, cuts, depth)
                self._put(digits, out.digits, y, x)
                self._put(unrounded, values, y, x)
            advance()
        if len(windows) > 1:
            self.runtime.release(TOKENIZER if size.height * size.width >= self.tiling.large else None)
        return Tokens(out.levels, out.digits, sent_masks)

    def _put(self, found: Sequence[np.ndarray], grids: Sequence[np.ndarray], y: WindowSide, x: WindowSide) -> None:
        """Puts the core of a window, (1, d, h, w) a level, into the whole picture's grids (rows, columns, d)."""
        for part, level, grid in zip(found, self.levels, grids, strict=True):
            to_y, to_x = _scaled(y.core, level.stride), _scaled(x.core, level.stride)
            first = y.spans[level.stride][0], x.spans[level.stride][0]
            _part(grid, to_y, to_x)[...] = _part(part[0].transpose(1, 2, 0), to_y, to_x, *first)

    def _window_of(self, maps: Sequence[np.ndarray], y: WindowSide, x: WindowSide) -> list[np.ndarray]:
        """A window of maps (rows, columns), one per level: (1, 1, h, w) each."""
        parts = zip(maps, self.levels, strict=True)
        return [_part(grid, y.spans[level.stride], x.spans[level.stride])[None, None] for grid, level in parts]

    def detokenize(self, tokens: Tokens, size: Size, progress: Progress | None = None) -> np.ndarray:
        """Inverse of `tokenize`: the picture, (height, width, 3) uint8."""
        out = np.empty((size.height, size.width, 3), np.uint8)
        windows = len(self.decoder_windows(size, size.box))
        for i, (left, top, part) in enumerate(self.parts(tokens, size)):
            out[top : top + len(part), left : left + part.shape[1]] = part
            if progress:
                progress(i + 1, windows)
        return out

    def parts(self, tokens: Tokens, size: Size, box: Box | None = None) -> Iterator[tuple[int, int, np.ndarray]]:
        """The pixels of a region, window by window: (left, top, (h, w, 3) uint8), counted from the picture's corner.

        tokens: those that the region depends on, at least; size: of the whole picture; box: the region, None for all.
        """
        box = box or size.box
        windows = self.decoder_windows(size, box)
        whole = len(windows) == 1 and box == size.box
        if whole:  # nothing is cut, so that every stride has all of its cells
            windows = [(WindowSide.uncut(size.height), WindowSide.uncut(size.width))]
        for y, x in windows:
            digits, masks = [], []
            for k, level in enumerate(self.levels):
                first = tokens.origin[0] * level.per_side, tokens.origin[1] * level.per_side
                place = y.spans[level.stride], x.spans[level.stride], *first
                digits.append(np.ascontiguousarray(_part(tokens.digits[k], *place).transpose(2, 0, 1)[None]))
                masks.append(_part(tokens.masks[k], *place)[None, None].astype(np.uint8))
            picture = unpack(self._packed(digits, masks, (y, x), None if whole else _state_cuts(y, x)))
            yield x.core[0], y.core[0], _part(picture, y.core, x.core, y.spans[4][0] * 4, x.spans[4][0] * 4)
        if len(windows) > 1:
            self.runtime.release()

    def _packed(
        self, digits: list[np.ndarray], masks: list[np.ndarray], window: tuple[WindowSide, WindowSide],
        cuts: Cuts | None,
    ) -> np.ndarray:  # fmt: skip
        """The window's picture by the decoder that is wanted, as `pack` has it."""
        if not self.sampling:
            return self.runtime.detokenize(digits, masks, cuts)
        noise = window_noise(self.sampling.seed, window[0].spans, window[1].spans)
        return self.runtime.generate(digits, masks, noise, self.sampling.detail, cuts)


def _in_groups(windows: Windows) -> Windows:
    """The largest windows first, and those of one size together: so a runtime takes no more memory than for one."""

    def size(window: tuple[WindowSide, WindowSide]) -> list[int]:
        return [last - first for side in window for first, last in side.spans.values()]

    return sorted(windows, key=size, reverse=True)


def _tokenizer_cuts(y: WindowSide, x: WindowSide) -> Cuts:
    cuts = _state_cuts(y, x)
    for stride in y.spans:
        scale = CELL // stride
        places = [
            (a - seen[0] * scale, b - seen[0] * scale)
            for seen, (a, b) in ((y.seen, y.spans[stride]), (x.seen, x.spans[stride]))
        ]
        cuts[feature_cut(stride)] = places[0], places[1]
    return cuts


def _state_cuts(y: WindowSide, x: WindowSide) -> Cuts:
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
    """The pixels of these cells, filled up where the last cells reach over the border."""
    window = rgb[rows[0] * CELL : rows[1] * CELL, columns[0] * CELL : columns[1] * CELL]
    return filled_up(window, *((last - first) * CELL for first, last in (rows, columns)))


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
    """Inverse of `pack`; what lies in memory with the channels last is as welcome."""
    h, w = packed.shape[2:]
    last = packed.transpose(0, 2, 3, 1)
    if packed.dtype == np.uint8 and last.flags.c_contiguous:  # four pixels of a colour move as one word
        rows = np.ascontiguousarray(last.view(np.uint32).reshape(h, w, 3, 4).transpose(0, 3, 2, 1)).view(np.uint8)
        picture = np.empty((h, 4, w * 4, 3), np.uint8)
        for colour in range(3):
            picture[..., colour] = rows[:, :, colour]
        return picture.reshape(h * 4, w * 4, 3)
    out = np.empty((h, 4, w, 4, 3), packed.dtype)
    for plane, (colour, y, x) in zip(packed[0], np.ndindex(3, 4, 4), strict=True):
        out[:, y, :, x, colour] = plane
    return out.reshape(h * 4, w * 4, 3)

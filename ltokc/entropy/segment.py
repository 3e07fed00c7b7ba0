"""A segment's tokens to and from its stream: prior, range coder and coding order meet here.

A grid of rows x columns cells of 64x64 px has one token per position and level; they are coded level by level, inside a
level in spread order (`ltokc.token_order`).  `depths` (rows, columns) says how many levels each cell keeps; without it
every cell keeps all.  A stream may hold any prefix of that sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltokc.container.records import Segment
from ltokc.entropy.depth_map import depth_counts, read_depths
from ltokc.entropy.number_formats import TOTAL_BITS
from ltokc.entropy.prior import Prior
from ltokc.entropy.range_coder import CutDecoder, RangeDecoder, RangeEncoder
from ltokc.errors import FormatError
from ltokc.geometry import Grid
from ltokc.token_grid import Digits, Tokens, first_tokens, full_masks, tokens_of_keep


class Limit(NamedTuple):
    """How much of a segment is wanted: the first `tokens` tokens, of the first `levels` levels; None: all."""

    tokens: int | None = None
    levels: int | None = None


EVERYTHING = Limit()


class SegmentWriter:
    """Codes the tokens of one grid, as far as asked: `bits(n)` and `stream(n)` for the first n tokens.

    digits: per level (rows, columns, d) int8; depths: (rows, columns) levels per cell or None for all; lean: keep the
    tokens' costs but not their counts (up to 6 times the pixels), and run the prior anew for every stream.
    """

    def __init__(self, prior: Prior, digits: Digits, depths: np.ndarray | None = None, lean: bool = False):
        per_side = prior.levels[0].per_side
        self.grid = Grid(digits[0].shape[0] // per_side, digits[0].shape[1] // per_side)
        self.prior, self.digits, self.depths, self.lean = prior, digits, depths, lean
        self.masks = full_masks(prior.levels, *self.grid, depths)
        self.level_counts = [int(mask.sum()) for mask in self.masks]
        self.total = sum(self.level_counts)
        # symbols (n, d) int8 and counts (n * d, size) as uint16 (none is above 2**16 - size + 1), pass by pass
        self.passes: list[tuple[np.ndarray, np.ndarray]] = []
        self.costs: list[np.ndarray] = []  # bits of every token, pass by pass
        self._reached = 0  # tokens in `costs`
        self._walk = self._run(self.total)

    def _run(self, tokens: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Symbols (n, d) and counts (n * d, size) of every pass, as far as it has some of the first `tokens` tokens."""
        state, left = self.prior.state(*self.grid), tokens
        for level, digits, sent in zip(self.prior.levels, self.digits, self.masks, strict=True):
            if left <= 0:
                return
            state.enter()
            flat = digits.reshape(-1, level.digits)
            for positions, counts in state.passes(digits, first_tokens(sent, left)):
                yield flat[positions] + np.int8(level.half), counts
                left -= len(positions)
            if left > 0:
                state.absorb(digits, sent)

    def tokens_at(self, keep: float) -> int:
        """Number of tokens in the first `keep` levels (a fraction of a level: that share of its tokens, rounded)."""
        return min(tokens_of_keep(keep, self.level_counts), self.total)

    def _reach(self, tokens: int) -> None:
        while self._reached < tokens and (found := next(self._walk, None)) is not None:
            symbols, counts = found
            chosen = counts[np.arange(len(counts)), symbols.ravel()]
            self.costs.append((TOTAL_BITS - np.log2(chosen)).reshape(symbols.shape).sum(1, dtype=np.float32))
            self._reached += len(symbols)
            if not self.lean:
                self.passes.append((symbols, counts.astype(np.uint16)))

    def bits(self, tokens: int) -> float:
        """Information of the first `tokens` tokens, in bits (the depth map left out)."""
        self._reach(tokens)
        left, bits = tokens, 0.0
        for costs in self.costs:
            bits += float(costs[:left].sum())
            left -= len(costs)
            if left <= 0:
                break
        return bits

    def stream(self, tokens: int, backend: str = "auto") -> bytes:
        """The range coder's bytes of the depth map, if any, and the first `tokens` tokens."""
        encoder, left = RangeEncoder(backend), tokens
        if self.depths is not None:
            for value, counts in depth_counts(self.depths.ravel(), self.grid, len(self.prior.levels)):
                encoder.encode(np.array([value], np.int32), counts)
        if not self.lean:
            self._reach(tokens)
        for symbols, counts in self._run(tokens) if self.lean else self.passes:
            n = min(left, len(symbols))
            if n > 0:
                encoder.encode(symbols[:n].ravel(), counts[: n * symbols.shape[1]].astype(np.int64))
            left -= n
        return encoder.finish()


def bits_of_cells(prior: Prior, digits: Digits) -> npt.NDArray[np.float64]:
    """Bits of each level's tokens in each cell when all cells keep everything: (levels, rows, columns)."""
    rows, columns = (side // prior.levels[0].per_side for side in digits[0].shape[:2])
    out = np.zeros((len(prior.levels), rows, columns))
    state = prior.state(rows, columns)
    for bits, level, grid in zip(out, prior.levels, digits, strict=True):
        state.enter()
        sent, costs = np.ones(grid.shape[:2], bool), np.zeros(grid.shape[0] * grid.shape[1])
        symbols = grid.reshape(-1, level.digits).astype(np.int32) + level.half
        for positions, counts in state.passes(grid, sent):
            chosen = counts[np.arange(len(counts)), symbols[positions].ravel()]
            costs[positions] = (TOTAL_BITS - np.log2(chosen)).reshape(len(positions), level.digits).sum(1)
        state.absorb(grid, sent)
        bits += costs.reshape(rows, level.per_side, columns, level.per_side).sum((1, 3))
    return out


def read_segment(
    prior: Prior, segment: Segment, grid: Grid, *, cut: bool = False, limit: Limit = EVERYTHING, backend: str = "auto"
) -> Tokens:
    """The tokens of a segment of rows x columns cells.

    cut: the stream may end early, and only the tokens that its bytes determine are returned.  Raises FormatError if the
    segment claims more tokens than the grid holds.
    """
    decoder = CutDecoder(segment.stream, backend) if cut else RangeDecoder(segment.stream, backend)
    depths = read_depths(decoder, *grid, len(prior.levels)) if segment.depth_map else None
    sent = full_masks(prior.levels, *grid, depths)
    if not cut and segment.tokens > sum(int(mask.sum()) for mask in sent):
        raise FormatError("the stream claims more tokens than its cells can hold")
    left = segment.tokens if limit.tokens is None else min(segment.tokens, limit.tokens)
    state, out = prior.state(*grid), Tokens.empty(prior.levels, grid)
    for k, (level, digits, mask, held) in enumerate(zip(prior.levels, out.digits, sent, out.masks, strict=True)):
        if left <= 0 or k == limit.levels:
            break
        state.enter()
        flat, held_flat = digits.reshape(-1, level.digits), held.reshape(-1)
        for positions, counts in state.passes(digits, first_tokens(mask, left)):
            wanted = min(left, len(positions))
            symbols = decoder.decode(counts[: wanted * level.digits])
            got = len(symbols) // level.digits
            taken = positions[:got]
            flat[taken] = symbols[: got * level.digits].reshape(got, level.digits) - level.half
            held_flat[taken] = True
            left = left - got if got == wanted else 0
            if left <= 0:
                break
        if left > 0 and k + 1 != limit.levels:
            state.absorb(digits, mask)
    return out


def reopen(prior: Prior, segment: Segment, grid: Grid, *, cut: bool = False) -> SegmentWriter:
    """A writer over the tokens of a segment, to cut or to check it, and no more of them.

    cut: the stream may end early; `total` is then the number of tokens that its bytes determine.  Raises FormatError.
    """
    tokens = read_segment(prior, segment, grid, cut=cut)
    decoder = CutDecoder(segment.stream) if cut else RangeDecoder(segment.stream)
    depths = read_depths(decoder, *grid, len(prior.levels)) if segment.depth_map else None
    writer = SegmentWriter(prior, tokens.digits, depths)
    writer.total = tokens.count if cut else segment.tokens
    return writer

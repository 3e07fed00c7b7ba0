"""A segment's tokens to and from its stream: prior, range coder and coding order meet here.

A grid of rows x columns cells of 64x64 px has one token per position and level; they are coded level by level, inside a
level in spread order (`ltokc.token_order`).  `depths` (rows, columns) says how many levels each cell keeps; without it
every cell keeps all.  A stream may hold any prefix of that sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.entropy.prior import LevelShape, Prior
from ltokc.entropy.range_coder import CutDecoder, RangeDecoder, RangeEncoder
from ltokc.errors import FormatError
from ltokc.token_order import spread_order

CELL = 64  # pixels
Digits = list[npt.NDArray[np.int8]]
Masks = list[npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class TokenArrays:
    """Tokens of a picture: per level digits int8 (rows, columns, d) centred on 0, and which positions hold one."""

    digits: Digits
    masks: Masks
    strides: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def count(self) -> int:
        return int(sum(mask.sum() for mask in self.masks))

    def sha256(self) -> str:
        """SHA-256 in hexadecimal of the canonical bytes (formats/LTK.md, "Tokens as bytes"): equal for equal tokens."""
        digest = hashlib.sha256()
        for level, mask, size in zip(self.digits, self.masks, self.sizes, strict=True):
            rows, columns, digits = level.shape
            digest.update(f"{rows} {columns} {digits} {size}\n".encode("ascii"))
            digest.update(mask.astype(np.uint8).tobytes() + (level * mask[..., None]).astype(np.int8).tobytes())
        return digest.hexdigest()


def full_masks(levels: Sequence[LevelShape], rows: int, columns: int, depths: np.ndarray | None = None) -> Masks:
    """Positions that the depths keep: per level bool (rows * s, columns * s) with s = 64 / stride."""
    out: Masks = []
    for k, level in enumerate(levels):
        scale = CELL // level.stride
        kept = np.ones((rows, columns), bool) if depths is None else depths > k
        out.append(kept.repeat(scale, 0).repeat(scale, 1))
    return out


def token_capacity(levels: Sequence[LevelShape], rows: int, columns: int) -> int:
    """Tokens of a grid with every level kept."""
    return sum(rows * columns * (CELL // level.stride) ** 2 for level in levels)


def tokens_of_keep(keep: float, level_counts: Sequence[int]) -> int:
    """Tokens in the first `keep` levels, which have so many each (a fraction of a level: that share, rounded)."""
    whole = max(0, min(int(keep), len(level_counts)))
    part = round(level_counts[whole] * (keep - whole)) if whole < len(level_counts) else 0
    return sum(level_counts[:whole]) + part


class SegmentWriter:
    """Codes the tokens of one grid, as far as asked: `bits(n)` and `stream(n)` for the first n tokens.

    digits: per level (rows, columns, d) int8; depths: (rows, columns) levels per cell or None for all; lean: keep the
    tokens' costs but not their counts (up to 6 times the pixels), and run the prior anew for every stream.
    """

    def __init__(self, prior: Prior, digits: Digits, depths: np.ndarray | None = None, lean: bool = False):
        rows, columns = (
            digits[0].shape[0] * prior.levels[0].stride // CELL,
            digits[0].shape[1] * prior.levels[0].stride // CELL,
        )
        self.prior, self.digits, self.depths, self.lean = prior, digits, depths, lean
        self.masks = full_masks(prior.levels, rows, columns, depths)
        self.level_counts = [int(mask.sum()) for mask in self.masks]
        self.total = sum(self.level_counts)
        # symbols (n, d) int8 and counts (n * d, size) as uint16 (none is above 2**16 - size + 1), pass by pass
        self.passes: list[tuple[np.ndarray, np.ndarray]] = []
        self.costs: list[np.ndarray] = []  # bits of every token, pass by pass
        self.grid = (rows, columns)
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
                yield flat[positions] + np.int8((level.size - 1) // 2), counts
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
            self.costs.append((16 - np.log2(chosen)).reshape(symbols.shape).sum(1, dtype=np.float32))
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
    scale = CELL // prior.levels[0].stride
    rows, columns = digits[0].shape[0] // scale, digits[0].shape[1] // scale
    out = np.zeros((len(prior.levels), rows, columns))
    state = prior.state(rows, columns)
    for bits, level, grid in zip(out, prior.levels, digits, strict=True):
        state.enter()
        sent, costs = np.ones(grid.shape[:2], bool), np.zeros(grid.shape[0] * grid.shape[1])
        symbols = grid.reshape(-1, level.digits).astype(np.int32) + (level.size - 1) // 2
        for positions, counts in state.passes(grid, sent):
            chosen = counts[np.arange(len(counts)), symbols[positions].ravel()]
            costs[positions] = (16 - np.log2(chosen)).reshape(len(positions), level.digits).sum(1)
        state.absorb(grid, sent)
        scale = CELL // level.stride
        bits += costs.reshape(rows, scale, columns, scale).sum((1, 3))
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


def read_segment(
    prior: Prior, data: bytes, tokens: int, rows: int, columns: int, *,
    depth_map: bool = False, cut: bool = False, limit: int | None = None, levels: int | None = None,
    backend: str = "auto",
) -> tuple[Digits, Masks]:  # fmt: skip
    """Decodes up to `tokens` tokens (`limit`: no more than so many) of a grid of rows x columns cells.

    levels: of the first levels only, None for all; cut: the stream may end early, and only the tokens that its bytes
    determine are returned.  Raises FormatError if the stream claims more tokens than the grid holds.
    """
    decoder = CutDecoder(data, backend) if cut else RangeDecoder(data, backend)
    shapes = prior.levels
    depths = read_depths(decoder, rows, columns, len(shapes)) if depth_map else None
    sent = full_masks(shapes, rows, columns, depths)
    if not cut and tokens > sum(int(mask.sum()) for mask in sent):
        raise FormatError("the stream claims more tokens than its cells can hold")
    left = tokens if limit is None else min(tokens, limit)
    state = prior.state(rows, columns)
    digits_out = [np.zeros((*mask.shape, level.digits), np.int8) for level, mask in zip(shapes, sent, strict=True)]
    masks_out = [np.zeros_like(mask) for mask in sent]
    for k, (level, digits, mask, held) in enumerate(zip(shapes, digits_out, sent, masks_out, strict=True)):
        if left <= 0 or k == levels:
            break
        state.enter()
        flat, held_flat = digits.reshape(-1, level.digits), held.reshape(-1)
        for positions, counts in state.passes(digits, first_tokens(mask, left)):
            wanted = min(left, len(positions))
            symbols = decoder.decode(counts[: wanted * level.digits])
            got = len(symbols) // level.digits
            taken = positions[:got]
            flat[taken] = symbols[: got * level.digits].reshape(got, level.digits) - (level.size - 1) // 2
            held_flat[taken] = True
            left = left - got if got == wanted else 0
            if left <= 0:
                break
        if left > 0 and k + 1 != levels:
            state.absorb(digits, mask)
    return digits_out, masks_out


def read_depths(decoder: RangeDecoder | CutDecoder, rows: int, columns: int, levels: int) -> npt.NDArray[np.int64]:
    """The depth map at the head of a stream, (rows, columns); cells that a cut stream does not reach keep nothing."""
    values = np.zeros(rows * columns, np.int64)
    for i, (_, counts) in enumerate(depth_counts(values, (rows, columns), levels)):
        symbol = decoder.decode(counts)
        if not len(symbol):
            break
        values[i] = symbol[0]
    return values.reshape(rows, columns)


def reopen(
    prior: Prior, data: bytes, tokens: int, rows: int, columns: int, *, depth_map: bool = False
) -> SegmentWriter:
    """A writer over the tokens of a whole stream, to cut or to check it, and no more of them.  Raises FormatError."""
    digits, _ = read_segment(prior, data, tokens, rows, columns, depth_map=depth_map)
    depths = read_depths(RangeDecoder(data), rows, columns, len(prior.levels)) if depth_map else None
    writer = SegmentWriter(prior, digits, depths)
    writer.total = tokens
    return writer


def depth_counts(values: np.ndarray, grid: tuple[int, int], levels: int) -> Iterator[tuple[int, np.ndarray]]:
    """The depths of the cells in raster order with the counts of each, (1, levels + 1), sum 2**16, given those before.

    `values` may be filled by the caller as it goes.  The prediction is the mean of left and upper neighbour (the first
    cell: all levels); a distance e from it has weight 4096 >> min(2 e, 12).
    """
    columns = grid[1]
    for i in range(len(values)):
        y, x = divmod(i, columns)
        if i == 0:
            prediction = levels
        elif y == 0:
            prediction = int(values[i - 1])
        elif x == 0:
            prediction = int(values[i - columns])
        else:
            prediction = (int(values[i - 1]) + int(values[i - columns]) + 1) // 2
        weights = np.array([4096 >> min(2 * abs(v - prediction), 12) for v in range(levels + 1)], np.int64)
        counts = 1 + weights * (2**16 - levels - 1) // weights.sum()
        counts[prediction] += 2**16 - counts.sum()
        yield int(values[i]), counts[None]

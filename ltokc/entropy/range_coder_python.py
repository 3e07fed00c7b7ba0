"""The range coder in pure Python: the reference of the stream, and the fallback where constriction has no wheel.

Range coding after Pasco (1976) and Martin (1979), with the numbers of `constriction.stream.queue`: a state of 64 bits,
words of 32 bits, probabilities of 24 bits.  `formats/LTK.md` (section "Range coder") is the normative text.

The encoder holds `lower` and `width` of an interval; a symbol with the sub-interval [left, right) of [0, 2**24) does

    scale = width >> 24;  lower += scale * left;  width = scale * (right - left)

and whenever width < 2**32 the top word of `lower` leaves the state.  A carry out of the state runs into the words that
have left already.  The decoder follows the same steps with `offset` = (stream - lower) in place of `lower`.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

PRECISION = 24  # bits of the cumulative probabilities
COUNT_BITS = 16  # the counts of a row sum to 2**16
STATE_BITS = 64
WORD_BITS = 32
FULL_WIDTH = (1 << STATE_BITS) - 1  # the interval before the first symbol is [0, 2**64 - 1)
WORD_MASK = (1 << WORD_BITS) - 1
BLOCK_ROWS = 4096  # rows turned into Python integers at a time: bounds the memory


def boundaries(counts: np.ndarray) -> np.ndarray:
    """Counts to intervals, in integers: (n, size) with rows that sum to 65536 -> (n, size + 1) int64.

    Symbol k owns [boundary k, boundary k+1) of [0, 2**24):

        boundary k = floor((2**24 - size) * (counts[0] + ... + counts[k-1]) / 2**16) + k,   boundary size = 2**24

    so every symbol has at least one unit.  constriction computes the same in float64, where it is exact.
    """
    rows, size = counts.shape
    result = np.zeros((rows, size + 1), np.int64)
    np.cumsum(counts, axis=1, out=result[:, 1:])
    result *= (1 << PRECISION) - size
    result >>= COUNT_BITS
    result += np.arange(size + 1)
    return result


class PythonEncoder:
    """The encoding half.  Arguments are checked by `ltokc.entropy.range_coder.RangeEncoder`."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._lower = 0
        self._width = FULL_WIDTH

    def encode(self, symbols: np.ndarray, counts: np.ndarray) -> None:
        """Appends n symbols, (n,) integers in [0, size), under counts (n, size)."""
        for start in range(0, len(symbols), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            bounds = boundaries(counts[block])
            rows, index = np.arange(len(bounds)), symbols[block]
            left = bounds[rows, index]
            self._encode_intervals(left.tolist(), (bounds[rows, index + 1] - left).tolist())

    def _encode_intervals(self, lefts: list[int], sizes: list[int]) -> None:
        words, lower, width = self._words, self._lower, self._width
        for left, size in zip(lefts, sizes, strict=True):
            scale = width >> PRECISION
            lower += scale * left
            width = scale * size
            if width <= WORD_MASK:
                word = lower >> WORD_BITS
                if word > WORD_MASK:
                    _carry(words)
                    word &= WORD_MASK
                words.append(word)
                lower = (lower & WORD_MASK) << WORD_BITS
                width <<= WORD_BITS
        if lower > FULL_WIDTH:
            _carry(words)
            lower &= FULL_WIDTH
        self._lower, self._width = lower, width

    def interval(self) -> tuple[bytes, int, int]:
        """The interval of all that was encoded: the words before the state (big-endian bytes), `lower`, `width`."""
        return b"".join(word.to_bytes(4, "big") for word in self._words), self._lower, self._width


def _carry(words: list[int]) -> None:
    """Adds one to the number that the words spell.  It never leaves the first: the stream's value stays below 1."""
    position = len(words) - 1
    while words[position] == WORD_MASK:
        words[position] = 0
        position -= 1
    words[position] += 1


class PythonDecoder:
    """The decoding half.  Words missing at the end are zeros."""

    def __init__(self, words: np.ndarray) -> None:
        """`words`: (n,) uint32."""
        self._words: list[int] = [*words.tolist(), 0, 0]
        self._offset = (self._words[0] << WORD_BITS) | self._words[1]
        self._next = 2
        self._width = FULL_WIDTH

    def decode(self, counts: np.ndarray, partial: bool) -> np.ndarray:
        """The next symbols under counts (n, size): (m,) int32.

        m < n where the stream names no symbol: every interval leaves up to 2**24 - 1 values at its upper end unused.
        (`partial` is for other backends: this one always says how far it came.)
        """
        symbols: list[int] = []
        for start in range(0, len(counts), BLOCK_ROWS):
            rows = boundaries(counts[start : start + BLOCK_ROWS]).tolist()
            symbols += self._decode_rows(rows)
            if len(symbols) < start + len(rows):
                break
        return np.array(symbols, np.int32)

    def _decode_rows(self, rows: list[list[int]]) -> list[int]:
        words, position, offset, width = self._words, self._next, self._offset, self._width
        end = len(words)
        symbols: list[int] = []
        for row in rows:
            scale = width >> PRECISION
            quantile = offset // scale
            if quantile >> PRECISION:
                break
            symbol = bisect_right(row, quantile) - 1
            symbols.append(symbol)
            left = row[symbol]
            offset -= scale * left
            width = scale * (row[symbol + 1] - left)
            if width <= WORD_MASK:
                offset <<= WORD_BITS
                width <<= WORD_BITS
                if position < end:
                    offset |= words[position]
                    position += 1
        self._next, self._offset, self._width = position, offset, width
        return symbols

"""Range coding of digits under integer counts: symbols <-> the shortest byte string.

Two backends write and read the same bytes: `constriction` (Rust; its queue coder with `Categorical(perfect=False)`) and
`python` (`ltokc.entropy.range_coder_python`).  constriction is imported on first use, and only trusted when it
reproduces a known stream: another version of it may round in another way.  Specification: `formats/LTK.md`, "Range
coder".

The coder does not notice damage; the container carries the checksums.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from ltokc.entropy.range_coder_python import FULL_WIDTH, STATE_BITS, WORD_BITS, PythonDecoder, PythonEncoder
from ltokc.errors import FormatError, UsageError

TOTAL = 65536  # every row of counts sums to this
BACKENDS = ("auto", "constriction", "python")
SHORT = 32  # counts of a row
PAD_WORDS = 3  # words of padding after which two different paddings have always parted


class _Encoder(Protocol):
    def encode(self, symbols: np.ndarray, counts: np.ndarray) -> None: ...

    def interval(self) -> tuple[bytes, int, int]: ...


class _Decoder(Protocol):
    def decode(self, counts: np.ndarray, partial: bool) -> np.ndarray: ...


class RangeEncoder:
    """Symbols to bytes.

    encoder = RangeEncoder()
    encoder.encode(np.array([2, 0]), np.array([[16384, 16384, 32768], [65534, 1, 1]]))
    data = encoder.finish()
    """

    def __init__(self, backend: str = "auto") -> None:
        """`backend`: "auto" (constriction where it is installed), "constriction" or "python".  Raises UsageError."""
        python = resolve_backend(backend) == "python"
        self._core: _Encoder = PythonEncoder() if python else _ConstrictionEncoder(_constriction())

    def encode(self, symbols: np.ndarray, counts: np.ndarray) -> None:
        """Appends symbols (n,) integers in [0, size) under counts (n, size) integers >= 1, rows summing to TOTAL.

        May be called many times, with another size each time.  Raises ValueError on arguments outside this.
        """
        counts = _checked_counts(counts)
        symbols = np.asarray(symbols)
        rows, size = counts.shape
        if symbols.shape != (rows,) or not (symbols.dtype.kind in "iu" or rows == 0):
            raise ValueError(f"symbols must be {rows} integers, one a row of counts")
        if rows == 0:
            return
        if symbols.min() < 0 or symbols.max() >= size:
            raise ValueError(f"a symbol is outside 0..{size - 1}")
        if size > 1:  # a certain symbol takes no bits
            self._core.encode(symbols, counts)

    def finish(self) -> bytes:
        """The shortest bytes such that any bytes after them decode to the same symbols; b"" for no symbols.

        Among the strings of that length, the smallest.  The encoder stays as it was: more symbols may follow.
        """
        prefix, lower, width = self._core.interval()
        return _close(prefix, lower, width)


class RangeDecoder:
    """Bytes to symbols.  Bytes missing at the end are read as zeros."""

    def __init__(self, data: bytes, backend: str = "auto") -> None:
        """`backend` as for RangeEncoder.  Raises UsageError."""
        self._core = _decoder(_words(data), backend)
        self._damaged = False

    def decode(self, counts: np.ndarray) -> np.ndarray:
        """The next n symbols under counts (n, size): (n,) int32 in [0, size).

        Raises FormatError where the bytes name no symbol (then every later call does), ValueError on bad counts.
        """
        counts = _checked_counts(counts)
        if self._damaged:
            raise FormatError("the coded stream is damaged")
        if counts.shape[0] == 0 or counts.shape[1] == 1:
            return np.zeros(counts.shape[0], np.int32)
        symbols = self._core.decode(counts, partial=False)
        if len(symbols) < len(counts):
            self._damaged = True
            raise FormatError("the coded stream is damaged")
        return symbols


class CutDecoder:
    """Bytes of a stream that was cut to the symbols that do not depend on the missing rest.

    The stream is decoded twice, continued with 00.. and with FF..: what a continuation can reach lies between the two,
    and a symbol's values are an interval, so what both agree on is certain.  More bytes never give fewer symbols.
    """

    def __init__(self, data: bytes, backend: str = "auto") -> None:
        """`backend` as for RangeEncoder.  Raises UsageError."""
        padding = b"\xff" * (-len(data) % 4 + 4 * PAD_WORDS)
        self._cores = (_decoder(_words(data), backend), _decoder(_words(bytes(data) + padding), backend))
        self._ended = False

    def decode(self, counts: np.ndarray) -> np.ndarray:
        """The next symbols under counts (n, size) that are certain: (m,) int32, m <= n.

        Once m < n every later call gives an empty array.  Raises ValueError on bad counts, nothing on any bytes.
        """
        counts = _checked_counts(counts)
        if self._ended or counts.shape[0] == 0:
            return np.zeros(0, np.int32)
        if counts.shape[1] == 1:
            return np.zeros(counts.shape[0], np.int32)
        low, high = (core.decode(counts, partial=True) for core in self._cores)
        common = min(len(low), len(high))
        differs = low[:common] != high[:common]
        if differs.any():
            common = int(differs.argmax())
        self._ended = common < len(counts)
        return low[:common]


def resolve_backend(backend: str = "auto") -> str:
    """The backend that `backend` stands for here: "constriction" or "python".

    Raises UsageError for an unknown name, or for "constriction" where none that writes this stream is installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"unknown range coder backend {backend!r}: one of {', '.join(BACKENDS)}")
    if backend == "python":
        return backend
    usable = _constriction() is not None
    if backend == "constriction" and not usable:
        raise UsageError("the constriction backend is not installed in a version that writes this stream")
    return "constriction" if usable else "python"


def _checked_counts(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.dtype.kind not in "iu" or not 1 <= counts.shape[1] <= TOTAL:
        raise ValueError("counts must be integers of shape (n, size)")
    if counts.dtype != np.int64:
        counts = counts.astype(np.int64)
    if len(counts) and (counts.min() < 1 or (_row_sums(counts) != TOTAL).any()):
        raise ValueError(f"every count must be at least 1 and every row sum to {TOTAL}")
    return counts


def _row_sums(counts: np.ndarray) -> np.ndarray:
    """Sums of rows, column by column where they are short: numpy sums a short row in as long as a long one."""
    if counts.shape[1] > SHORT:
        return counts.sum(axis=1)
    sums = counts[:, 0].copy()
    for column in counts.T[1:]:
        sums += column
    return sums


def _words(data: bytes) -> np.ndarray:
    """Bytes, filled up with zeros, to (n,) uint32 words."""
    return np.frombuffer(bytes(data) + bytes(-len(data) % 4), ">u4").astype(np.uint32)


def _close(prefix: bytes, lower: int, width: int) -> bytes:
    """The first of the shortest byte strings all of whose continuations lie in prefix . [lower, lower + width)."""
    if width == FULL_WIDTH:
        return b""  # nothing was encoded: the first symbol narrows the interval for good
    for length in range(1, STATE_BITS // 8 + 1):
        unit = 1 << (STATE_BITS - 8 * length)
        tail = -(-lower // unit)
        if (tail + 1) * unit <= lower + width:
            break
    if tail >> (8 * length):  # ran over into the words before
        prefix, tail = _add(prefix, 1), tail - (1 << 8 * length)
    return prefix + tail.to_bytes(length, "big")


def _add(number: bytes, amount: int) -> bytes:
    """A big-endian number plus `amount`, in the same number of bytes."""
    return (int.from_bytes(number, "big") + amount).to_bytes(len(number), "big")


def _decoder(words: np.ndarray, backend: str) -> _Decoder:
    if resolve_backend(backend) == "python":
        return PythonDecoder(words)
    return _ConstrictionDecoder(words, _constriction())


class _ConstrictionEncoder:
    def __init__(self, module: Any) -> None:
        stream = module.stream
        self._coder = stream.queue.RangeEncoder()
        self._family = stream.model.Categorical(perfect=False)

    def encode(self, symbols: np.ndarray, counts: np.ndarray) -> None:
        # float64 on purpose: float32 gives another stream
        probabilities = np.ascontiguousarray(counts, np.float64)
        self._coder.encode(np.ascontiguousarray(symbols, np.int32), self._family, probabilities)

    def interval(self) -> tuple[bytes, int, int]:
        words = self._coder.get_compressed()
        position, (lower, width) = self._coder.pos()
        prefix = words[:position].astype(">u4").tobytes()
        # constriction closes the stream at lower + 2**32 - 1; where that overflows the state, its words hold the carry
        if lower + (1 << WORD_BITS) - 1 > FULL_WIDTH and width != FULL_WIDTH:
            prefix = _add(prefix, -1)
        return prefix, lower, width


class _ConstrictionDecoder:
    def __init__(self, words: np.ndarray, module: Any) -> None:
        stream = module.stream
        self._coder = stream.queue.RangeDecoder(words)
        self._family = stream.model.Categorical(perfect=False)

    def decode(self, counts: np.ndarray, partial: bool) -> np.ndarray:
        probabilities = np.ascontiguousarray(counts, np.float64)
        return self._decode_partial(probabilities) if partial else self._decode(probabilities)

    def _decode(self, probabilities: np.ndarray) -> np.ndarray:
        """(n,) symbols, or none at all when one of them is invalid: constriction then keeps them to itself."""
        try:
            return self._coder.decode(self._family, probabilities)
        except (AssertionError, ValueError):
            return np.zeros(0, np.int32)

    def _decode_partial(self, probabilities: np.ndarray) -> np.ndarray:
        """(m,) symbols up to the first invalid one, found by halving; the coder is of no further use when m < n."""
        before = self._coder.clone()
        symbols = self._decode(probabilities)
        if len(symbols) == len(probabilities) or len(probabilities) == 1:
            return symbols
        self._coder = before
        half = len(probabilities) // 2
        first = self._decode_partial(probabilities[:half])
        if len(first) < half:
            return first
        return np.concatenate([first, self._decode_partial(probabilities[half:])])


CHECK_BYTES = bytes.fromhex("fb39551c44584a49b74a78cb000012c837e0e16e6e3815be4cfc")


@lru_cache(maxsize=1)
def _constriction() -> Any | None:
    """The constriction module, or None where it is absent or writes another stream than this format's."""
    try:
        module = importlib.import_module("constriction")
        encoder = _ConstrictionEncoder(module)
        for symbols, counts in _check_symbols():
            encoder.encode(symbols, counts)
        return module if _close(*encoder.interval()) == CHECK_BYTES else None
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


def _check_symbols() -> list[tuple[np.ndarray, np.ndarray]]:
    """Symbols and counts, even and skewed, whose bytes are CHECK_BYTES."""
    number = np.arange(1, 25)
    sizes = (3, 5, 7)
    result = []
    for size in sizes:
        counts = 1 + (number[:, None] * np.arange(1, size + 1) * 7919) % (TOTAL // size)
        counts[np.arange(24), number % size] += TOTAL - counts.sum(axis=1)
        result.append((number * 5 % size, counts))
    return result

"""The range coder: both backends, the shortest tail, cut streams, hostile bytes."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltokc.entropy import range_coder
from ltokc.entropy.range_coder import TOTAL, CutDecoder, RangeDecoder, RangeEncoder
from ltokc.entropy.range_coder_python import PRECISION, boundaries
from ltokc.errors import FormatError, UsageError

try:
    import constriction  # noqa: F401

    BACKENDS = ["python", "constriction"]
except ImportError:
    BACKENDS = ["python"]

needs_constriction = pytest.mark.skipif("constriction" not in BACKENDS, reason="constriction is not installed")
Call = tuple[np.ndarray, np.ndarray]  # symbols (n,), counts (n, size)


def draw_counts(random: np.random.Generator, rows: int, size: int, skew: float) -> np.ndarray:
    """(rows, size) int64 counts; the larger `skew`, the nearer to one certain symbol."""
    weights = random.exponential(size=(rows, size)) ** skew + 1e-300
    counts = 1 + np.floor(weights / weights.sum(1, keepdims=True) * (TOTAL - size)).astype(np.int64)
    counts[np.arange(rows), counts.argmax(1)] += TOTAL - counts.sum(1)
    return counts


def draw_symbols(random: np.random.Generator, counts: np.ndarray, likely: bool = True) -> np.ndarray:
    rows, size = counts.shape
    if not likely:
        return random.integers(0, size, (rows,), np.int32)
    passed = counts.cumsum(1) <= random.integers(0, TOTAL, (rows, 1))
    return np.count_nonzero(passed, axis=1).astype(np.int32)


def draw_calls(seed: int, symbols: int, calls: int, likely: bool = True) -> list[Call]:
    random = np.random.default_rng(seed)
    result = []
    for rows in np.diff(np.sort(np.r_[0, random.integers(0, symbols + 1, calls - 1), symbols])):
        size = int(random.choice([1, 2, 3, 5, 7, 8, 17, 256], p=[0.04, 0.1, 0.1, 0.3, 0.3, 0.1, 0.04, 0.02]))
        counts = draw_counts(random, int(rows), size, float(random.choice([0.0, 1.0, 3.0, 12.0])))
        result.append((draw_symbols(random, counts, likely), counts))
    return result


def encode(calls: list[Call], backend: str) -> bytes:
    encoder = RangeEncoder(backend)
    for symbols, counts in calls:
        encoder.encode(symbols, counts)
    return encoder.finish()


def decode(data: bytes, calls: list[Call], backend: str) -> list[int] | None:
    """All symbols, or None for damaged bytes."""
    decoder = RangeDecoder(data, backend)
    try:
        return [int(symbol) for _, counts in calls for symbol in decoder.decode(counts)]
    except FormatError:
        return None


def decode_cut(data: bytes, calls: list[Call], backend: str) -> list[int]:
    decoder = CutDecoder(data, backend)
    return [int(symbol) for _, counts in calls for symbol in decoder.decode(counts)]


def truth(calls: list[Call]) -> list[int]:
    return [int(symbol) for symbols, _ in calls for symbol in symbols]


def ideal_bits(calls: list[Call]) -> np.ndarray:
    """Bits of information of every symbol, (all symbols,) float64."""
    return np.concatenate([np.log2(TOTAL / counts[np.arange(len(counts)), symbols]) for symbols, counts in calls])


# --- intervals -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([0.0, 1.0, 8.0, 40.0]))
@settings(max_examples=60, deadline=None)
def test_boundaries_are_the_exact_rule(seed: int, size: int, skew: float) -> None:
    counts = draw_counts(np.random.default_rng(seed), 3, size, skew)
    for row, bounds in zip(counts.tolist(), boundaries(counts).tolist(), strict=True):
        expected = [(((1 << PRECISION) - size) * sum(row[:k])) // TOTAL + k for k in range(size)] + [1 << PRECISION]
        assert bounds == expected
        assert all(a < b for a, b in itertools.pairwise(bounds))


def test_boundaries_of_the_largest_alphabet() -> None:
    bounds = boundaries(np.ones((1, TOTAL), np.int64))[0]
    assert bounds[0] == 0 and bounds[-1] == 1 << PRECISION and (np.diff(bounds) >= 1).all()


# --- one stream from two backends ------------------------------------------------------------------------------------

STREAMS = [(seed, symbols) for seed, symbols in enumerate([1, 1, 2, 3, 5, 10, 30, 100, 300, 1000, 5000, 5000])]


@needs_constriction
@pytest.mark.parametrize("likely", [True, False])
@pytest.mark.parametrize(("seed", "symbols"), STREAMS)
def test_backends_agree(seed: int, symbols: int, likely: bool) -> None:
    calls = draw_calls(seed, symbols, 1 + seed * 7, likely)
    data = encode(calls, "constriction")
    assert encode(calls, "python") == data
    assert decode(data, calls, "python") == decode(data, calls, "constriction") == truth(calls)


@needs_constriction
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 30), st.booleans())
@settings(max_examples=100, deadline=None)
def test_backends_agree_on_anything(seed: int, symbols: int, calls: int, likely: bool) -> None:
    drawn = draw_calls(seed, symbols, calls, likely)
    data = encode(drawn, "constriction")
    assert encode(drawn, "python") == data
    assert decode(data, drawn, "python") == decode(data, drawn, "constriction") == truth(drawn)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rare", [0, 3])
def test_the_most_skewed_counts(backend: str, rare: int) -> None:
    likely = 3 - rare
    counts = np.ones((2000, 4), np.int64)
    counts[:, likely] = TOTAL - 3
    for symbols in (np.full(2000, likely), np.full(2000, rare), np.resize([likely, rare, 1, likely, likely], 2000)):
        calls = [(symbols.astype(np.int32), counts)]
        data = encode(calls, backend)
        assert data == encode(calls, "python")
        assert decode(data, calls, backend) == symbols.tolist()
    certain = encode([(np.full(2000, likely), counts)], backend)
    assert len(certain) <= 2  # 2000 * log2(65536 / 65533) bits are 0.13


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("symbols", [40, 200, 1000])
def test_carries_run_through_many_words(backend: str, symbols: int) -> None:
    """Symbols whose interval holds 1/2 for long: the words 7F FF.. stand until the last symbols decide on 80 00.."""
    counts = draw_counts(np.random.default_rng(symbols), symbols, 5, 1.0)
    straddling = RangeDecoder(b"\x80", "python").decode(counts)
    first_bytes = []
    for last in (0, 4):
        straddling[-4:] = last
        data = encode([(straddling, counts)], backend)
        assert data == encode([(straddling, counts)], "python")
        assert decode(data, [(straddling, counts)], backend) == straddling.tolist()
        assert data[1:-6] == bytes([255 * (last == 0)]) * (len(data) - 7)
        first_bytes.append(data[0])
    assert first_bytes == [0x7F, 0x80]


GOLDEN_COUNTS = np.array([[10000, 20000, 30000, 5000, 536], [1, 1, 1, 1, 65532], [65532, 1, 1, 1, 1]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("symbols", "expected"),
    [([2, 4, 0], "76"), ([0, 0, 4], "0000270fd8"), ([4, 4, 0], "fe"), ([1, 3, 2], "271139696f")],
)
def test_golden_streams(backend: str, symbols: list[int], expected: str) -> None:
    assert encode([(np.array(symbols), GOLDEN_COUNTS)], backend).hex() == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_split_calls_make_the_same_stream(backend: str) -> None:
    random = np.random.default_rng(3)
    counts = draw_counts(random, 500, 5, 2.0)
    symbols = draw_symbols(random, counts)
    whole = encode([(symbols, counts)], backend)
    parts = [(symbols[i : i + 7], counts[i : i + 7]) for i in range(0, 500, 7)]
    assert encode(parts, backend) == whole
    assert decode(whole, parts, backend) == symbols.tolist()


# --- the tail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_encodes_to_nothing(backend: str) -> None:
    assert RangeEncoder(backend).finish() == b""
    certain = (np.zeros(9, np.int32), np.full((9, 1), TOTAL))
    assert encode([(np.zeros(0, np.int32), np.zeros((0, 5), np.int64)), certain], backend) == b""
    assert decode(b"", [certain], backend) == decode_cut(b"", [certain], backend) == [0] * 9


@given(st.integers(0, 2**32), st.integers(1, 60), st.binary(max_size=12), st.sampled_from(BACKENDS))
@settings(max_examples=70, deadline=None)
def test_any_bytes_may_follow(seed: int, symbols: int, rest: bytes, backend: str) -> None:
    calls = draw_calls(seed, symbols, 4)
    data = encode(calls, backend)
    for follow in (b"", rest, b"\x00" * 9, b"\xff" * 9, b"\xff\x00\xff\x00\xff", b"\x00\xff" * 5):
        assert decode(data + follow, calls, backend) == truth(calls)


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_no_shorter_tail_exists(seed: int, symbols: int) -> None:
    """No string of one byte less holds against all that may follow, so neither does a shorter one."""
    calls = draw_calls(seed, symbols, 3)
    data = encode(calls, "python")
    if not data:
        return
    value = int.from_bytes(data[:-1], "big")
    for neighbour in (value - 1, value, value + 1):
        if 0 <= neighbour < 256 ** (len(data) - 1):
            shorter = neighbour.to_bytes(len(data) - 1, "big")
            assert any(decode(shorter + pad * 12, calls, "python") != truth(calls) for pad in (b"\x00", b"\xff"))


def test_overhead_of_the_tail() -> None:
    overheads = []
    for seed in range(400):
        calls = draw_calls(seed, 20 + seed % 200, 3)
        overheads.append(len(encode(calls, BACKENDS[-1])) - ideal_bits(calls).sum() / 8)
    assert np.mean(overheads) < 1.0  # the requirement is 1.5 bytes
    assert max(overheads) < 3.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_finish_leaves_the_encoder_as_it_was(backend: str) -> None:
    calls = draw_calls(5, 200, 6)
    encoder = RangeEncoder(backend)
    for symbols, counts in calls:
        encoder.encode(symbols, counts)
        assert encoder.finish() == encoder.finish()
    assert encoder.finish() == encode(calls, backend)


# --- cut streams -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_every_cut_gives_a_growing_prefix(seed: int) -> None:
    calls = draw_calls(100 + seed, 600, 1 + 4 * seed)
    data, expected = encode(calls, "python"), truth(calls)
    known = np.r_[0.0, ideal_bits(calls).cumsum()]  # bits of the first k symbols
    lost, before = [], 0
    for length in range(len(data) + 1):
        got = decode_cut(data[:length], calls, BACKENDS[-1])
        assert got == expected[: len(got)]
        assert len(got) >= before
        before = len(got)
        if length < len(data):
            lost.append(8 * length - known[len(got)])  # bits that are there but say nothing yet
    assert before == len(expected)
    assert np.mean(lost) < 6 and max(lost) < 40


@given(st.integers(0, 2**32), st.integers(1, 80), st.data())
@settings(max_examples=100, deadline=None)
def test_cuts_are_alike_in_both_backends(seed: int, symbols: int, data: st.DataObject) -> None:
    calls = draw_calls(seed, symbols, 5)
    stream = encode(calls, "python")
    cut = stream[: data.draw(st.integers(0, len(stream)))]
    results = [decode_cut(cut, calls, backend) for backend in BACKENDS]
    assert all(result == results[0] for result in results)
    assert results[0] == truth(calls)[: len(results[0])]


@given(st.integers(0, 2**32), st.integers(1, 60), st.data())
@settings(max_examples=100, deadline=None)
def test_certain_means_certain(seed: int, symbols: int, data: st.DataObject) -> None:
    """Whatever follows the cut, if it decodes at all, it begins with the symbols that the cut gave."""
    calls = draw_calls(seed, symbols, 3)
    stream = encode(calls, "python")
    cut = stream[: data.draw(st.integers(0, len(stream)))]
    certain = decode_cut(cut, calls, "python")
    other = decode(cut + data.draw(st.binary(max_size=16)), calls, "python")
    assert other is None or other[: len(certain)] == certain


@pytest.mark.parametrize("backend", BACKENDS)
def test_after_the_cut_every_call_is_empty(backend: str) -> None:
    calls = draw_calls(8, 300, 10)
    stream = encode(calls, backend)
    decoder = CutDecoder(stream[: len(stream) // 2], backend)
    lengths = [len(decoder.decode(counts)) for _, counts in calls]
    short = next(i for i, (_, counts) in enumerate(calls) if lengths[i] < len(counts))
    assert not any(lengths[short + 1 :])


# --- hostile bytes ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=60), st.integers(0, 2**32), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_decode_or_are_refused_alike(data: bytes, seed: int, symbols: int) -> None:
    calls = draw_calls(seed, symbols, 4)
    results = [decode(data, calls, backend) for backend in BACKENDS]
    assert all(result == results[0] for result in results)
    cuts = [decode_cut(data, calls, backend) for backend in BACKENDS]
    assert all(cut == cuts[0] for cut in cuts)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_in_the_unused_end_of_the_interval(backend: str) -> None:
    calls = draw_calls(1, 50, 2)
    decoder = RangeDecoder(b"\xff" * 40, backend)
    for _ in range(2):  # and it stays refused
        with pytest.raises(FormatError, match="damaged"):
            decoder.decode(calls[-1][1])
    assert decode_cut(b"\xff" * 40, calls, backend) == []


def damage_sites() -> list[tuple[list[Call], bytes]]:
    """Streams that turn invalid in the middle: narrow intervals leave a larger unused end."""
    random = np.random.default_rng(11)
    found = []
    for _ in range(4000):
        counts = np.ones((40, 4), np.int64)
        counts[np.arange(40), random.integers(0, 4, 40)] = TOTAL - 3
        calls = [(draw_symbols(random, counts[:20], False), counts[:20]), (np.zeros(20, np.int32), counts[20:])]
        data = encode(calls[:1], "python")[:-1] + b"\xff" * 12
        if decode(data, calls, "python") is None:
            found.append((calls, data))
        if len(found) == 12:
            break
    return found


@needs_constriction
def test_damage_in_the_middle_is_found_at_the_same_symbol() -> None:
    sites = damage_sites()
    assert sites
    for calls, data in sites:
        assert decode(data, calls, "constriction") is None
        lengths = []
        for backend in BACKENDS:
            cut = CutDecoder(data, backend)
            lengths.append([len(cut.decode(counts)) for _, counts in calls])
        assert lengths[0] == lengths[1] and sum(lengths[0]) < 40


# --- arguments and backends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "counts",
    [
        np.array([[1, TOTAL]]),
        np.array([[0, TOTAL]]),
        np.array([[-1, TOTAL + 1]]),
        np.array([[0.5, TOTAL - 0.5]]),
        np.array([TOTAL]),
        np.zeros((1, 0), np.int64),
    ],
)
def test_bad_counts(backend: str, counts: np.ndarray) -> None:
    for call in (
        lambda: RangeEncoder(backend).encode(np.zeros(1, np.int32), counts),
        lambda: RangeDecoder(b"abc", backend).decode(counts),
        lambda: CutDecoder(b"abc", backend).decode(counts),
    ):
        with pytest.raises(ValueError, match="count"):
            call()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("symbols", [[2], [-1], [0, 1], [[0]], [0.5], []])
def test_bad_symbols(backend: str, symbols: list) -> None:
    with pytest.raises(ValueError, match="symbol"):
        RangeEncoder(backend).encode(np.array(symbols), np.array([[1, TOTAL - 1]]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_layout_and_type_of_the_arrays_do_not_matter(backend: str) -> None:
    random = np.random.default_rng(2)
    counts = draw_counts(random, 50, 5, 2.0)
    symbols = draw_symbols(random, counts)
    expected = encode([(symbols, counts)], backend)
    wide = np.zeros((50, 10), np.int64)
    wide[:, ::2] = counts
    for other in (np.asfortranarray(counts), wide[:, ::2], counts.astype(np.int32), counts.astype(np.uint32)):
        assert encode([(symbols.astype(np.uint8), other)], backend) == expected
        assert decode(expected, [(symbols, other)], backend) == symbols.tolist()
    assert RangeDecoder(expected, backend).decode(counts).dtype == np.int32


def test_unknown_backend() -> None:
    for make in (RangeEncoder, lambda name: RangeDecoder(b"", name), lambda name: CutDecoder(b"", name)):
        with pytest.raises(UsageError, match="rust"):
            make("rust")


@pytest.mark.parametrize("broken", ["absent", "other stream"])
def test_without_a_fitting_constriction_python_takes_over(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    if broken == "absent":
        monkeypatch.setitem(sys.modules, "constriction", None)
    else:
        monkeypatch.setattr(range_coder, "CHECK_BYTES", b"another version")
    range_coder._constriction.cache_clear()
    try:
        assert range_coder.resolve_backend("auto") == "python"
        with pytest.raises(UsageError, match="constriction"):
            RangeEncoder("constriction")
        calls = draw_calls(4, 50, 3)
        assert decode(encode(calls, "auto"), calls, "auto") == truth(calls)
    finally:
        monkeypatch.undo()
        range_coder._constriction.cache_clear()


@needs_constriction
def test_auto_is_constriction() -> None:
    assert range_coder.resolve_backend("auto") == "constriction"


def test_import_leaves_constriction_alone() -> None:
    code = "import sys, ltokc.entropy.range_coder; sys.exit('constriction' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bits_of_the_stream_are_those_of_the_counts() -> None:
    """The 24-bit intervals cost next to nothing beyond the 16-bit counts."""
    calls = draw_calls(9, 5000, 5)
    bits = ideal_bits(calls).sum()
    assert 8 * len(encode(calls, BACKENDS[-1])) < bits * 1.0005 + 24
    assert math.isfinite(bits)

"""Rate control and trimming: what a file may weigh, and that its tokens are always a prefix of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ltokc
from ltokc import container
from ltokc.container import Segment
from ltokc.entropy import file
from ltokc.errors import UsageError
from ltokc.rate.defaults import DEFAULT_EFFORT, DEFAULT_QUALITY
from tests.support.pictures import grainy, smooth
from tests.support.tilings import small_segments

SIZES = [40, 200, 501, 700, 1000, 1600, 2000]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return grainy(200, 130)


@pytest.fixture(scope="module")
def best(picture: np.ndarray) -> bytes:
    """Every token."""
    return ltokc.encode(picture, 1.0, patches="off")


@pytest.fixture
def in_segments(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A picture of 10x9 cells that the codec is set to cut into segments of 8x8, 2x8, 8x1 and 2x1 cells."""
    small_segments(monkeypatch)
    return grainy(620, 550)


def is_prefix(part: bytes, whole: bytes) -> bool:
    a, b = ltokc.tokens(part), ltokc.tokens(whole)
    return all(
        not (held & ~full).any() and (d[held] == e[held]).all()
        for d, held, e, full in zip(a.digits, a.masks, b.digits, b.masks, strict=True)
    )


def has_less(part: bytes, whole: bytes) -> bool:
    """Tokens only where the whole has some; which ones is another matter, since the tokenizer is told their number."""
    pairs = zip(ltokc.tokens(part).masks, ltokc.tokens(whole).masks, strict=True)
    return all(not (held & ~full).any() for held, full in pairs)


@pytest.mark.parametrize("effort", [0, 1])
def test_more_quality_is_more_bytes(picture: np.ndarray, best: bytes, effort: int) -> None:
    files = [ltokc.encode(picture, quality, effort=effort, patches="off") for quality in np.linspace(0, 1, 9)]
    sizes = [len(data) for data in files]
    # all tokens of a picture told that there will be fewer may take a little more than those told so
    assert all(b >= 0.97 * a for a, b in zip(sizes, sizes[1:], strict=False)) and sizes[0] < sizes[4] < sizes[-1]
    assert (files[-1] == best) == (effort == 1) and all(has_less(data, best) for data in files)


def test_the_defaults(picture: np.ndarray) -> None:
    assert ltokc.encode(picture) == ltokc.encode(picture, DEFAULT_QUALITY, effort=DEFAULT_EFFORT)


@pytest.mark.parametrize("tokens", [0, 1, 11, 12, 13, 400, 1000, 10**9])
def test_tokens(picture: np.ndarray, best: bytes, tokens: int) -> None:
    total = ltokc.info(best).tokens
    for effort in (0, 1):
        data = ltokc.encode(picture, tokens=tokens, effort=effort)
        assert ltokc.info(data).tokens == ltokc.tokens(data).count == min(tokens, total)
        assert has_less(data, best)
        ltokc.verify(data)
    part = ltokc.trim(best, tokens=tokens)
    assert ltokc.info(part).tokens == min(tokens, total) and is_prefix(part, best)
    wanted = np.asarray(ltokc.decode(part))
    assert (np.asarray(ltokc.decode(best, tokens=tokens)) == wanted).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_target_is_met_from_below(picture: np.ndarray, best: bytes, size: int) -> None:
    assert max(SIZES) < len(best)
    for effort in (0, 1):
        data = ltokc.encode(picture, target_size=size, strict=True, effort=effort)
        assert len(data) <= size
        assert size <= 500 or len(data) >= 0.98 * size
        assert data == ltokc.encode(picture, target_size=size, effort=effort)
        assert has_less(data, best)
        ltokc.verify(data)
    part = ltokc.trim(best, target_size=size)
    assert len(part) <= size and is_prefix(part, best)
    assert size <= 500 or len(part) >= 0.98 * size


def test_a_target_above_the_best_file_gives_the_best_file(picture: np.ndarray, best: bytes) -> None:
    assert ltokc.encode(picture, target_size=10**6, patches="off") == best
    assert ltokc.trim(best, target_size=10**6) == best


@pytest.mark.parametrize("bpp", [0.05, 0.2, 0.4])
def test_target_bpp_counts_the_whole_file(picture: np.ndarray, bpp: float) -> None:
    data = ltokc.encode(picture, target_bpp=bpp)
    assert ltokc.info(data).bpp <= bpp
    assert data == ltokc.encode(picture, target_size=int(bpp * 200 * 130 / 8))


def test_a_target_that_nothing_meets(picture: np.ndarray, best: bytes) -> None:
    assert ltokc.info(ltokc.encode(picture, target_size=5)).tokens == 0
    with pytest.raises(UsageError, match="smallest file of this picture has"):
        ltokc.encode(picture, target_size=5, strict=True)
    with pytest.raises(UsageError, match="smallest file"):
        ltokc.trim(best, target_size=5)


def test_one_rate_control_at_a_time(picture: np.ndarray, best: bytes) -> None:
    with pytest.raises(UsageError, match="quality and tokens"):
        ltokc.encode(picture, 0.5, tokens=9)
    for quality, said in ((-0.1, "0 to 1"), (1.1, "0 to 1"), (float("nan"), "quality is 0 to 1, not nan")):
        with pytest.raises(UsageError, match=said):
            ltokc.encode(picture, quality)
    for wrong in ({}, {"tokens": 1, "target_size": 99}):
        with pytest.raises(UsageError, match="either"):
            ltokc.trim(best, **wrong)


def test_trimming_to_a_few_bytes_less_invents_no_tokens() -> None:
    """Of a picture whose tokens cost next to nothing the estimate of a size is off by several of them."""
    whole = ltokc.encode(smooth(256, 256), 1.0, patches="off")
    data = ltokc.trim(whole, tokens=3000)
    for size in range(len(data) - 8, len(data)):
        part = ltokc.trim(data, target_size=size)
        tokens = ltokc.info(part).tokens
        assert len(part) <= size and tokens <= 3000
        assert part == ltokc.trim(whole, tokens=tokens)
    assert ltokc.trim(data, target_size=len(data)) == data == ltokc.trim(data, tokens=3000)


# -- several segments --------------------------------------------------------------------------------------------------
def test_segments_share_the_rate(in_segments: np.ndarray) -> None:
    whole = ltokc.encode(in_segments, 1.0, patches="off")
    assert ltokc.info(whole).segments == 4
    before = 0
    for tokens in (0, 1, 90, 777, 5000):
        data = ltokc.encode(in_segments, tokens=tokens, effort=0)
        got = ltokc.info(data).tokens
        assert 0.95 * tokens - 4 <= got <= tokens and before <= got
        assert ltokc.info(ltokc.trim(whole, tokens=tokens)).tokens == got
        before = got
    for size in (700, 2500, 9000):
        for effort in (0, 1):
            data = ltokc.encode(in_segments, target_size=size, effort=effort)
            assert 0.98 * size <= len(data) <= size
            assert has_less(data, whole)
        part = ltokc.trim(whole, target_size=size)
        assert 0.98 * size <= len(part) <= size and is_prefix(part, whole)


def test_decoding_some_tokens_of_segments_takes_no_more(
    in_segments: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ltokc.encode(in_segments, 0.3)
    seen: list[int] = []
    read = file.read_tokens

    def spy(*args, **options):
        arrays = read(*args, **options)
        seen.append(arrays.count)
        return arrays

    monkeypatch.setattr(file, "read_tokens", spy)
    for tokens in (0, 3, 100):
        assert ltokc.decode(data, tokens=tokens).size == (620, 550)
    assert [count <= tokens for count, tokens in zip(seen, (0, 3, 100), strict=True)] == [True] * 3
    assert seen[2] > 80


def test_trimming_uneven_segments_invents_no_tokens(in_segments: np.ndarray) -> None:
    """A writer may divide the tokens among the segments as it likes; trimming adds none that were not there."""
    whole = ltokc.encode(in_segments, 0.6)
    ltk = container.read(whole)
    segments = (ltk.segments[0], *(Segment(0, False, b"") for _ in ltk.segments[1:]))
    uneven = container.write(replace(ltk, segments=segments))
    ltokc.verify(uneven)
    for options in ({"tokens": 900}, {"target_size": len(uneven) // 2}):
        part = ltokc.trim(uneven, **options)
        assert [segment.tokens for segment in container.read(part).segments][1:] == [0, 0, 0]
        assert is_prefix(part, uneven) and len(part) < len(uneven)
        ltokc.verify(part)

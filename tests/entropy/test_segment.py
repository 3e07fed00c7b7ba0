"""Tokens to streams and back: whole, by prefix, with depth maps, cut at any byte."""

import numpy as np
import pytest

from ltokc.entropy.prior import LevelShape, Prior
from ltokc.entropy.segment import SegmentWriter, full_masks, read_segment, reopen, token_capacity
from ltokc.errors import FormatError, ModelError
from tests.support.small_model import LEVELS, random_grids, small_ladder

pytest.importorskip("torch")
ROWS, COLUMNS = 2, 3
TABLE = np.rint(65536 * np.exp(-np.arange(1024) / 64)).astype(np.int32)


@pytest.fixture(scope="module")
def prior():
    from ltokc.train.export.tensors import prior_tensors

    return Prior(prior_tensors(small_ladder()), LEVELS)


@pytest.fixture(scope="module")
def writer(prior):
    return SegmentWriter(prior, random_grids(ROWS, COLUMNS, 1.0)[0])


def held(masks):
    return sum(int(m.sum()) for m in masks)


def agrees(writer, digits, masks):
    return all((d[m] == w[m]).all() and not d[~m].any() for d, w, m in zip(digits, writer.digits, masks, strict=True))


def test_every_token_comes_back(prior, writer):
    digits, masks = read_segment(prior, writer.stream(writer.total), writer.total, ROWS, COLUMNS)
    assert held(masks) == writer.total == token_capacity(LEVELS, ROWS, COLUMNS)
    assert agrees(writer, digits, masks)


@pytest.mark.parametrize("backend", ["constriction", "python"])
@pytest.mark.parametrize("tokens", [0, 1, 6, 7, 29, 30, 101, 500])
def test_a_prefix_is_a_prefix(prior, writer, tokens, backend):
    digits, masks = read_segment(prior, writer.stream(tokens, backend), tokens, ROWS, COLUMNS, backend=backend)
    assert held(masks) == tokens and agrees(writer, digits, masks)


def test_a_limit_reads_less(prior, writer):
    digits, masks = read_segment(prior, writer.stream(writer.total), writer.total, ROWS, COLUMNS, limit=50)
    assert held(masks) == 50 and agrees(writer, digits, masks)


def test_cut_at_every_byte(prior, writer):
    """More bytes never give fewer tokens, and every token that comes is right."""
    stream, before = writer.stream(300), 0
    for length in range(1, len(stream) + 1):
        digits, masks = read_segment(prior, stream[:length], 300, ROWS, COLUMNS, cut=True)
        assert agrees(writer, digits, masks)
        assert before <= held(masks) <= 300
        before = held(masks)
    assert before >= 298


def test_depth_maps_drop_tokens_and_come_back(prior):
    depths = np.array([[5, 3, 0], [1, 5, 2]])
    digits = [
        d * m[..., None]
        for d, m in zip(random_grids(ROWS, COLUMNS, 1.0)[0], full_masks(LEVELS, ROWS, COLUMNS, depths), strict=True)
    ]
    writer = SegmentWriter(prior, digits, depths)
    out, masks = read_segment(prior, writer.stream(writer.total), writer.total, ROWS, COLUMNS, depth_map=True)
    assert held(masks) == writer.total < token_capacity(LEVELS, ROWS, COLUMNS)
    assert agrees(writer, out, masks)
    for mask, expected in zip(masks, full_masks(LEVELS, ROWS, COLUMNS, depths), strict=True):
        assert (mask == expected).all()


def test_too_many_tokens_are_refused(prior):
    with pytest.raises(FormatError, match="more tokens"):
        read_segment(prior, b"\0" * 40, token_capacity(LEVELS, 1, 1) + 1, 1, 1)


def test_estimated_bits_are_the_stream_s(writer):
    for tokens in (10, 100, 700):
        assert abs(writer.bits(tokens) / 8 - len(writer.stream(tokens))) < 4


def test_tokens_at_is_monotone(writer):
    counts = [writer.tokens_at(keep) for keep in np.linspace(0, 5, 60)]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == writer.total


def test_a_stream_with_depths_is_cut_and_written_again(prior):
    depths = np.array([[5, 3, 0], [1, 5, 2]])
    kept = full_masks(LEVELS, ROWS, COLUMNS, depths)
    digits = [d * m[..., None] for d, m in zip(random_grids(ROWS, COLUMNS, 1.0)[0], kept, strict=True)]
    writer = SegmentWriter(prior, digits, depths)
    again = reopen(prior, writer.stream(200), 200, ROWS, COLUMNS, depth_map=True)
    assert again.stream(200) == writer.stream(200) and again.stream(90) == writer.stream(90)


@pytest.mark.parametrize(
    "levels", [(), ((32, 3, 5),), ((64, 3, 5), (16, 3, 5)), ((64, 3, 4),), ((64, 3, 17),), ((64, 0, 5),)]
)
def test_levels_that_are_no_ladder_are_refused(levels):
    with pytest.raises(ModelError, match="ladder"):
        Prior({"prior.start": np.zeros(4), "prior.exp_table": TABLE}, tuple(LevelShape(*level) for level in levels))

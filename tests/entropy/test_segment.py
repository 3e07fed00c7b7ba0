"""Tokens to streams and back: whole, by prefix, with depth maps, cut at any byte."""

import numpy as np
import pytest

from ltokc.container import Segment
from ltokc.entropy.prior import Prior
from ltokc.entropy.segment import Limit, SegmentWriter, read_segment, reopen
from ltokc.errors import FormatError, ModelError
from ltokc.geometry import Grid, Level
from ltokc.token_grid import Tokens, full_masks, token_capacity
from tests.support.small_model import LEVELS, random_grids, small_ladder

pytest.importorskip("torch")
ROWS, COLUMNS = 2, 3
GRID = Grid(ROWS, COLUMNS)
TABLE = np.rint(65536 * np.exp(-np.arange(1024) / 64)).astype(np.int32)


@pytest.fixture(scope="module")
def prior():
    from ltokc.train.export.tensors import prior_tensors

    return Prior(prior_tensors(small_ladder()), LEVELS)


@pytest.fixture(scope="module")
def writer(prior):
    return SegmentWriter(prior, random_grids(ROWS, COLUMNS, 1.0)[0])


def agrees(writer: SegmentWriter, found: Tokens) -> bool:
    grids = zip(found.digits, writer.digits, found.masks, strict=True)
    return all((d[m] == w[m]).all() and not d[~m].any() for d, w, m in grids)


def test_every_token_comes_back(prior, writer):
    found = read_segment(prior, Segment(writer.total, False, writer.stream(writer.total)), GRID)
    assert found.count == writer.total == token_capacity(LEVELS, ROWS, COLUMNS)
    assert agrees(writer, found) and found.grid == GRID


@pytest.mark.parametrize("backend", ["constriction", "python"])
@pytest.mark.parametrize("tokens", [0, 1, 6, 7, 29, 30, 101, 500])
def test_a_prefix_is_a_prefix(prior, writer, tokens, backend):
    found = read_segment(prior, Segment(tokens, False, writer.stream(tokens, backend)), GRID, backend=backend)
    assert found.count == tokens and agrees(writer, found)


def test_a_limit_reads_less(prior, writer):
    segment = Segment(writer.total, False, writer.stream(writer.total))
    found = read_segment(prior, segment, GRID, limit=Limit(tokens=50))
    assert found.count == 50 and agrees(writer, found)
    found = read_segment(prior, segment, GRID, limit=Limit(levels=2))
    assert found.level_counts == [*writer.level_counts[:2], 0, 0, 0] and agrees(writer, found)


def test_cut_at_every_byte(prior, writer):
    """More bytes never give fewer tokens, and every token that comes is right."""
    stream, before = writer.stream(300), 0
    for length in range(1, len(stream) + 1):
        found = read_segment(prior, Segment(300, False, stream[:length]), GRID, cut=True)
        assert agrees(writer, found)
        assert before <= found.count <= 300
        before = found.count
    assert before >= 298


def test_depth_maps_drop_tokens_and_come_back(prior):
    depths = np.array([[5, 3, 0], [1, 5, 2]])
    digits = [
        d * m[..., None]
        for d, m in zip(random_grids(ROWS, COLUMNS, 1.0)[0], full_masks(LEVELS, ROWS, COLUMNS, depths), strict=True)
    ]
    writer = SegmentWriter(prior, digits, depths)
    found = read_segment(prior, Segment(writer.total, True, writer.stream(writer.total)), GRID)
    assert found.count == writer.total < token_capacity(LEVELS, ROWS, COLUMNS)
    assert agrees(writer, found)
    for mask, expected in zip(found.masks, full_masks(LEVELS, ROWS, COLUMNS, depths), strict=True):
        assert (mask == expected).all()


def test_too_many_tokens_are_refused(prior):
    with pytest.raises(FormatError, match="more tokens"):
        read_segment(prior, Segment(token_capacity(LEVELS, 1, 1) + 1, False, b"\0" * 40), Grid(1, 1))


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
    again = reopen(prior, Segment(200, True, writer.stream(200)), GRID)
    assert again.stream(200) == writer.stream(200) and again.stream(90) == writer.stream(90)


@pytest.mark.parametrize(
    "levels", [(), ((32, 3, 5),), ((64, 3, 5), (16, 3, 5)), ((64, 3, 4),), ((64, 3, 17),), ((64, 0, 5),)]
)
def test_levels_that_are_no_ladder_are_refused(levels):
    with pytest.raises(ModelError, match="ladder"):
        Prior({"prior.start": np.zeros(4), "prior.exp_table": TABLE}, tuple(Level(*level) for level in levels))

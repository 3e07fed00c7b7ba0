"""Colour grids by the range coder: exact both ways, bounded, and refused where damaged."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltokc.container import Header, colour
from ltokc.container.colour import WHOLE, Head
from ltokc.entropy import range_coder
from ltokc.entropy.colour import counts_of, decode, differences, encode, quarters, summed
from ltokc.errors import FormatError
from ltokc.geometry import Box
from tests.support.pictures import smooth


@st.composite
def grids(draw: st.DrawFn) -> tuple[Header, Head, np.ndarray]:
    """A header, a head for it, and steps (planes, rows, columns) that it can tell."""
    header = Header(6, 1, draw(st.integers(1, 300)), draw(st.integers(1, 200)), gray=draw(st.booleans()))
    planes, told = colour.planes(header), draw(st.booleans())
    shapes = tuple((draw(st.integers(0, 15)), draw(st.integers(0, 15))) for _ in range(planes))
    head = Head(draw(st.integers(0, WHOLE)), draw(st.integers(1, 63)), told, draw(st.integers(1, 127)), shapes)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    most = min(head.largest // 2 if told else head.largest, 1023 // head.step)
    return header, head, rng.integers(-most, most + 1, (planes, *head.lattice(header)))


@settings(max_examples=80, deadline=None)
@given(grids())
def test_both_ways(grid: tuple[Header, Head, np.ndarray]) -> None:
    header, head, steps = grid
    data = encode(steps, head)
    colour.check(data, header)
    assert colour.head_of(data, header) == head and data.startswith(head.data)
    found = decode(data, header)
    assert np.array_equal(found.values, quarters(steps, head.step)) and found.spacing == head.spacing
    assert np.array_equal(summed(differences(steps)), steps)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=6, max_size=30), st.booleans())
def test_any_bytes_are_a_grid_or_refused(data: bytes, gray: bool) -> None:
    header = Header(6, 1, 130, 70, gray=gray)
    try:
        values = decode(b"\2" + data, header).values
    except FormatError:
        return
    assert np.abs(values).max() <= 2 * 1023


def test_without_constriction_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    header, head = Header(6, 1, 300, 200), Head(1, 9, False, 9, ((4, 3), (7, 9), (0, 15)))
    steps = np.random.default_rng(0).integers(-9, 10, (3, 8, 10))
    data = encode(steps, head)
    monkeypatch.setattr(range_coder, "_constriction", lambda: None)
    assert encode(steps, head) == data
    assert np.array_equal(decode(data, header).values, quarters(steps, 9))


def test_every_shape_has_counts() -> None:
    for shape in [(i, j) for i in range(16) for j in range(16)]:
        for largest in (1, 2, 127):
            counts = counts_of(shape, largest)
            assert counts.sum() == 65536 and counts.min() >= 1 and np.array_equal(counts, counts[::-1])
            assert counts.argmax() == largest and (np.diff(counts[largest:]) <= 0).all()


def test_luma_stays_where_colours_alone_change() -> None:
    steps = np.array([[[0, 0, 0]], [[60, -60, 0]], [[0, 60, -60]]])
    red, green, blue = quarters(steps, 4)
    assert np.abs(0.299 * red + 0.587 * green + 0.114 * blue).max() < 1


def test_what_is_allocated_is_bounded() -> None:
    header = Header(6, 1, 8192, 8192)
    data = Head(2, 6, False, 127, ((0, 15),) * 3).data + bytes(40)
    tracemalloc.start()
    decode(data, header)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


def test_values_out_of_range_are_refused() -> None:
    for step, good in ((11, True), (12, False)):
        data = encode(np.full((3, 1, 2), 93), Head(0, step, False, 93, ((0, 15),) * 3))
        if good:
            decode(data, Header(6, 1, 128, 64))
        else:
            with pytest.raises(FormatError, match="out of range"):
                decode(data, Header(6, 1, 128, 64))


@pytest.mark.parametrize("fineness", [0, 1, 2, WHOLE])
def test_crops_are_parts_of_the_whole(fineness: int) -> None:
    header, head = Header(6, 1, 300, 260), Head(fineness, 6, False, 40, ((0, 15),) * 3)
    steps = np.random.default_rng(fineness).integers(-40, 41, (3, *head.lattice(header)))
    corrections, picture = decode(encode(steps, head), header), Image.fromarray(smooth(300, 260))
    whole = picture.copy()
    corrections.add_to(whole, Box(0, 0, 300, 260))
    for box in (Box(0, 0, 1, 1), Box(37, 101, 100, 33), Box(299, 0, 1, 260), Box(0, 255, 300, 5)):
        part = picture.crop((box.left, box.top, box.left + box.width, box.top + box.height))
        corrections.add_to(part, box)
        assert np.array_equal(np.asarray(part), np.asarray(whole)[box.slices])

"""The colour grid: exact, the same for any crop, and never more values than there are cells."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltokc.container import Header
from ltokc.container.colour import DEFLATE, PLAIN, Corrections, check, encode
from ltokc.container.colour import plain_values as decode
from ltokc.errors import FormatError
from ltokc.geometry import CELL, Box
from tests.support.pictures import smooth

HEADER, GRAY = Header(6, 1, 300, 200), Header(6, 1, 300, 200, gray=True)
VALUES = np.random.default_rng(0).integers(-128, 128, (3, 4, 5)).astype(np.int8)


def corrected(header: Header, data: bytes, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    left, top, width, height = box = box or (0, 0, header.width, header.height)
    image = Image.fromarray(smooth(header.width, header.height)).crop((left, top, left + width, top + height))
    Corrections(decode(data, header), CELL).add_to(image, Box(*box))
    return np.asarray(image)


def test_both_codings() -> None:
    zeros = np.zeros((3, 4, 5), np.int8)
    assert encode(VALUES)[0] == PLAIN and encode(zeros)[0] == DEFLATE
    for values in (VALUES, zeros):
        assert np.array_equal(decode(encode(values), HEADER), values)
    assert encode(VALUES) == b"\0" + VALUES.tobytes()
    assert decode(encode(VALUES[:1]), GRAY).shape == (1, 4, 5)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\2" + bytes(60), b"\2\6\1\0\0", b"\3" + bytes(60),
     b"\0" + bytes(59), b"\0" + bytes(61), b"\0" + bytes(20), b"\1", b"\1x",
     b"\1" + zlib.compress(bytes(59)), b"\1" + zlib.compress(bytes(61)), b"\1" + zlib.compress(bytes(60)) + b"\0",
     b"\1" + zlib.compress(bytes(60))[:-1]],
)  # fmt: skip
def test_faults(data: bytes) -> None:
    with pytest.raises(FormatError, match="colour grid"):
        decode(data, HEADER)


def test_what_is_checked_before_it_is_inflated() -> None:
    check(b"\1nothing", HEADER)
    check(b"\2\6\1\0\0\0nothing", HEADER)
    for wrong in (b"", b"\2", b"\2\6\1\0\0", b"\2\0\1\0\0\0", b"\2\6\x80\0\0\0", b"\3", b"\0" + bytes(59)):
        with pytest.raises(FormatError, match="colour grid"):
            check(wrong, HEADER)
    with pytest.raises(FormatError):
        check(encode(VALUES), GRAY)


def test_a_bomb_is_not_inflated() -> None:
    bomb = b"\1" + zlib.compress(bytes(50_000_000), 9)
    tracemalloc.start()
    with pytest.raises(FormatError):
        decode(bomb, HEADER)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_one_value_everywhere_is_added_everywhere() -> None:
    """Quarters, rounded to the nearest, halves up: 10 / 4 adds 3, -10 / 4 takes 2 away."""
    for quarters, added in ((10, 3), (-10, -2), (4, 1), (1, 0), (2, 1), (-2, 0), (-3, -1)):
        data = encode(np.full((3, 4, 5), quarters, np.int8))
        assert np.array_equal(corrected(HEADER, data), smooth(300, 200) + np.int64(added))


def test_the_rule_of_the_text_pixel_by_pixel() -> None:
    rgb, out = smooth(300, 200).astype(int), np.empty((200, 300, 3), int)
    c = VALUES.astype(int)
    for y in range(200):
        for x in range(300):
            i, f = divmod(2 * x - 63, 128)
            j, g = divmod(2 * y - 63, 128)
            left, right = min(max(i, 0), 4), min(max(i + 1, 0), 4)
            up, down = min(max(j, 0), 3), min(max(j + 1, 0), 3)
            total = ((c[:, up, left] * (128 - f) + c[:, up, right] * f) * (128 - g)
                     + (c[:, down, left] * (128 - f) + c[:, down, right] * f) * g)  # fmt: skip
            out[y, x] = (rgb[y, x] + (total + 2**15) // 2**16).clip(0, 255)
    assert np.array_equal(corrected(HEADER, encode(VALUES)), out)


def test_gray_has_one_value_for_all_colours() -> None:
    three = np.repeat(VALUES[:1], 3, 0)
    assert np.array_equal(corrected(GRAY, encode(VALUES[:1])), corrected(HEADER, encode(three)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_crop_is_a_part_of_the_whole(data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, 299)), data.draw(st.integers(0, 199))
    box = (left, top, data.draw(st.integers(1, 300 - left)), data.draw(st.integers(1, 200 - top)))
    whole = corrected(HEADER, encode(VALUES))[top : top + box[3], left : left + box[2]]
    assert np.array_equal(corrected(HEADER, encode(VALUES), box), whole)


def test_a_tall_picture_in_strips() -> None:
    header = Header(6, 1, 70, 1000)
    values = np.random.default_rng(1).integers(-128, 128, (3, 16, 2)).astype(np.int8)
    whole = corrected(header, encode(values))
    assert all(np.array_equal(corrected(header, encode(values), (0, y, 70, 1)), whole[y : y + 1]) for y in range(1000))

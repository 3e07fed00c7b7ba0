"""Patches: numbers are checked before pictures, and what is laid over is the same for any crop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltokc.container import Header, bitstreams
from ltokc.container.bitstreams import VP8, VP8L
from ltokc.container.numbers import varint
from ltokc.container.patches import MAX_FEATHER, Patch, area, lay_over, parse, spell
from ltokc.errors import FormatError
from ltokc.geometry import Box, CellBox
from tests.support.pictures import grainy, smooth

WHOLE = Header(6, 1, 300, 200)  # 5x4 cells, the last column 44, the last row 8 pixels
SEGMENTED = Header(6, 1, 600, 1100, 8)  # segments of 8 and 2 columns, 8, 8 and 2 rows


def made(
    header: Header, rectangles: tuple[tuple[int, int, int, int], ...], *, segment: int = 0, coding: int = VP8L,
    feather: int = 0,
) -> Patch:  # fmt: skip
    """A patch with a picture of the right size."""
    empty = Patch(segment, coding, feather, tuple(CellBox(*r) for r in rectangles), b"")
    _, _, width, height = area(empty, header)
    body = bitstreams.encode(coding, Image.fromarray(255 - grainy(width, height)), 60, 0)
    return dataclasses.replace(empty, picture=body)


def shown(patch: Patch, header: Header, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A smooth picture with the patch over it; of the region alone if there is one."""
    image = Image.fromarray(smooth(header.width, header.height))
    left, top, width, height = box = box or (0, 0, header.width, header.height)
    image = image.crop((left, top, left + width, top + height))
    lay_over(image, patch, header, Box(*box))
    return np.asarray(image)


TWO = (CellBox(0, 0, 2, 1), CellBox(3, 2, 2, 2))


# --- bytes -----------------------------------------------------------------------------------------------------------
def test_bytes_of_the_text() -> None:
    body = bitstreams.encode(VP8L, Image.new("RGB", (300, 200)))
    patch = Patch(0, VP8L, 4, TWO, body)
    assert spell(patch) == bytes.fromhex("00 02 04 02  00 00 01 00  03 02 01 01") + body
    assert parse(spell(patch), WHOLE) == patch


@pytest.mark.parametrize("coding", [2, 3, 4])
@pytest.mark.parametrize("segment", [0, 1, 5])
def test_every_segment_has_its_own(coding: int, segment: int) -> None:
    patch = made(SEGMENTED, ((0, 0, 2, 2),), segment=segment, coding=coding)
    assert parse(spell(patch), SEGMENTED) == patch
    assert area(patch, SEGMENTED) == {0: (0, 0, 128, 128), 1: (512, 0, 88, 128), 5: (512, 1024, 88, 76)}[segment]


GOOD = made(WHOLE, TWO)


def changed(**fields: object) -> bytes:
    return spell(dataclasses.replace(GOOD, **fields))  # type: ignore[arg-type]


FAULTS = {
    "nothing": (b"", "ends inside its numbers"),
    "no rectangle": (b"\0\2\0\0", "0 rectangles of patches: 1 to 20"),
    "numbers cut": (spell(GOOD)[:9], "ends inside its numbers"),
    "long number": (b"\x80" + spell(GOOD), "shortest form"),
    "no picture": (changed(picture=b""), "is no VP8L"),
    "segment": (changed(segment=1), "patches of segment 1, but the file has 1"),
    "coding 1": (changed(coding=1), "unknown coding 1 of patches"),
    "coding 5": (changed(coding=5), "unknown coding 5 of patches"),
    "feather": (changed(feather=33), "fade over 33 pixels"),
    "many": (b"\0\2\0" + varint(21) + bytes(84), "21 rectangles of patches: 1 to 20"),
    "too far right": (changed(rectangles=(CellBox(3, 0, 3, 1),)), "leaves its segment"),
    "too far down": (changed(rectangles=(CellBox(0, 4, 1, 1),)), "leaves its segment"),
    "far away": (b"\0\2\0\1" + varint(2**35 - 1) * 4, "leaves its segment"),
    "order": (changed(rectangles=TWO[::-1]), "not in order"),
    "twice": (changed(rectangles=(TWO[0], TWO[0])), "not in order"),
    "overlap": (changed(rectangles=(TWO[0], CellBox(1, 0, 1, 4))), "overlap"),
    "size": (changed(rectangles=(TWO[0],)), "300x200 pixels instead of 128x64"),
    "another coding": (changed(coding=VP8), "is no VP8 bitstream"),
}


@pytest.mark.parametrize(("data", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(data, WHOLE)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=30), st.integers(0, len(spell(GOOD))))
def test_any_bytes(data: bytes, keep: int) -> None:
    for attempt in (data, data + spell(GOOD)[keep:], spell(GOOD)[:keep] + data):
        try:
            patch = parse(attempt, WHOLE)
            assert spell(patch) == attempt
            lay_over(Image.new("RGB", (300, 200)), patch, WHOLE, Box(0, 0, 300, 200))
        except FormatError as error:
            assert "\n" not in str(error)


# --- pixels ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coding", [2, 3, 4])
def test_patches_are_where_they_belong(coding: int) -> None:
    patch = made(WHOLE, TWO, coding=coding)
    picture = bitstreams.decode(coding, patch.picture, 300, 200, "it")
    covered = np.zeros((200, 300, 1), bool)
    covered[:64, :128] = covered[128:, 192:] = True
    assert np.array_equal(shown(patch, WHOLE), np.where(covered, picture, smooth(300, 200)))


def test_in_segments_and_at_the_border() -> None:
    patch = made(SEGMENTED, ((0, 1, 1, 1), (1, 1, 1, 1)), segment=3)
    picture = bitstreams.decode(VP8L, patch.picture, 88, 64, "it")
    wanted = smooth(600, 1100)
    wanted[576:640, 512:600] = picture
    assert np.array_equal(shown(patch, SEGMENTED), wanted)


def blended_slowly(patch: Patch, header: Header) -> np.ndarray:
    """The rule of the text, pixel by pixel, in a picture of one segment."""
    left, top, width, height = area(patch, header)
    picture = bitstreams.decode(patch.coding, patch.picture, width, height, "it").astype(int)
    covered = np.zeros((header.height, header.width), bool)
    for x, y, wide, high in patch.rectangles:
        covered[64 * y : 64 * (y + high), 64 * x : 64 * (x + wide)] = True
    out, f = smooth(header.width, header.height).astype(int), patch.feather
    for y, x in np.argwhere(covered):
        around = ~covered[max(0, y - f) : y + f + 1, max(0, x - f) : x + f + 1]
        rows, columns = np.nonzero(around)
        d = f
        if len(rows):
            away = np.maximum(abs(rows + max(0, y - f) - y), abs(columns + max(0, x - f) - x))
            d = int(away.min()) - 1
        new = picture[y - top, x - left]
        out[y, x] = new if d >= f else (new * (2 * d + 1) + out[y, x] * (2 * f - 2 * d - 1) + f) // (2 * f)
    return out


@pytest.mark.parametrize("feather", [1, 5, MAX_FEATHER])
def test_feathered_borders(feather: int) -> None:
    """A cross with a hole, at the border of the picture, where nothing fades."""
    patch = made(WHOLE, ((1, 0, 1, 1), (0, 1, 1, 1), (2, 1, 3, 1), (1, 2, 2, 2)), feather=feather)
    found = shown(patch, WHOLE)
    assert np.array_equal(found, blended_slowly(patch, WHOLE))
    _, _, width, height = area(patch, WHOLE)
    picture = bitstreams.decode(VP8L, patch.picture, width, height, "it")
    assert (found[:64, 64] != picture[:64, 64]).any()


def test_nothing_fades_at_the_border_of_a_segment() -> None:
    patch = made(SEGMENTED, ((0, 0, 2, 8),), segment=3, feather=32)
    assert np.array_equal(shown(patch, SEGMENTED), shown(dataclasses.replace(patch, feather=0), SEGMENTED))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_crop_is_a_part_of_the_whole(data: st.DataObject) -> None:
    patch = FEATHERED
    left, top = data.draw(st.integers(0, 299)), data.draw(st.integers(0, 199))
    box = (left, top, data.draw(st.integers(1, 300 - left)), data.draw(st.integers(1, 200 - top)))
    whole = shown(patch, WHOLE)[top : top + box[3], left : left + box[2]]
    assert np.array_equal(shown(patch, WHOLE, box), whole)


FEATHERED = made(WHOLE, TWO, feather=9)


def test_a_crop_elsewhere_decodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitstreams, "decode", None)
    assert np.array_equal(shown(made(WHOLE, ((0, 0, 1, 1),)), WHOLE, (64, 0, 9, 9)), smooth(300, 200)[:9, 64:73])

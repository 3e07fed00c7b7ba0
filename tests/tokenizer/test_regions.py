"""A region of a picture: the same pixels as cut from the whole, from the segments that it depends on alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.entropy.file import everything
from ltokc.geometry import Box
from ltokc.tokenizer import regions
from ltokc.zoo.model import open_model
from tests.support.pictures import grainy

SIDE = 2304  # 36x36 cells: segments of 16, 16 and 4 cells
SEAM = 2


@pytest.fixture(scope="module")
def large() -> bytes:
    return ltokc.encode(np.tile(grainy(384, 384), (6, 6, 1)), 0.5, effort=0)


@pytest.fixture(scope="module")
def whole(large: bytes) -> np.ndarray:
    return np.asarray(ltokc.decode(large), np.int16)


@pytest.mark.parametrize("box", [(0, 0, 64, 64), (1000, 900, 200, 300), (2300, 2300, 4, 4), (17, 2000, 1, 304)])
def test_a_region_is_cut_from_the_whole(large: bytes, whole: np.ndarray, box: tuple[int, int, int, int]) -> None:
    left, top, width, height = box
    calls: list[tuple[int, int]] = []
    found = ltokc.decode(large, crop=box, progress=lambda *done: calls.append(done))
    assert found.size == (width, height)
    cut = whole[top : top + height, left : left + width]
    assert np.abs(cut - np.asarray(found, np.int16)).max() <= SEAM
    assert calls[-1][0] == calls[-1][1] == len(calls)


def test_damage_elsewhere_does_not_matter(large: bytes, whole: np.ndarray) -> None:
    """The last segment's checksum is broken: its region is refused, another one is not."""
    damaged = large[:-5] + bytes([large[-5] ^ 1]) + large[-4:]
    with pytest.raises(ltokc.FormatError, match="segment 8"):
        ltokc.decode(damaged)
    with pytest.raises(ltokc.FormatError, match="segment 8"):
        ltokc.decode(damaged, crop=(SIDE - 10, SIDE - 10, 10, 10))
    found = np.asarray(ltokc.decode(damaged, crop=(100, 100, 50, 50)), np.int16)
    assert np.abs(whole[100:150, 100:150] - found).max() <= SEAM


def test_segments_far_away_are_not_needed(large: bytes) -> None:
    model, header = open_model(), container.read_header(large)
    count = len(model.levels)
    corner = regions.needed(header, model.field, Box(0, 0, 64, 64))
    assert corner.levels == {0: count} and corner.origin == (0, 0)
    near = regions.needed(header, model.field, Box(700, 0, 64, 64))  # 260 px from the border: coarse levels alone
    assert near.levels[0] == count and 0 < near.levels[1] < count
    assert regions.needed(header, model.field, Box(0, 0, SIDE, SIDE)) == everything(header, count)


@pytest.mark.parametrize("crop", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 5), (0.5, 0, 5, 5), "abcd", (60, 0, 5, 5), 7])
def test_what_is_no_region(encoded: bytes, crop: object) -> None:
    small = ltokc.encode(Image.new("RGB", (64, 64)), tokens=1)
    with pytest.raises(ltokc.UsageError):
        ltokc.decode(small, crop=crop)  # type: ignore[arg-type]


def test_alpha_and_limits_of_a_region() -> None:
    rgba = np.dstack([grainy(200, 150), np.arange(200 * 150).reshape(150, 200) % 251]).astype(np.uint8)
    data = ltokc.encode(Image.fromarray(rgba), tokens=50)
    found = ltokc.decode(data, crop=(30, 40, 50, 60))
    assert found.mode == "RGBA" and (np.asarray(found)[..., 3] == rgba[40:100, 30:80, 3]).all()
    with pytest.raises(ltokc.LimitError):  # alpha is read as a whole
        ltokc.decode(data, crop=(30, 40, 50, 60), limit_pixels=29_999)
    opaque = ltokc.encode(rgba[..., :3].copy(), tokens=50)
    assert ltokc.decode(opaque, crop=(30, 40, 50, 60), limit_pixels=3000).size == (50, 60)
    with pytest.raises(ltokc.LimitError):
        ltokc.decode(opaque, crop=(30, 40, 50, 60), limit_pixels=2999)

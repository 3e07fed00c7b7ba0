"""Patches of lettering: what can be read in them, and what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import codec, container
from ltokc.container import bitstreams
from ltokc.container.bitstreams import AV1
from ltokc.rate.patches import plan
from ltokc.rate.patches.coding import PatchCoder
from ltokc.rate.patches.drawn import drawing_of
from ltokc.rate.patches.legible import is_legible, luma_error
from tests.support.pages import natural, page


@pytest.mark.parametrize("quality", [0.4, 0.6])
def test_letters_of_another_colour_keep_their_luma(quality: float) -> None:
    """Red on blue differs little in luma, which readers need and the look hardly counts."""
    image = page(ink="red", paper="blue")
    rgb, shown = np.asarray(image), np.asarray(codec.decode(ltokc.encode(image, quality)).convert("RGB"))
    assert is_legible(rgb, shown, drawing_of(rgb).lines)


def test_what_is_legible() -> None:
    """AV1 of a quality that leaves black letters legible does not leave red ones on blue so."""
    for ink, paper, legible in (("black", "white", True), ("red", "blue", False)):
        rgb = np.asarray(page(ink=ink, paper=paper))
        body = bitstreams.encode(AV1, Image.fromarray(rgb), 18, 4, "4:4:4")
        shown = bitstreams.decode(AV1, body, rgb.shape[1], rgb.shape[0], "a patch")
        assert is_legible(rgb, shown, drawing_of(rgb).lines) == legible
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert luma_error(flat, flat + np.uint8(3), np.ones((1, 1), bool)) == 0  # nothing to read
    assert luma_error(flat[:40], flat[:40], np.ones((1, 1), bool)) == 0  # no whole cell


def test_patches_of_lettering_that_stay_take_the_time_for_fewer_bytes() -> None:
    image = page()
    rgb = np.asarray(image)
    header = container.read(ltokc.encode(image)).header
    quick = PatchCoder(rgb, header, 1, drawing_of(rgb))
    sizes = [len(coder.lossy(rgb, 32).body) for coder in (quick, replace(quick, thorough=True))]
    assert sizes[1] < 0.95 * sizes[0]
    photograph = natural(256, 192)
    coders = [PatchCoder(photograph, header, 1, drawing_of(photograph), thorough=each) for each in (False, True)]
    assert coders[0].lossy(photograph, 40) == coders[1].lossy(photograph, 40)


def counted_encodes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Filled with coding, quality and effort of every encode from now on."""
    seen: list[tuple[int, int, int]] = []
    encode = bitstreams.encode

    def counting(coding: int, image: Image.Image, quality: int, effort: int, *more: object) -> bytes:
        seen.append((coding, quality, effort))
        return encode(coding, image, quality, effort, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(bitstreams, "encode", counting)
    return seen


def test_nothing_is_coded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that AV1 takes for a screen anyway is not tried as one, and what is known is not made again."""
    seen = counted_encodes(monkeypatch)
    image = page()
    data = ltokc.encode(image, 0.6)
    lossy = [each for each in seen if each[0] == AV1]
    assert len(lossy) == 2 and lossy[0][2] < lossy[1][2]  # one to choose by, one that stays
    assert len(seen) == len(set(seen)) and ltokc.info(data).patches

    rgb, header = np.asarray(image), container.read(data).header
    coder = PatchCoder(rgb, header, 1, drawing_of(rgb))
    seen.clear()
    made = [coder.lossy(rgb, 32), replace(coder).lossy(rgb.copy(), 32), replace(coder, screen=True).lossy(rgb, 32)]
    assert made[0] == made[1] == made[2] and len(seen) == 2  # a setting more, by which nothing changes here
    assert coder.lossy(np.flip(rgb), 32) != made[0]


def test_qualities_at_which_a_quick_look_shows_that_nothing_can_be_read_are_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, answers = counted_encodes(monkeypatch), iter((False, False, True, False, True))
    monkeypatch.setattr(plan, "is_legible", lambda *_: next(answers))
    ltokc.encode(page(ink="red", paper="blue"), 0.4)
    tried = [(quality, effort) for coding, quality, effort in seen if coding == AV1]
    assert tried == [(24, 4), (30, 4), (40, 4), (40, 6), (50, 6)] and next(answers, None) is None


def test_below_the_quality_from_which_letters_count_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "is_legible", lambda *_: pytest.fail("looked at"))
    assert ltokc.info(ltokc.encode(page(), 0.35)).patches > 0

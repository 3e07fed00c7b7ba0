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

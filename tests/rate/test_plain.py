"""Pictures of one colour and very small ones: a patch alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, features

import ltokc
from ltokc import container
from ltokc.container.chunks import PATCHES
from ltokc.errors import LossWarning
from tests.support.cli_runner import run
from tests.support.pages import natural

pytestmark = pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")
RED, BLUE, DARK = (255, 0, 0), (40, 60, 200), (24, 22, 30)


def has_patch(data):
    return any(chunk.fourcc == PATCHES for chunk in container.read(data).chunks)


@pytest.mark.parametrize("colour", [RED, BLUE, DARK])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 65), (64, 64), (300, 200)])
def test_one_colour_is_exact_wherever(colour, size):
    """By tokens the corners of 256x192 red were off by up to 60 of 255, and a pixel of its own by 52."""
    picture = Image.new("RGB", size, colour)
    for quality, effort in ((0.0, 1), (0.6, 0), (0.6, 1), (0.85, 1)):
        data = ltokc.encode(picture, quality, effort=effort)
        found = np.asarray(ltokc.decode(data))
        assert (found == colour).all(), (quality, effort)
        assert len(data) < 130


def test_one_colour_of_a_large_picture_is_at_most_three_off():
    """Several segments; AV1 is smaller than a lossless picture there, and rounds."""
    for colour in (RED, BLUE):
        data = ltokc.encode(Image.new("RGB", (1300, 700), colour), effort=0)
        assert np.abs(np.asarray(ltokc.decode(data)).astype(int) - colour).max() <= 3


def test_alpha_and_gray_stay():
    clear = Image.new("RGBA", (20, 30), (*BLUE, 77))
    clear.putpixel((3, 4), (*BLUE, 0))
    found = ltokc.decode(ltokc.encode(clear))
    assert found.mode == "RGBA" and found.getpixel((3, 4))[3] == 0 and found.getpixel((9, 9)) == (*BLUE, 77)
    gray = ltokc.decode(ltokc.encode(Image.new("L", (5, 5), 99)))
    assert gray.mode == "L" and np.asarray(gray).min() == np.asarray(gray).max() == 99


@pytest.mark.parametrize("size", [(2, 2), (31, 5), (200, 1), (1, 300)])
def test_a_few_pixels_are_near_theirs(size):
    """Smooth colours, as a strip of a scan or an icon has them."""
    x = np.linspace(0, 1, size[0])[None, :, None]
    y = np.linspace(0, 1, size[1])[:, None, None]
    rgb = (np.array([230, 30, 60]) * (1 - x) + np.array([20, 200, 90]) * x * (1 - y / 2)).round().astype(np.uint8)
    error = np.abs(np.asarray(ltokc.decode(ltokc.encode(rgb))).astype(int) - rgb)
    assert error.mean() < 6


def test_without_patches_and_by_tokens_there_is_none():
    picture = Image.new("RGB", (64, 64), RED)
    assert has_patch(ltokc.encode(picture))
    assert not has_patch(ltokc.encode(picture, patches="off"))
    narrow = np.zeros((7, 1000, 3), np.uint8) + np.arange(1000)[None, :, None].astype("u1")
    assert not has_patch(ltokc.encode(narrow, 0.2))


def test_a_prefix_decodes(tmp_path):
    """The patch can be cut off; what is left shows the tokens."""
    (tmp_path / "a.ltk").write_bytes(data := ltokc.encode(Image.new("RGB", (300, 200), BLUE)))
    assert run("verify", str(tmp_path / "a.ltk")).exit_code == 0
    with pytest.warns(LossWarning, match="a patch is missing"):
        assert ltokc.decode(data[:-9], allow_truncated=True).size == (300, 200)


@pytest.mark.parametrize("size", [(40000, 60), (65535, 1), (2, 33000), (20000, 9)])
@pytest.mark.parametrize("quality", [0.6, 0.95])
def test_sides_that_no_decoder_of_patches_reads_are_left_to_tokens(size, quality):
    """libavif reads sides up to 32,768: one colour at any quality, and all above 0.9, gave files that nobody reads."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (0, 0, size[0] // 2, size[1])) if quality > 0.9 else None
    data = ltokc.encode(image, quality, effort=0)
    assert has_patch(data) == (max(size) <= 32768)
    assert ltokc.decode(data).size == size


def test_narrow_pictures_are_patches_where_bytes_count_less():
    """Of 7x500 pixels tokens kept 18 dB at -q 0.6, and below 0.4 bytes count more."""
    picture = natural(500, 7)

    def error(quality, patches):
        data = ltokc.encode(picture, quality, patches=patches)
        assert has_patch(data) == (patches == "auto" and quality >= 0.4)
        return np.square(np.asarray(ltokc.decode(data)).astype(float) - picture).mean()

    assert error(0.6, "auto") < error(0.6, "off") / 2
    assert error(0.2, "auto") == error(0.2, "off")

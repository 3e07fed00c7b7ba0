"""Little on much paper: a line of text, rules, dots, bars around a photograph; and patterns of few colours."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features

import ltokc
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate.patches.drawn import drawing_of, maybe_drawn
from ltokc.rate.plan import error_of_quality
from ltokc.zoo.model import open_model
from tests.support.pages import natural

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


def numbered() -> Image.Image:
    """A page that has nothing but its number."""
    image = Image.new("L", (620, 877), 255)
    ImageDraw.Draw(image).text((300, 840), "- 237 -", 0, ImageFont.load_default(16))
    return image


def ruled() -> Image.Image:
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for row in range(11):
        draw.line((0, 7 + 20 * row, 320, 7 + 20 * row), "black" if row % 5 else (200, 0, 0))
    return image


def dot() -> Image.Image:
    image = Image.new("L", (260, 200), 0)
    image.putpixel((131, 99), 255)
    return image


def shown(image: Image.Image, data: bytes) -> float:
    return Reference(np.asarray(image.convert("RGB"))).score(np.asarray(ltokc.decode(data).convert("RGB")))


PICTURES = {"page": (numbered(), 1000), "ruled": (ruled(), 300), "dot": (dot(), 100)}


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("quality", [0.6, 0.9])
def test_lines_and_letters_on_paper_are_patches(kind: str, quality: float) -> None:
    """They lie between the rows that the first look takes, or in so few cells that they did not count."""
    image, most = PICTURES[kind]
    data = ltokc.encode(image, quality)
    assert ltokc.info(data).patches > 0 and len(data) < most and shown(image, data) > 90


def test_bars_around_a_photograph_are_not_drawn() -> None:
    """Cells of one colour passed for dense lettering, so that AVIF took 2.6 times the bytes that its look needs."""
    photo = natural(448, 300)
    barred = np.zeros((556, 448, 3), np.uint8)
    barred[128:428] = photo
    assert not drawing_of(barred).present and not drawing_of(barred).drawn.any()
    assert len(ltokc.encode(barred, 0.93)) < 1.2 * len(ltokc.encode(photo, 0.93))


def test_a_photograph_with_a_caption_is_as_before() -> None:
    """Shares are of what is not flat: white around a photograph does not make its few letters fewer."""
    photo = Image.fromarray(natural(256, 192))
    page = Image.new("RGB", (1024, 768), "white")
    page.paste(photo, (64, 64))
    assert not drawing_of(np.asarray(page)).present
    ImageDraw.Draw(page).text((64, 330), "Fig. 12: what was seen at 4,813 m", "black", ImageFont.load_default(14))
    rgb = np.asarray(page)
    assert maybe_drawn(rgb) and drawing_of(rgb).present
    data = ltokc.encode(page, 0.6)
    assert ltokc.info(data).patches > 0


def test_a_size_just_below_that_of_a_patch_gives_up_what_it_hides() -> None:
    """The patch takes nearly all of the file; without it tokens show a wreck."""
    image = numbered()
    data = ltokc.encode(image, 0.6)
    held = ltokc.info(data)
    assert held.patches == 1 and held.tokens > 0
    small = ltokc.encode(image, target_size=len(data) - 5)
    assert len(small) <= len(data) - 5 and shown(image, small) > 90


def test_alpha_and_metadata_stay_where_hidden_tokens_go() -> None:
    """Room for them was found before; only what a patch hides may go without a word."""
    image = numbered().convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info["comment"] = "what was counted " * 3
    data = ltokc.encode(image, 0.6, metadata="all")
    assert ltokc.info(data).patches == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = ltokc.encode(image, target_size=len(data) - 3, metadata="all")
    assert len(small) <= len(data) - 3 and ltokc.info(small).patches == 1
    kinds = [dict(chunk for chunk in ltokc.info(each).chunks if chunk[0] != "pTCH") for each in (data, small)]
    assert kinds[0] == kinds[1] and len(kinds[0]) >= 1


@pytest.mark.parametrize("quality", [0.6, 0.9])
def test_detail_of_a_smooth_picture_counts(quality: float) -> None:
    """Two dots on gray are smooth by their means: at -q 0.8 `-e 1` had left them 24 points, `-e 0` 37."""
    image = dot()
    one, none = (shown(image, ltokc.encode(image, quality, effort=effort, patches="off")) for effort in (1, 0))
    assert one > min(none, points(error_of_quality(quality, open_model().entry.looks))) - 3


def dithered(colours: int) -> Image.Image:
    photo = Image.fromarray(natural(192, 144)).convert("RGB")
    return photo.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")


@pytest.mark.parametrize("colours", [4, 8])
def test_dithered_pictures_are_kept_as_they_are_where_that_is_smaller(colours: int) -> None:
    """Hardly any neighbours are equal, but few colours are enough; AVIF took twice the bytes of lossless WebP."""
    image, out = dithered(colours), io.BytesIO()
    image.save(out, "WEBP", lossless=True, method=4, quality=100)
    data = ltokc.encode(image, 0.8)
    assert len(data) < len(out.getvalue()) + 150
    small = ltokc.encode(image, target_size=len(out.getvalue()) + 300)
    assert shown(image, small) > 85

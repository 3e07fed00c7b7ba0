"""Pictures that tokens cannot show, or only dearly: the look that was asked for is met, and no bytes are wasted."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import ltokc
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate.colour.smooth import is_smooth
from ltokc.rate.patches import dense
from ltokc.rate.patches.dense import (
    SHORT,
    WORTH,
    WORTH_BELOW,
    most_bytes,
    most_bytes_beside,
    quick_bytes,
    worth_trying,
)  # fmt: skip
from ltokc.rate.plan import error_of_quality
from ltokc.zoo.model import open_model

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
NEAR = 6.0  # points that a look may miss


def blobs(channels: tuple[int, ...], least: int = 0, side: int = 4) -> np.ndarray:
    """Random blobs of `side` px in some of the channels, the others black: (256, 384, 3)."""
    small = np.zeros((256 // side, 384 // side, 3), np.uint8)
    shape = (*small.shape[:2], len(channels))
    small[:, :, list(channels)] = np.random.default_rng(0).integers(least, 256, shape)
    return np.asarray(Image.fromarray(small).resize((384, 256), Image.Resampling.BICUBIC))


def look(quality: float) -> float:
    return points(error_of_quality(quality, open_model().entry.looks))


def shown(rgb: np.ndarray, data: bytes) -> float:
    return Reference(rgb).score(np.asarray(ltokc.decode(data).convert("RGB")))


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_alone_is_not_smooth(channel: int) -> None:
    """Red blobs on black had no detail in green, were taken for a gradient, and lost all but their mean colours."""
    rgb = blobs((channel,), 60)
    assert not is_smooth(rgb)
    one, none = (ltokc.encode(rgb, 0.6, effort=effort, patches="off") for effort in (1, 0))
    assert shown(rgb, one) > shown(rgb, none) - 2


@needs_avif
@pytest.mark.parametrize("quality", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("kind", ["red", "green", "colours", "stripes"])
def test_a_look_is_met_where_tokens_end_below_it(kind: str, quality: float) -> None:
    if kind == "stripes":  # in red and blue, which nobody expected to be hard
        y, x = np.mgrid[0:256, 0:384]
        wave = 127 + 120 * np.sin((x + y) / 3.3)
        rgb = np.stack([wave, np.full_like(wave, 40), 255 - wave], -1).astype(np.uint8)
    else:
        rgb = {"red": blobs((0,), 60), "green": blobs((1,), 60), "colours": blobs((0, 1, 2), side=3)}[kind]
    data = ltokc.encode(rgb, quality)
    assert shown(rgb, data) > look(quality) - NEAR
    alone = ltokc.encode(rgb, quality, patches="off")
    if ltokc.info(data).patches:
        assert len(data) < len(alone) or shown(rgb, alone) < look(quality) - SHORT / 2
    else:
        assert data == alone


@needs_avif
def test_a_wanted_size_takes_what_looks_better() -> None:
    rgb = blobs((1,), 60)
    alone, data = (ltokc.encode(rgb, target_size=4000, patches=patches) for patches in ("off", "auto"))
    assert len(data) <= 4000 and ltokc.info(data).patches == 1
    assert shown(rgb, data) > shown(rgb, alone) + 10


def test_effort_0_looks_at_nothing() -> None:
    rgb = blobs((1,), 60)
    assert ltokc.encode(rgb, 0.8, effort=0) == ltokc.encode(rgb, 0.8, effort=0, patches="off")


def test_what_is_worth_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = blobs((0, 1, 2))
    monkeypatch.setattr(dense, "quick_bytes", lambda _: 1000.0)

    def most(quality: float, short: float, size: int) -> float:
        return most_bytes(quality, short, size, rgb)

    assert most(0.8, 0, 400) == most(0.8, -1, 400) == WORTH * 400  # .4 of a quick WebP's bytes
    assert 400 > most(0.8, 2, 400) > WORTH * 400  # a look that is missed is worth bytes
    assert most(0.8, 0, 300) == most(0.6, 0, 180) == most(0.4, 0, 150) == 0  # few bytes
    assert most(0.7, 0, 300) == WORTH * 300 and most(0.6, 0, 200) == WORTH_BELOW * 200
    assert most(0.2, SHORT, 1) == math.inf
    monkeypatch.setattr(dense, "quick_bytes", lambda _: math.inf)
    assert most(0.8, 0, 4000) == 0 < most(0.8, 0, 6000)  # .33 and .49 bits per pixel
    assert most_bytes_beside(0.8, 0, 30, False) == 30
    assert most_bytes_beside(0.6, 0, 30, False) == most_bytes_beside(0.8, 0, 30, True) == 0
    assert most_bytes_beside(0.6, SHORT, 30, False) == most_bytes_beside(0.6, SHORT, 30, True) == math.inf


def test_what_a_quick_webp_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = blobs((0, 1, 2))
    with io.BytesIO() as out:
        Image.fromarray(rgb).save(out, "WEBP", quality=40, method=0)
        assert quick_bytes(rgb) == pytest.approx(len(out.getvalue()), rel=0.03)
    large = np.tile(rgb, (12, 8, 1))  # of which some rows are looked at
    assert quick_bytes(large) == pytest.approx(96 * quick_bytes(rgb), rel=0.1)
    assert 0 < quick_bytes(np.tile(rgb[:8], (1, 60, 1))) < math.inf  # wider than a WebP may be
    pixels = rgb.shape[0] * rgb.shape[1]
    assert worth_trying(pixels, rgb) and not worth_trying(pixels, large) and not worth_trying(200, rgb)
    monkeypatch.setattr(features, "check", lambda _: False)
    assert quick_bytes(rgb) == math.inf


@needs_avif
def test_bytes_rise_with_quality_where_looks_are_far_from_guesses() -> None:
    """The search for a quality of AVIF used to end between 43 and 54, and took 54."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    sizes = [len(ltokc.encode(noise, quality)) for quality in (0.5, 0.75, 0.8, 0.85)]
    assert sizes == sorted(sizes)


@needs_avif
def test_a_lossless_picture_is_found() -> None:
    """A strip of squares in eight colours, of which AVIF takes four times the bytes of lossless WebP."""
    squares = np.random.default_rng(0).integers(0, 2, (2, 334, 3)) * 255
    strip = squares.repeat(6, 0).repeat(6, 1)[:9, :2000].astype(np.uint8)
    data = ltokc.encode(strip, 0.8)
    assert len(data) < 1000 and (np.asarray(ltokc.decode(data)) == strip).all()


def test_a_faint_photograph_is_no_gradient() -> None:
    """Over-exposed or in fog it is as smooth as one, and was left two levels at any quality."""
    with Image.open(Path(__file__).parents[2] / "examples" / "coffee.jpg") as photo:
        rgb = np.asarray(photo.convert("RGB").resize((384, 256)))
    faint = np.rint(255 - (255 - rgb) * 0.15).astype(np.uint8)
    assert is_smooth(faint)
    for quality in (0.6, 0.8, 0.9):
        assert shown(faint, ltokc.encode(faint, quality, patches="off")) > look(quality) - NEAR

"""Gray pictures with a gray ICC profile: converted by it and said, whatever is asked for; nothing vanishes later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc.pictures.load import load
from tests.support.cli_runner import run
from tests.support.pictures import file
from tests.support.profiles import gray_profile

RAMP = np.arange(256, dtype=np.uint8).repeat(4).reshape(16, 64)


def in_srgb(samples: np.ndarray, gamma: float) -> np.ndarray:
    """Samples of sRGB, float, for gray samples whose light is sample ** gamma (IEC 61966-2-1)."""
    light = (samples / 255) ** gamma
    return 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2, 2.6])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_gray_is_converted_by_its_profile_and_stays_gray(gamma: float, kind: str) -> None:
    options = {"quality": 100} if kind == "JPEG" else {}
    source = file(Image.fromarray(RAMP), kind, icc_profile=gray_profile(gamma, "a gray"), **options)
    with Image.open(source) as image:
        wanted = in_srgb(np.asarray(image), gamma)
    source.seek(0)
    picture = load(source)
    assert np.abs(picture.rgb[..., 0] - wanted).max() < 0.6
    assert (picture.rgb == picture.rgb[..., :1]).all()
    assert picture.notes == ["colour converted to sRGB from 'a gray'"] and "icc" not in picture.metadata


def test_alpha_stays_beside_converted_gray() -> None:
    image = Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(RAMP[::-1].copy())])
    picture = load(file(image, "PNG", icc_profile=gray_profile(1.0)))
    assert picture.alpha is not None and np.array_equal(picture.alpha, RAMP[::-1])
    assert np.abs(picture.rgb[..., 1] - in_srgb(RAMP, 1.0)).max() < 0.6


def test_a_profile_of_black_and_white_is_told_not_kept(tmp_path: Path) -> None:
    source, out, back = (str(tmp_path / name) for name in ("page.tif", "page.ltk", "back.png"))
    page = Image.fromarray((RAMP % 32 > 15) * np.uint8(255)).convert("1")
    page.save(source, compression="group4", icc_profile=gray_profile(2.2, "a gray"))
    result = run("encode", source, "--metadata", "all", "-v", "-o", out)
    assert result.exit_code == 0 and "converted to sRGB from 'a gray'" in result.stderr
    assert '"iCCP"' not in run("info", out, "--json").stdout
    assert run("decode", out, "-o", back).exit_code == 0
    with Image.open(back) as image:
        assert image.mode == "L" and "icc_profile" not in image.info

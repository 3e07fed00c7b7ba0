"""Gray stays gray: what has one channel, or three that are one, comes back without colour, by every way in and out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from tests.support.cli_runner import run
from tests.support.pictures import grainy, smooth

WIDTH, HEIGHT = 150, 100


def gray() -> Image.Image:
    return Image.fromarray(grainy(WIDTH, HEIGHT)).convert("L")


def pictures() -> dict[str, Image.Image]:
    """Gray pictures of the modes that users have."""
    clear = Image.fromarray(np.indices((HEIGHT, WIDTH)).sum(0).astype(np.uint8))
    with_alpha = gray()
    with_alpha.putalpha(clear)
    return {
        "L": gray(), "LA": with_alpha, "RGB": gray().convert("RGB"), "RGBA": with_alpha.convert("RGBA"),
        "1": gray().convert("1"), "P": gray().convert("P"),
        "I;16": Image.fromarray(np.asarray(gray(), np.uint16) * 257),
    }  # fmt: skip


@pytest.mark.parametrize("mode", pictures())
def test_gray_in_gray_out(mode: str) -> None:
    source = pictures()[mode]
    data = ltokc.encode(source, 0.5)
    back = ltokc.decode(data)
    assert ltokc.info(data).gray
    assert back.mode == ("LA" if mode in ("LA", "RGBA") else "L")
    wanted = source.convert("L") if mode == "1" else gray()  # dots are a drawing
    assert np.abs(np.asarray(back.getchannel(0), float) - np.asarray(wanted, float)).mean() < 20
    ltokc.verify(data)


def test_one_pixel_of_colour_is_colour() -> None:
    """The flag says of every pixel that it is gray; a border of another colour must not be lost."""
    for row in (0, HEIGHT - 1):
        rgb = np.asarray(gray().convert("RGB")).copy()
        rgb[row, 3] = (90, 91, 90)
        data = ltokc.encode(rgb, 0.5)
        assert not ltokc.info(data).gray and ltokc.decode(data).mode == "RGB"
    assert not ltokc.info(ltokc.encode(smooth(WIDTH, HEIGHT))).gray


def test_the_flag_costs_no_byte() -> None:
    rgb = np.asarray(gray().convert("RGB")).copy()
    gray_file = ltokc.encode(rgb, 1.0, patches="off")
    rgb[0, 0] += np.array([0, 1, 0], np.uint8)
    assert abs(len(gray_file) - len(ltokc.encode(rgb, 1.0, patches="off"))) < 40


def test_alpha_that_is_dropped_or_blended_leaves_gray() -> None:
    for alpha in ("drop", "blend"):
        assert ltokc.decode(ltokc.encode(pictures()["LA"], alpha=alpha)).mode == "L"


def test_by_the_command_line_by_batch_and_by_the_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gray().save("photo.jpg", quality=95)
    gray().convert("RGB").save("three.png")
    assert run("encode", "photo.jpg", "-o", "x.ltk").exit_code == 0
    assert run("batch", "photo.jpg", "three.png", "-d", "small", "-j", "1").exit_code == 0
    assert run("batch", "--decode", "small/photo.ltk", "small/three.ltk", "-d", "back", "-j", "1").exit_code == 0
    for kind in ("png", "jpg", "avif", "webp"):
        assert run("decode", "x.ltk", "-o", f"x.{kind}").exit_code == 0
    for name in ("x.png", "x.jpg", "back/photo.png", "back/three.png"):
        with Image.open(name) as image:
            assert image.mode == "L", name
    for name in ("x.avif", "x.webp"):  # Pillow opens these as RGB
        channels = np.asarray(Image.open(name).convert("RGB"), int)
        assert (channels == channels[..., :1]).all(), name
    ltokc.register_pillow()
    out = io.BytesIO()
    gray().convert("RGB").save(out, "LTK")
    out.seek(0)
    assert Image.open(out).mode == "L"


def test_trim_keeps_it() -> None:
    data = ltokc.encode(gray(), 0.8)
    assert ltokc.decode(ltokc.trim(data, tokens=30)).mode == "L"

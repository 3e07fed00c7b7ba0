"""Pictures out: every format that is written, read back."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc.atomic import write_atomic
from ltokc.errors import LtokcError, UsageError
from ltokc.pictures.load import load
from ltokc.pictures.options import SAVE_FORMATS
from ltokc.pictures.save import render
from tests.support.pictures import gradients as photo
from tests.support.pictures import grainy, srgb_profile


@pytest.mark.parametrize("format", SAVE_FORMATS)
@pytest.mark.parametrize("alpha", [False, True])
def test_save_and_read_back(format: str, alpha: bool, tmp_path: Path) -> None:
    image = Image.fromarray(photo())
    if alpha:
        image.putalpha(Image.fromarray(photo()[:, :, 1]))
    path = tmp_path / f"out.{format}"
    write_atomic(path, render(image, format))
    assert os.listdir(tmp_path) == [path.name]
    got = np.load(path) if format == "npy" else np.asarray(Image.open(path))
    expected = np.asarray(image).astype(np.float64)
    if alpha and format in ("jpg", "ppm"):
        opacity = expected[:, :, 3:] / 255
        expected = expected[:, :, :3] * opacity + 255 * (1 - opacity)
    tolerance = {"jpg": 12, "avif": 16, "ppm": 1}.get(format, 0)
    assert got.shape == expected.shape and got.dtype == np.uint8
    assert np.abs(got - expected).max() <= tolerance


def test_format_by_another_name() -> None:
    assert render(Image.fromarray(photo()), "JPEG") == render(Image.fromarray(photo()), "jpg")


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif"])
def test_metadata_goes_along(format: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    image = Image.fromarray(photo())
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    image.info = {"exif": exif.tobytes().removeprefix(b"Exif\0\0"), "icc_profile": srgb_profile(), "xmp": packet}
    back = load(io.BytesIO(render(image, format))).metadata
    kept = Image.Exif()
    kept.load(back["exif"])
    assert kept[0x010F] == "maker"
    assert back["icc"] == srgb_profile() and back["xmp"].startswith(packet)


def test_render_refusals() -> None:
    with pytest.raises(UsageError, match="known: png"):
        render(Image.new("RGB", (2, 2)), "bmp")
    with pytest.raises(LtokcError, match="webp"):
        render(Image.new("RGB", (17000, 1)), "webp")


def test_png_is_nearly_as_small_as_zlib_can() -> None:
    """Of what zlib offers at this level, within a twentieth of the best, for what repeats and for what does not."""
    page = np.full((200, 300, 3), 255, np.uint8)
    letter = np.random.default_rng(1).integers(0, 2, (12, 9, 1), np.uint8) * 255
    for y in range(4, 180, 16):
        for x in range(4, 280, 11):
            page[y : y + 12, x : x + 9] = letter
    for rgb in (grainy(300, 200), page, photo(), np.zeros((1, 1, 3), np.uint8), np.zeros((700, 2, 3), np.uint8)):
        image, sizes = Image.fromarray(rgb), []
        for strategy in range(4):
            out = io.BytesIO()
            image.save(out, "PNG", compress_level=4, compress_type=strategy)
            sizes.append(out.tell())
        found = render(image, "png")
        assert len(found) <= 1.05 * min(sizes)
        assert (np.asarray(Image.open(io.BytesIO(found))) == rgb).all()

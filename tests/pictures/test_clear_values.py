"""A PNG's clear gray or colour (tRNS) at every depth; samples whose range the file gives; 16 bits a pixel."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from ltokc.pictures.load import Picture, load
from tests.support.pngs import chunk, gamma, png


def loaded(data: bytes) -> Picture:
    return load(io.BytesIO(data))


def clear(picture: Picture) -> np.ndarray:
    assert picture.alpha is not None and set(np.unique(picture.alpha)) <= {0, 255}
    return picture.alpha == 0


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("linear", [True, False])
def test_clear_gray(depth: int, opened: bool, linear: bool) -> None:
    most = (1 << depth) - 1
    samples = np.add.outer(5 * np.arange(60), np.arange(37)) % (most + 1)
    for value in {0, 1, most - most // 3, most}:
        data = png(samples, depth, chunk(b"tRNS", struct.pack(">H", value)) + gamma(1 if linear else 1 / 2.2))
        picture = load(Image.open(io.BytesIO(data))) if opened else loaded(data)
        assert np.array_equal(clear(picture), samples == value)
        if not linear:
            assert np.array_equal(picture.rgb[..., 1], samples * (255 // most))


def test_clear_gray_of_16_bits() -> None:
    samples = np.array([[0x0040, 0x4040, 0x0050, 0x4000, 0x0040]]).repeat(3, 0)
    picture = loaded(png(samples, 16, chunk(b"tRNS", struct.pack(">H", 0x40))))
    assert np.array_equal(clear(picture), samples == 0x40)
    picture = loaded(png(samples, 16, chunk(b"tRNS", struct.pack(">H", 0x40)) + gamma(1)))
    assert np.array_equal(clear(picture), samples == 0x40)


@pytest.mark.parametrize("opened", [True, False])
def test_clear_colour_of_16_bits(opened: bool) -> None:
    """All bits of all samples count: neither 0x4040 nor 0x0050 nor one other sample is the clear 0x0040."""
    rng = np.random.default_rng(0)
    samples = rng.choice(np.array([0x0040, 0x4040, 0x0050, 0x4000]), (30, 40, 3))
    samples[:10] = 0x0040
    samples[10, :, 1] = 0x4040
    data = png(samples, 16, chunk(b"tRNS", struct.pack(">3H", 0x40, 0x40, 0x40)))
    picture = load(Image.open(io.BytesIO(data))) if opened else loaded(data)
    assert np.array_equal(clear(picture), (samples == 0x40).all(-1))
    assert np.array_equal(picture.rgb, samples >> 8)


def test_clear_colour_of_8_bits() -> None:
    samples = np.random.default_rng(0).integers(0, 2, (30, 40, 3)) * 200
    picture = loaded(png(samples, before=chunk(b"tRNS", struct.pack(">3H", 200, 0, 200))))
    assert np.array_equal(clear(picture), (samples == (200, 0, 200)).all(-1))


@pytest.mark.parametrize("maxval", [300, 1023, 4095, 40000])
@pytest.mark.parametrize("share", [0.003, 1.0])
@pytest.mark.parametrize("plain", [True, False])
def test_gray_of_a_pgm_by_its_largest_value(maxval: int, share: float, plain: bool) -> None:
    samples = np.linspace(0, share * maxval, 64 * 4).round().astype(np.uint16).reshape(4, 64)
    head = f"P{2 if plain else 5}\n64 4\n{maxval}\n".encode()
    data = " ".join(map(str, samples.ravel())).encode() if plain else samples.astype(">u2").tobytes()
    picture = loaded(head + data)
    assert np.abs(picture.rgb[..., 0] - 255 * (samples / maxval)).max() <= 0.51
    assert picture.notes == [f"samples of 0 to {maxval} reduced to 8 bits"]


def test_colour_of_a_ppm_by_its_largest_value() -> None:
    samples = np.linspace(0, 30, 64 * 3).round().astype(np.uint16).reshape(1, 64, 3)
    picture = loaded(b"P6\n64 1\n1023\n" + samples.astype(">u2").tobytes())
    assert np.abs(picture.rgb - 255 * (samples / 1023)).max() <= 0.51
    assert picture.notes == ["samples of 0 to 1023 reduced to 8 bits"]


@pytest.mark.parametrize("masks", [(0xF800, 0x07E0, 0x001F), (0x7C00, 0x03E0, 0x001F)])
def test_16_bits_a_pixel_are_not_16_bits_a_sample(masks: tuple[int, int, int]) -> None:
    pixels = np.arange(16, dtype="<u2").reshape(4, 4)
    info = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 16, 3, pixels.nbytes, 2835, 2835, 0, 0)
    head = b"BM" + struct.pack("<IHHI", 66 + pixels.nbytes, 0, 0, 66)
    assert loaded(head + info + struct.pack("<3I", *masks) + pixels.tobytes()).notes == []

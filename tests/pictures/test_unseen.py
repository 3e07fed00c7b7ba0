"""What Pillow does not hand on of a file is said."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import LossWarning
from ltokc.pictures.load import load
from ltokc.pictures.unseen import unseen
from tests.support.pictures import gradients as photo
from tests.support.pictures import srgb_profile


def png_with(name: bytes, content: bytes, **options: object) -> io.BytesIO:
    """The photo as PNG with one more chunk behind the header."""
    out = io.BytesIO()
    Image.fromarray(photo()).save(out, "PNG", **options)
    data = out.getvalue()
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return io.BytesIO(data[:33] + chunk + data[33:])


@pytest.mark.parametrize("gamma, said", [(100000, True), (55556, True), (35000, True), (45455, False), (45000, False)])
def test_gamma(gamma: int, said: bool) -> None:
    picture = load(png_with(b"gAMA", struct.pack(">I", gamma)))
    assert any("to sRGB" in note for note in picture.notes) == said
    assert np.array_equal(picture.rgb, photo()) == (not said)


def test_gamma_beside_a_profile_says_nothing() -> None:
    assert load(png_with(b"gAMA", struct.pack(">I", 100000), icc_profile=srgb_profile())).notes == []


def test_a_profile_that_cannot_be_unpacked() -> None:
    picture = load(png_with(b"iCCP", b"name\0\0no zlib stream"))
    assert picture.losses == ["embedded colour profile unreadable, colour taken as sRGB"]


@pytest.mark.parametrize(
    "junk, said",
    [({"icc_profile": b"junk" * 50}, "embedded colour profile unusable, colour taken as sRGB"),
     ({"exif": b"Exif\0\0junkjunk"}, "EXIF unreadable, not kept")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_profile_or_exif_that_cannot_be_read_is_said(kind: str, junk: dict[str, bytes], said: str) -> None:
    file = io.BytesIO()
    Image.fromarray(photo()).save(file, kind, **junk)
    file.seek(0)
    assert load(file).losses == [said]
    file.seek(0)
    with pytest.warns(LossWarning, match=said):
        ltokc.encode(file, effort=0, metadata="all")


@pytest.mark.parametrize(
    "coded, word", [((12, 13), "Display P3"), ((9, 13), "BT.2020"), ((9, 16), "PQ"), ((1, 18), "HLG"), ((1, 13), "")]
)
def test_coded_colour(coded: tuple[int, int], word: str) -> None:
    picture = load(png_with(b"cICP", bytes((*coded, 0, 1))))
    told = picture.notes + picture.losses
    assert told == [] if not word else word in told[0]


@pytest.mark.parametrize("flags, bits", [(0x40, "10"), (0x60, "12"), (0, "")])
def test_depth_and_colour_of_avif(flags: int, bits: str) -> None:
    out = io.BytesIO()
    Image.fromarray(photo()).save(out, "AVIF")
    data = bytearray(out.getvalue())
    image = Image.open(io.BytesIO(bytes(data)))
    before = unseen(image, io.BytesIO(bytes(data)))
    assert before.notes == [] and before.colour is None
    data[data.index(b"av1C") + 6] |= flags  # as files of more bits say it; the samples stay
    place = data.index(b"colrnclx") + 8
    data[place : place + 4] = struct.pack(">2H", 9, 16)
    after = unseen(image, io.BytesIO(bytes(data)))
    assert after.colour is not None and after.colour.name == "BT.2020 PQ"
    assert after.notes == ([f"{bits} bits per sample reduced to 8"] if bits else [])

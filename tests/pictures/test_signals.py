"""Colours that files code in other words than an ICC profile come out as they were meant."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import LossWarning
from ltokc.pictures.load import Picture, load
from tests.support.cli_runner import run
from tests.support.colours import ADOBE, BT2020, D50, D65, P3, SRGB, Light, chart, curve, in_srgb
from tests.support.pictures import smooth, srgb_profile, swapped_profile
from tests.support.pngs import chromaticities, chunk, code_points, gamma, png

LINEAR: Light = lambda v: v
CASES: dict[str, tuple[bytes, Light, tuple, tuple[float, float]]] = {
    "P3 by cICP": (code_points(12, 13), curve, P3, D65),
    "BT.2020 by cICP": (code_points(9, 13), curve, BT2020, D65),
    "BT.2020 with the curve of cameras": (code_points(9, 14), curve, BT2020, D65),
    "linear by cICP": (code_points(1, 8), LINEAR, SRGB, D65),
    "narrow range": (code_points(12, 13, 0), lambda v: curve(np.clip((255 * v - 16) / 219, 0, 1)), P3, D65),
    "gAMA 1": (gamma(1), LINEAR, SRGB, D65),
    "gAMA 1/1.8": (gamma(1 / 1.8), lambda v: v**1.8, SRGB, D65),
    "P3 by cHRM": (chromaticities(D65, *P3) + gamma(1 / 2.2), lambda v: v**2.2, P3, D65),
    "Adobe RGB by cHRM": (chromaticities(D65, *ADOBE) + gamma(256 / 563), lambda v: v ** (563 / 256), ADOBE, D65),
    "cHRM without gAMA": (chromaticities(D65, *BT2020), curve, BT2020, D65),
    "white of D50": (chromaticities(D50, *ADOBE) + gamma(1 / 2.2), lambda v: v**2.2, ADOBE, D50),
    "cICP before sRGB, gAMA and cHRM": (
        code_points(12, 13) + chromaticities(D65, *BT2020) + gamma(1), curve, P3, D65,
    ),
}  # fmt: skip


def loaded(data: bytes, **options: object) -> Picture:
    return load(io.BytesIO(data), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES)
def test_a_png_is_converted(case: str) -> None:
    chunks, light, primaries, white = CASES[case]
    picture = loaded(png(chart(), before=chunks))
    assert np.abs(picture.rgb - in_srgb(light(chart() / 255), primaries, white)).max() <= 0.51
    assert len(picture.notes) == 1 and "to sRGB" in picture.notes[0] and not picture.losses
    assert (np.ptp(picture.rgb[0], axis=-1) == 0).all()  # grays stay gray


@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_are_used_in_the_shadows(alpha: bool) -> None:
    """Linear light of 8 bits has nothing between samples 0 and 13 of sRGB."""
    ramp = np.linspace(0, 3000, 64).round().astype(np.uint16)
    samples = np.stack([ramp, ramp[::-1], np.full(64, 700, np.uint16)], -1)[None].repeat(4, 0)
    file = np.concatenate([samples, np.full((4, 64, 1), 30000, np.uint16)], 2) if alpha else samples
    picture = loaded(png(file, 16, gamma(1)))
    assert np.abs(picture.rgb - in_srgb(samples / 65535, SRGB)).max() <= 0.51
    assert (picture.alpha is not None) == alpha


def test_gray_of_8_and_16_bits() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(3, 0)
    expected = in_srgb((ramp / 255)[..., None].repeat(3, 2), SRGB)
    assert np.abs(loaded(png(ramp, before=gamma(1))).rgb - expected).max() <= 0.51
    deep = np.linspace(0, 2000, 256).round().astype(np.uint16)[None].repeat(3, 0)
    expected = in_srgb((deep / 65535)[..., None].repeat(3, 2), SRGB)
    assert np.abs(loaded(png(deep, 16, gamma(1))).rgb - expected).max() <= 0.51


SAME = {
    "sRGB beside a gamma": b"sRGB", "gamma of sRGB": gamma(1 / 2.2), "primaries of sRGB": chromaticities(D65, *SRGB),
    "cICP of sRGB": code_points(1, 13), "cICP of video": code_points(1, 1), "cICP that says nothing": code_points(2, 2),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_srgb_is_left_alone(case: str) -> None:
    chunks = chunk(b"sRGB", b"\0") + gamma(1) if SAME[case] == b"sRGB" else SAME[case]
    picture = loaded(png(chart(), before=chunks))
    assert np.array_equal(picture.rgb, chart()) and not picture.notes + picture.losses


def test_a_profile_stands_over_gamma_and_under_cicp() -> None:
    out = io.BytesIO()
    Image.fromarray(chart()).save(out, "PNG", icc_profile=swapped_profile())
    data = out.getvalue()
    assert np.abs(loaded(data[:33] + gamma(1) + data[33:]).rgb.astype(int) - chart()[..., ::-1]).max() <= 2
    picture = loaded(data[:33] + code_points(12, 13) + data[33:])
    assert np.abs(picture.rgb - in_srgb(curve(chart() / 255), P3)).max() <= 0.51
    assert "icc" not in picture.metadata


@pytest.mark.parametrize(
    "chunks, word",
    [(code_points(99, 13), "primaries number 99"), (code_points(1, 9), "transfer number 9"), (gamma(0), "gamma of 0"),
     (chromaticities(D65, *[(0.3, 0.3)] * 3), "primaries")],
)  # fmt: skip
def test_what_cannot_be_converted_is_always_said(chunks: bytes, word: str) -> None:
    picture = loaded(png(chart(), before=chunks))
    assert np.array_equal(picture.rgb, chart())
    assert word in picture.losses[0] and "taken as sRGB" in picture.losses[0]


# ---- brighter than white --------------------------------------------------------------------------------------------


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: cd/m2 to samples in 0 to 1."""
    y = (light / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(light: np.ndarray) -> np.ndarray:
    """BT.2100: gray of a display of 1000 cd/m2 to samples in 0 to 1."""
    e = (light / 1000) ** (1 / 1.2)
    return np.where(
        e <= 1 / 12, np.sqrt(3 * e), 0.17883277 * np.log(np.maximum(12 * e - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize("transfer, code", [(pq, 16), (hlg, 18)])
def test_up_to_diffuse_white_nothing_is_mapped(transfer: Light, code: int) -> None:
    light = np.linspace(0, 203, 300)[None, :, None].repeat(3, 2).repeat(4, 0)
    samples = np.rint(65535 * transfer(light)).astype(np.uint16)
    picture = loaded(png(samples, 16, code_points(9, code)))
    assert np.abs(picture.rgb - in_srgb(light / 203, SRGB)).max() <= 0.6
    assert not picture.losses and "to sRGB" in picture.notes[-1]


@pytest.mark.parametrize("transfer, code, name", [(pq, 16, "PQ"), (hlg, 18, "HLG")])
@pytest.mark.parametrize("depth", [8, 16])
def test_highlights_are_rolled_off_and_said(transfer: Light, code: int, name: str, depth: int) -> None:
    light = np.linspace(0, 1000, 301)[None, :, None].repeat(3, 2).repeat(4, 0)
    most = (1 << depth) - 1
    picture = loaded(png(np.rint(most * transfer(light)).astype(np.uint16), depth, code_points(9, code)))
    gray = picture.rgb[0, :, 0].astype(int)
    assert picture.losses == [f"colours converted from BT.2020 {name} to sRGB, tone-mapped"]
    dark = light[0, :, 0] <= 80
    assert np.abs(gray - in_srgb(light / 203, SRGB)[0, :, 0])[dark].max() <= (1 if depth == 16 else 5)
    assert (np.diff(gray) >= 0).all() and gray[-1] == 255
    white = gray[np.abs(light[0, :, 0] - 203).argmin()]
    assert 222 <= white <= 236  # four fifths of the display's light
    assert 244 <= gray[150] <= 254  # 500 cd/m2 is not yet burnt out


def test_hues_of_highlights_stay() -> None:
    light = np.array([900.0, 450.0, 225.0])[None, None].repeat(40, 1).repeat(4, 0)
    picture = loaded(png(np.rint(65535 * pq(light)).astype(np.uint16), 16, code_points(1, 16)))
    shown = curve(picture.rgb[0, 0] / 255)
    assert shown[0] == pytest.approx(1, abs=0.01)
    assert shown[1] / shown[0] == pytest.approx(0.5, abs=0.01) and shown[2] / shown[0] == pytest.approx(0.25, abs=0.01)


def test_one_glint_does_not_darken_the_picture() -> None:
    light = np.full((200, 200, 3), 100.0)
    light[5, 5] = 10000
    picture = loaded(png(np.rint(65535 * pq(light)).astype(np.uint16), 16, code_points(9, 16)))
    assert np.abs(picture.rgb[50, 50] - in_srgb(np.full(3, 100 / 203), SRGB)).max() <= 0.6


# ---- other formats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "primaries, transfer, of", [(12, 13, P3), (9, 13, BT2020), (1, 13, SRGB), (9, 16, None), (9, 18, None)]
)
def test_avif(primaries: int, transfer: int, of: tuple | None) -> None:
    patches = chart()[:, ::4].repeat(16, 0).repeat(16, 1)
    out = io.BytesIO()
    Image.fromarray(patches).save(out, "AVIF", quality=100, subsampling="4:4:4")
    data = bytearray(out.getvalue())
    place = data.index(b"nclx") + 4
    before = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB"))
    data[place : place + 4] = struct.pack(">2H", primaries, transfer)
    picture = loaded(bytes(data))
    if of is None:
        assert "tone-mapped" in picture.losses[0]
    else:
        assert np.abs(picture.rgb - in_srgb(curve(before / 255), of)).max() <= 0.51


def exif(space: int, index: bytes | None) -> bytes:
    """EXIF of a colour space and an interoperability index, little-endian."""
    rows = [(0xA001, 3, 1, struct.pack("<I", space))]
    rows += [(0xA005, 4, 1, struct.pack("<I", 26 + 2 + 24 + 4))] if index else []
    first = struct.pack("<H2HI", 1, 0x8769, 4, 1) + struct.pack("<2I", 26, 0)
    inner = struct.pack("<H", len(rows)) + b"".join(struct.pack("<2HI", *row[:3]) + row[3] for row in rows) + bytes(4)
    last = struct.pack("<H2HI", 1, 1, 2, 4) + (index or b"") + bytes(4)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + inner + (last if index else b"")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_adobe_rgb_by_exif(kind: str) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    patches, out = chart()[:, ::4].repeat(16, 0).repeat(16, 1), io.BytesIO()
    Image.fromarray(patches).save(out, kind, exif=exif(65535, b"R03\0"), **options)
    before = np.asarray(Image.open(out).convert("RGB"))
    picture = loaded(out.getvalue())
    assert np.abs(picture.rgb - in_srgb((before / 255) ** (563 / 256), ADOBE)).max() <= 0.51
    kept = Image.Exif()
    kept.load(picture.metadata["exif"])
    assert kept.get_ifd(0x8769)[0xA001] == 1  # it describes what is kept
    assert kept.get_ifd(0xA005)[1] == "R98"
    again = load(ltokc.decode(ltokc.encode(picture, metadata="all", effort=0)))
    assert not any("Adobe" in note for note in again.notes)


def test_exif_that_only_says_no_srgb() -> None:
    out = io.BytesIO()
    Image.fromarray(chart()).save(out, "PNG", exif=exif(65535, None))
    assert "not those of sRGB" in loaded(out.getvalue()).losses[0]
    out = io.BytesIO()
    Image.fromarray(chart()).save(out, "PNG", exif=exif(65535, b"R03\0"), icc_profile=srgb_profile())
    assert np.array_equal(loaded(out.getvalue()).rgb, chart())


def test_tiff_with_primaries_of_its_own() -> None:
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[318], tags[319] = D65, tuple(v for pair in P3 for v in pair)
    out = io.BytesIO()
    Image.fromarray(chart()).save(out, "TIFF", tiffinfo=tags)
    assert np.abs(loaded(out.getvalue()).rgb - in_srgb(curve(chart() / 255), P3)).max() <= 0.6


@pytest.mark.parametrize("opened", [True, False])
def test_pictures_that_a_caller_opened(opened: bool) -> None:
    """Until its pixels are there a picture still has its file; afterwards what Pillow hands on."""
    image = Image.open(io.BytesIO(png(chart(), before=chromaticities(D65, *P3) + gamma(1 / 2.2))))
    if not opened:
        image = image.convert("RGB")
    assert np.abs(load(image).rgb - in_srgb((chart() / 255) ** 2.2, P3)).max() <= 0.51
    coded = Image.open(io.BytesIO(png(chart(), before=code_points(12, 13))))
    assert np.abs(load(coded).rgb - in_srgb(curve(chart() / 255), P3)).max() <= 0.51


def test_tone_mapping_is_said_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "bright.png"
    path.write_bytes(png(smooth(60, 40), before=code_points(9, 16)))
    result = run("encode", str(path))
    assert "BT.2020 PQ to sRGB, tone-mapped" in result.stderr and result.exit_code == 0
    with pytest.warns(LossWarning, match="tone-mapped"):
        ltokc.encode(path, effort=0)

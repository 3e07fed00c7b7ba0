"""Metadata, orientation, alpha and unusual samples from one real file to another, through the command line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.cli_runner import run
from tests.support.pictures import mean_error, png_16_bit_rgb, smooth, srgb_profile, swapped_profile

PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
MAKE, ORIENTATION, EXIF_IFD, GPS_IFD = 0x010F, 0x0112, 0x8769, 0x8825


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def camera_file(kind: str) -> None:
    """source.kind: 60x40 stored, to be turned to 40x60, with EXIF, GPS, XMP and an sRGB profile."""
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "a camera", 6
    exif[EXIF_IFD] = {0x829A: 0.01, 0x9003: "2024:01:02 03:04:05"}
    exif[GPS_IFD] = {1: "N", 2: (52.0, 30.0, 0.0)}
    options: dict = {"icc_profile": srgb_profile()}
    if kind == "png":
        from PIL import PngImagePlugin

        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", PACKET.decode())
    elif kind == "tiff":
        exif[0x02BC] = PACKET
    else:
        options["xmp"] = PACKET
    options["exif"] = exif.tobytes()
    Image.fromarray(smooth(60, 40)).save(f"source.{kind}", **options)


def upright() -> np.ndarray:
    return np.rot90(smooth(60, 40), -1)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "avif", "tiff"])
def test_everything_is_kept_on_request_from_any_format(kind: str) -> None:
    camera_file(kind)
    assert run("encode", f"source.{kind}", "-q", "0.9", "--metadata", "all", "-o", "x.ltk").exit_code == 0
    assert run("decode", "x.ltk", "-o", "back.png").exit_code == 0
    with Image.open("back.png") as back:
        exif = back.getexif()
        assert (back.size, exif[MAKE], exif.get(ORIENTATION, 1)) == ((40, 60), "a camera", 1)
        assert exif.get_ifd(EXIF_IFD)[0x9003] == "2024:01:02 03:04:05"
        assert exif.get_ifd(GPS_IFD)[1] == "N"
        assert back.info["icc_profile"] == srgb_profile()
        packet = back.info["xmp"] if isinstance(back.info["xmp"], bytes) else back.info["xmp"].encode()
        reset = (b'tiff:Orientation="1"', b"")  # Pillow itself takes it out of a TIFF's packet
        assert packet.rstrip(b"\0") in [PACKET.replace(b'tiff:Orientation="6"', text) for text in reset]
        assert mean_error(back, upright()) < 6


@pytest.mark.parametrize("kind", ["jpg", "webp", "avif"])
def test_everything_is_given_back_in_any_format(kind: str) -> None:
    camera_file("jpg")
    assert run("encode", "source.jpg", "--metadata", "exif,icc,xmp", "-o", "x.ltk").exit_code == 0
    assert run("decode", "x.ltk", "-o", f"back.{kind}").exit_code == 0
    with Image.open(f"back.{kind}") as back:
        assert (back.size, back.getexif()[MAKE], back.getexif().get(ORIENTATION, 1)) == ((40, 60), "a camera", 1)
        assert back.info["icc_profile"] == srgb_profile()
        assert b"xmpmeta" in back.info["xmp"]


def test_nothing_is_kept_without_a_request_and_only_what_is_asked_for() -> None:
    camera_file("jpg")
    for asked, kept in (("none", set()), ("xmp", {"xmp"}), ("icc", {"icc_profile"})):
        assert run("encode", "source.jpg", "--metadata", asked, "-o", "x.ltk", "--overwrite").exit_code == 0
        assert run("decode", "x.ltk", "-o", "back.webp", "--overwrite").exit_code == 0
        with Image.open("back.webp") as back:
            assert {"exif", "icc_profile", "xmp"} & set(back.info) == kept
            assert back.size == (40, 60), "turned all the same"


def test_profile_of_the_source_is_no_profile_of_the_output() -> None:
    Image.fromarray(smooth(60, 40)).save("source.png", icc_profile=swapped_profile())
    result = run("encode", "source.png", "-q", "1", "--metadata", "all", "-o", "x.ltk", "-v")
    assert "converted to sRGB" in result.stderr
    assert run("decode", "x.ltk", "-o", "back.png").exit_code == 0
    with Image.open("back.png") as back:
        assert "icc_profile" not in back.info
        assert mean_error(back, smooth(60, 40)[..., ::-1]) < 6


def test_profile_that_another_encoder_kept_is_not_given_back() -> None:
    from ltokc import codec, container

    data = codec.encode(smooth(20, 20), tokens=20)
    ltk = container.read(data)
    for profile, given in ((swapped_profile(), False), (b"no profile", False), (srgb_profile(), True)):
        chunk = container.Chunk(container.ICC, profile)
        other = container.write(container.Ltk(ltk.header, ltk.segments, (chunk,)))
        assert ("icc_profile" in codec.decode(other).info) == given


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_alpha_is_kept(kind: str) -> None:
    alpha = np.indices((40, 60)).sum(0).astype(np.uint8)
    Image.fromarray(np.dstack([smooth(60, 40), alpha])).save("source.png")
    assert run("encode", "source.png", "-o", "x.ltk").exit_code == 0
    assert run("decode", "x.ltk", "-o", f"back.{kind}").exit_code == 0
    with Image.open(f"back.{kind}") as back:
        assert np.array_equal(np.asarray(back.getchannel("A")), alpha)


def test_unusual_samples_are_converted_with_a_note() -> None:
    Path("deep.png").write_bytes(png_16_bit_rgb(smooth(60, 40).astype(np.uint16) * 257).getvalue())
    Image.fromarray(smooth(60, 40)[..., 0].astype(np.uint16) * 257).save("deep.tiff")
    Image.fromarray(smooth(60, 40)).convert("CMYK").save("print.jpg", quality=95)
    for name, note in (("deep.png", "16 bits"), ("deep.tiff", "16 bits"), ("print.jpg", "CMYK")):
        result = run("encode", name, "-v", "-o", "x.ltk", "--overwrite")
        assert result.exit_code == 0 and f"{name}: " in result.stderr and note in result.stderr
        assert note not in run("encode", name, "-o", "x.ltk", "--overwrite").stderr
        assert run("decode", "x.ltk", "-o", "back.png", "--overwrite").exit_code == 0
        wanted = smooth(60, 40) if name != "deep.tiff" else smooth(60, 40)[..., :1].repeat(3, 2)
        assert mean_error(Image.open("back.png"), wanted) < 8
    result = run("batch", "deep.png", "-d", "out", "--json")
    assert "16 bits" in result.stdout


def test_exif_of_a_tiff_holds_nothing_of_its_strips() -> None:
    from ltokc.pictures import load as imageio

    camera_file("tiff")
    kept = Image.Exif()
    kept.load(imageio.load("source.tiff").metadata["exif"])
    assert set(kept) == {MAKE, EXIF_IFD, GPS_IFD}
    Image.fromarray(smooth(8, 8)).save("plain.tiff")
    assert imageio.load("plain.tiff").metadata == {}
    out = io.BytesIO()
    Image.fromarray(smooth(8, 8)).save(out, "TIFF", compression="raw")
    assert imageio.load(io.BytesIO(out.getvalue())).metadata == {}

"""Pictures in: every mode and kind of damage a user may bring."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from ltokc.errors import FormatError, LimitError, LtokcError, UsageError
from ltokc.pictures.load import DEFAULT_LIMIT_PIXELS, ORIENTATION, Picture, load
from tests.support.pictures import gradients as photo
from tests.support.pictures import png_16_bit_rgb, srgb_profile, swapped_profile


def encoded(image: Image.Image, format: str, **options: object) -> io.BytesIO:
    out = io.BytesIO()
    image.save(out, format, **options)
    out.seek(0)
    return out


def rgb_file(format: str = "PNG", **options: object) -> io.BytesIO:
    return encoded(Image.fromarray(photo()), format, **options)


# ---- modes ------------------------------------------------------------------------------------------------------


def test_rgb_is_exact() -> None:
    picture = load(rgb_file())
    assert np.array_equal(picture.rgb, photo()) and picture.rgb.dtype == np.uint8
    assert picture.alpha is None and picture.metadata == {} and picture.notes == []


@pytest.mark.parametrize("kind", ["path", "str", "file", "image", "array", "unseekable"])
def test_sources(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(rgb_file().getvalue())

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

    sources = {
        "path": path,
        "str": str(path),
        "file": io.BytesIO(path.read_bytes()),
        "unseekable": Pipe(path.read_bytes()),
        "image": Image.open(path),
        "array": photo(),
    }
    assert np.array_equal(load(sources[kind]).rgb, photo())


@pytest.mark.parametrize("source", [b"\x89PNG", 5, None])
def test_what_is_no_source_is_said(source: object) -> None:
    with pytest.raises(UsageError, match=f"not {type(source).__name__}$"):
        load(source)


def test_picture_is_handed_back() -> None:
    picture = Picture(photo())
    assert load(picture) is picture


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]


@pytest.mark.parametrize("mode", MODES)
def test_every_8_bit_mode(mode: str) -> None:
    image = Image.fromarray(photo())
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
        assert converted is not None
    elif mode in ("La", "RGBa"):
        converted = image.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    elif mode == "PA":
        converted = image.convert("P").convert("PA")
    else:
        converted = image.convert(mode)
    picture = load(converted)
    gray = mode in ("1", "L", "LA", "La")
    expected = np.asarray(image.convert("1" if mode == "1" else "L").convert("RGB") if gray else image, np.int16)
    tolerance = {"P": 60, "PA": 60, "HSV": 6, "LAB": 40, "YCbCr": 3}.get(mode, 1)
    assert picture.alpha is None
    assert np.abs(picture.rgb - expected).max() <= tolerance


def test_alpha_is_kept_apart_and_colour_stays_straight() -> None:
    alpha = np.arange(24 * 40, dtype=np.uint8).reshape(24, 40)
    rgba = np.dstack([photo(), alpha])
    picture = load(encoded(Image.fromarray(rgba), "PNG"))
    assert np.array_equal(picture.rgb, photo()) and picture.alpha is not None
    assert np.array_equal(picture.alpha, alpha)


def test_gray_with_alpha() -> None:
    la = np.dstack([photo()[:, :, 0], photo()[:, :, 1]])
    picture = load(encoded(Image.fromarray(la), "PNG"))
    assert np.array_equal(picture.rgb, np.repeat(la[:, :, :1], 3, axis=2))
    assert picture.alpha is not None and np.array_equal(picture.alpha, la[:, :, 1])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palette_with_transparency(format: str) -> None:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([255, 0, 0, 0, 200, 0])
    image.putpixel((2, 1), 0)
    picture = load(encoded(image, format, transparency=0))
    assert picture.alpha is not None
    assert picture.alpha[1, 2] == 0 and (picture.alpha == 255).sum() == 31
    assert picture.rgb[0, 0].tolist() == [0, 200, 0]


def test_rgb_with_a_transparent_colour() -> None:
    picture = load(rgb_file(transparency=tuple(photo()[5, 7].tolist())))
    assert picture.alpha is not None and picture.alpha[5, 7] == 0 and (picture.alpha == 255).sum() == 24 * 40 - 1


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_gray_is_scaled(format: str) -> None:
    samples = np.linspace(0, 65535, 24 * 40).round().astype(np.uint16).reshape(24, 40)
    picture = load(encoded(Image.fromarray(samples), format))
    expected = np.rint(samples / 257).astype(np.uint8)
    assert np.array_equal(picture.rgb, np.repeat(expected[:, :, None], 3, axis=2))
    assert any("16 bits" in note for note in picture.notes)


def test_dark_16_bit_gray_stays_dark() -> None:
    picture = load(encoded(Image.fromarray(np.full((4, 4), 200, np.uint16)), "PPM"))
    assert picture.rgb.max() == 1


def test_16_bit_gray_with_a_transparent_value() -> None:
    samples = np.full((4, 6), 30000, np.uint16)
    samples[1, 2] = 77
    image = Image.fromarray(samples)
    picture = load(encoded(image, "PNG", transparency=77))
    assert picture.alpha is not None and picture.alpha[1, 2] == 0 and (picture.alpha == 255).sum() == 23


def test_16_bit_rgb() -> None:
    picture = load(png_16_bit_rgb(photo().astype(np.uint16) * 257))
    assert np.array_equal(picture.rgb, photo())
    assert picture.notes == ["16 bits per sample reduced to 8"]


def test_float_tiff() -> None:
    picture = load(encoded(Image.fromarray((photo()[:, :, 0] / 255).astype(np.float32)), "TIFF"))
    assert np.array_equal(picture.rgb[:, :, 0], photo()[:, :, 0])
    assert picture.notes == ["float samples in 0 to 1 scaled to 8 bits"]


def test_arrays() -> None:
    assert np.array_equal(load(photo() / 255.0).rgb, photo())
    assert np.array_equal(load(photo().astype(np.uint16) * 257).rgb, photo())
    assert load(np.eye(3, dtype=bool)).rgb[:, :, 0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    four = np.dstack([photo(), photo()[:, :, 0]])
    picture = load(four)
    assert picture.alpha is not None and np.array_equal(picture.alpha, four[:, :, 3])
    for wrong in (np.zeros((2, 2, 5), np.uint8), np.zeros(3, np.uint8), np.zeros((2, 2), complex), np.zeros((0, 4))):
        with pytest.raises(FormatError):
            load(wrong)


def test_loaded_arrays_do_not_share_memory_with_the_source() -> None:
    source = photo()
    load(source).rgb[:] = 0
    assert np.array_equal(source, photo())


def test_one_pixel() -> None:
    assert load(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG")).rgb.tolist() == [[[9, 8, 7]]]


# ---- colour -----------------------------------------------------------------------------------------------------


def test_srgb_profile_leaves_samples_alone_and_is_kept() -> None:
    picture = load(rgb_file(icc_profile=srgb_profile()))
    assert np.array_equal(picture.rgb, photo())
    assert picture.metadata == {"icc": srgb_profile()} and picture.notes == []


@pytest.mark.parametrize("alpha", [False, True])
def test_other_profile_is_converted(alpha: bool) -> None:
    image = Image.fromarray(photo())
    if alpha:
        image.putalpha(77)
    picture = load(encoded(image, "PNG", icc_profile=swapped_profile()))
    assert np.abs(picture.rgb.astype(int) - photo()[:, :, ::-1]).max() <= 2
    assert "icc" not in picture.metadata and "converted" in picture.notes[0]
    assert (picture.alpha is not None) == alpha


@pytest.mark.parametrize("profile", [b"no profile", srgb_profile()[:200], b"\0" * 400])
def test_broken_profile_is_said(profile: bytes) -> None:
    picture = load(rgb_file(icc_profile=profile))
    assert np.array_equal(picture.rgb, photo())
    assert "profile" in picture.losses[0] and "icc" not in picture.metadata


def test_srgb_profile_on_gray_is_noted() -> None:
    picture = load(encoded(Image.fromarray(photo()[:, :, 0]), "PNG", icc_profile=srgb_profile()))
    assert np.array_equal(picture.rgb[:, :, 1], photo()[:, :, 0])
    assert "profile" in picture.notes[0] and not picture.losses


def test_cmyk_jpeg() -> None:
    picture = load(encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(picture.rgb.astype(int) - photo()).mean() < 6
    assert "CMYK" in picture.notes[0]


# ---- orientation, metadata, frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "maker"
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(format, {})
    file = rgb_file(format, exif=exif.tobytes(), **options)
    picture = load(file)
    file.seek(0)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(file)), np.int16)
    assert picture.rgb.shape == expected.shape and picture.rgb.flags.c_contiguous
    assert np.abs(picture.rgb - expected).max() <= 2
    if format != "TIFF":
        kept = Image.Exif()
        kept.load(picture.metadata["exif"])
        assert kept[ORIENTATION] == 1 and kept[0x010F] == "maker"


def test_orientation_turns_alpha_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    rgba = np.dstack([photo(), photo()[:, :, 0]])
    picture = load(encoded(Image.fromarray(rgba), "PNG", exif=exif.tobytes()))
    assert picture.rgb.shape == (40, 24, 3) and picture.alpha is not None
    assert np.array_equal(picture.alpha, picture.rgb[:, :, 0])


def test_xmp_is_kept_upright() -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="3"/></x:xmpmeta>'
    picture = load(rgb_file("WEBP", lossless=True, xmp=packet))
    assert np.array_equal(picture.rgb, photo()[::-1, ::-1])
    assert picture.metadata["xmp"] == packet.replace(b'"3"', b'"1"')


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0rubbish", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_broken_exif_is_said(exif: bytes) -> None:
    picture = load(rgb_file("PNG", exif=exif))
    assert np.array_equal(picture.rgb, photo())
    assert "exif" not in picture.metadata and any("EXIF" in loss for loss in picture.losses)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(format: str) -> None:
    frames = [Image.new("RGB", (6, 5), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = load(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert picture.rgb[2, 2].tolist() == [250, 0, 0]
    what = "pages" if format == "TIFF" else "frames"
    assert picture.losses == [f"first of 3 {what} taken, the others are not kept (encode with frame=N takes another)"]


# ---- refusals ---------------------------------------------------------------------------------------------------


def refusal(source: object, kind: type[LtokcError] = FormatError, **options: object) -> str:
    with pytest.raises(kind) as caught:
        load(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("this is no picture\n" * 20)
    empty.touch()
    messages = [refusal(path) for path in (text, empty, tmp_path, tmp_path / "missing.png")]
    assert "not a picture" in messages[0]
    assert "empty" in messages[1]
    assert "directory" in messages[2]
    assert "no such file" in messages[3]
    assert not any(str(tmp_path) in message for message in messages)
    assert "empty" in refusal(io.BytesIO())
    refusal("a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(rgb_file().getvalue())
    path.chmod(0)
    assert "permission" in refusal(path)


def test_formats_with_a_hint() -> None:
    assert ".ltk" in refusal(io.BytesIO(b"\x89LTK" + b"\0" * 40))
    assert "HEIC" in refusal(io.BytesIO(b"\0\0\0\x18ftypheic" + b"\0" * 40))
    assert "PostScript" in refusal(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nx"))


def test_truncated_jpeg() -> None:
    data = rgb_file("JPEG", quality=95).getvalue()
    assert "truncated" in refusal(io.BytesIO(data[: len(data) // 2]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM"])
def test_truncation_anywhere_is_one_error_or_a_whole_picture(format: str) -> None:
    data = rgb_file(format).getvalue()
    for length in range(0, len(data), max(len(data) // 40, 1)):
        try:
            assert load(io.BytesIO(data[:length])).rgb.shape == (24, 40, 3)
        except FormatError as error:
            assert "\n" not in str(error)


SEEDS = [rgb_file(format).getvalue() for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "ICO", "TGA")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6))
@pytest.mark.filterwarnings("ignore")
def test_damage_raises_nothing_else(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        picture = load(io.BytesIO(bytes(damaged)), limit_pixels=1_000_000)
    except (FormatError, LimitError):
        return
    assert picture.rgb.ndim == 3


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises((FormatError, LimitError)):
        load(io.BytesIO(data))


def test_limits() -> None:
    assert "limit" in refusal(rgb_file(), LimitError, limit_pixels=24 * 40 - 1)
    assert load(rgb_file(), limit_pixels=24 * 40).rgb.shape == (24, 40, 3)
    assert load(rgb_file(), limit_pixels=None).rgb.shape == (24, 40, 3)
    refusal(photo(), LimitError, limit_pixels=10)
    refusal(Picture(photo()), LimitError, limit_pixels=10)
    refusal(np.zeros((1, 65536), np.uint8), LimitError)


@pytest.mark.parametrize("limit", [DEFAULT_LIMIT_PIXELS, None])
def test_bomb_is_refused_before_decoding(limit: int | None) -> None:
    before = Image.MAX_IMAGE_PIXELS
    header = b"P6 60000 60000 255\n" if limit else b"P6 70000 9 255\n"
    refusal(io.BytesIO(header + b"\0" * 100), LimitError, limit_pixels=limit)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_closed_picture_is_called_closed(kind: str, loaded: bool) -> None:
    image = Image.open(rgb_file(kind))
    if loaded:
        image.load()
    image.close()
    with pytest.raises(UsageError, match="the PIL image is closed"):
        load(image)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_whose_file_is_closed_is_called_closed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(rgb_file(kind).getvalue())
    with Image.open(path) as image:
        pass
    with pytest.raises(UsageError, match="the PIL image is closed"):
        load(image)
    with Image.open(path) as image:
        image.load()
    assert load(image).rgb.shape == photo().shape, "its pixels are there"
    with open(path, "rb") as file:
        image = Image.open(file)
    for closed, what in ((image, "the PIL image is closed"), (file, "the file is closed")):
        with pytest.raises(UsageError, match=what):
            load(closed)


def test_a_file_that_is_open_as_text_and_an_empty_name(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(rgb_file().getvalue())
    with open(path) as file, pytest.raises(UsageError, match=r'open as text; a picture needs open\(..., "rb"\)'):
        load(file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the name of the picture is empty"):
        load("")

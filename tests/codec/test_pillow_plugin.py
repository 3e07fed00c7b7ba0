"""Pillow and imageio read and write .ltk files as they do their own formats."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

import ltokc
from ltokc import codec, container
from ltokc.tokenizer.regions import levels_for_reduced
from tests.support.pictures import grainy, mean_error, smooth, srgb_profile

ltokc.register_pillow()
WIDTH, HEIGHT = 150, 100


@pytest.fixture(scope="module")
def data() -> bytes:
    return ltokc.encode(smooth(WIDTH, HEIGHT), 0.6)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def saved(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "LTK", **options)
    return out.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict]]:
    """The arguments of every decoding from here on."""
    calls: list[dict] = []
    decode = codec.decode

    def counted(data: bytes, **how: object) -> Image.Image:
        calls.append(how)
        return decode(data, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(codec, "decode", counted)
    yield calls


def test_registered() -> None:
    assert Image.registered_extensions()[".ltk"] == "LTK"
    assert Image.MIME["LTK"] == "image/x-ltk"
    assert opened(ltokc.encode(smooth(8, 8), tokens=1)).get_format_mimetype() == "image/x-ltk"


def test_open_is_lazy_and_load_is_decode(data: bytes, decoded: list[dict], tmp_path: Path) -> None:
    path = tmp_path / "x.ltk"
    path.write_bytes(data)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("LTK", "RGB", (WIDTH, HEIGHT))
        assert not decoded
        image.load()
        image.load()
        assert image.getpixel((0, 0))
        assert len(decoded) == 1
    assert np.array_equal(np.asarray(image), np.asarray(ltokc.decode(data)))
    path.unlink()  # nothing holds it
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(opened(data)))), np.asarray(image))


def test_quality_is_pillows_scale(tmp_path: Path) -> None:
    picture = Image.fromarray(grainy(WIDTH, HEIGHT))
    picture.save(tmp_path / "x.ltk", quality=35)
    assert (tmp_path / "x.ltk").read_bytes() == ltokc.encode(picture, 0.35)
    assert saved(picture) == ltokc.encode(picture, 0.6)
    assert saved(picture, tokens=30) == ltokc.encode(picture, tokens=30)
    assert len(saved(picture, target_size=200)) <= 200
    assert len(saved(picture, target_bpp=0.1)) <= 0.1 * WIDTH * HEIGHT / 8
    assert saved(picture.convert("L")) and saved(picture.convert("CMYK")) and saved(picture.convert("P"))


@pytest.mark.parametrize(
    "options",
    [{"quality": 101}, {"quality": -1}, {"quality": "high"}, {"quality": True}, {"quality": 50, "tokens": 9},
     {"target_size": 5, "strict": True}, {"metadata": "gps"}, {"alpha": "half"}],
)  # fmt: skip
def test_options_that_do_not_fit(options: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Image.new("RGB", (8, 8)).save(tmp_path / "x.ltk", **options)
    assert not list(tmp_path.iterdir())


def test_alpha_and_metadata() -> None:
    rgba = np.dstack([smooth(60, 40), np.indices((40, 60)).sum(0).astype(np.uint8)])
    source = Image.fromarray(rgba)
    exif, packet = Image.Exif(), b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    exif[0x010F] = "a camera"
    back = opened(saved(source, exif=exif, xmp=packet, icc_profile=srgb_profile()))
    assert (back.mode, back.getexif()[0x010F], back.info["xmp"]) == ("RGBA", "a camera", packet)
    assert back.info["icc_profile"] == srgb_profile()
    assert np.array_equal(np.asarray(back)[..., 3], rgba[..., 3])
    again = opened(saved(back, metadata="all"))
    assert (again.info["exif"], again.info["xmp"]) == (back.info["exif"], packet)
    assert "exif" not in opened(saved(back)).info, "only on request"
    assert "xmp" not in opened(saved(back, metadata=("exif",))).info
    assert "exif" not in source.info, "the caller's picture is left alone"


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = Image.fromarray(smooth(60, 40))
    back = opened(saved(source, exif=exif))
    assert back.size == (40, 60) and back.getexif()[0x0112] == 1
    turned = ImageOps.exif_transpose(_with_exif(source, exif))
    assert mean_error(back, turned) < 8
    assert np.array_equal(np.asarray(back), np.asarray(ltokc.decode(ltokc.encode(turned))))


def _with_exif(image: Image.Image, exif: Image.Exif) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    out.seek(0)
    return Image.open(out)


@pytest.mark.parametrize("asked", [20, 30, 50, 70, 100, 1000])
def test_draft_gives_the_size_and_no_less(asked: int) -> None:
    data = ltokc.encode(smooth(220, 160), 0.9)
    image = opened(data)
    mode, box = image.draft("RGB", (asked, asked))
    scale = 220 / box[2]
    assert mode == "RGB" and scale in (1, 2, 4, 8)
    assert image.size == (-(-220 // scale), -(-160 // scale))
    assert asked > 160 or min(image.size) >= asked
    whole = ltokc.decode(data)
    small = np.asarray(whole.reduce(int(scale)) if scale > 1 else whole, float)
    assert np.asarray(image).shape == small.shape
    error = np.square(np.asarray(image, float) - small).mean()
    assert error < 255**2 / 10**3.3, "over 33 dB"
    assert image.draft("RGB", (20, 20)) is None, "too late"


def test_thumbnail_decodes_fewer_levels(decoded: list[dict]) -> None:
    data = ltokc.encode(grainy(400, 300), 1.0)
    image = opened(data)
    image.thumbnail((40, 30))
    assert image.size == (40, 30)
    assert decoded[0]["reduce"] == 4, "twice the size, which is then resampled well"
    assert levels_for_reduced(4, 11) == 8


def test_verify(data: bytes) -> None:
    image = opened(data)
    image.verify()
    with pytest.raises(OSError):
        image.load()
    for broken in (data[:-3], data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]):
        with pytest.raises(OSError):
            opened(broken).verify()


def test_truncated(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = data[: len(data) // 2]
    image = opened(cut)
    assert image.size == (WIDTH, HEIGHT)
    with pytest.raises(OSError):
        image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert mean_error(image, smooth(WIDTH, HEIGHT)) < 20
    assert opened(cut).convert("L").size == (WIDTH, HEIGHT)


def test_truncated_before_its_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = np.dstack([smooth(60, 40), np.indices((40, 60)).sum(0).astype(np.uint8)])
    data = ltokc.encode(Image.fromarray(rgba))
    chunk = next(size for name, size in ltokc.info(data).chunks if name == "ALPH")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = opened(data[: -chunk // 2])
    assert image.mode == "RGBA"
    assert np.asarray(image).shape == (40, 60, 4)


def test_bombs(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        opened(data).load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        opened(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(data).load()
    monkeypatch.undo()
    segments = tuple(container.Segment(0, False, b"") for _ in range(4096))
    huge = container.write(container.Ltk(container.Header(1, 0, 65535, 65535, 16), segments))
    with pytest.raises(Image.DecompressionBombError):
        opened(huge)


@pytest.mark.parametrize("bad", [b"", b"\x89LTK", b"\x89LTK\x10", b"\x89LTK\xf0" + bytes(30), b"GIF89a"])
def test_what_is_no_ltk_file(bad: bytes) -> None:
    with pytest.raises(UnidentifiedImageError):
        opened(bad)


def test_other_weights_are_an_error_of_loading(data: bytes) -> None:
    ltk = container.read(data)
    other = container.write(container.Ltk(replace(ltk.header, weights_hash=ltk.weights_hash ^ 1), ltk.segments))
    with pytest.raises(OSError, match="other weights"):
        opened(other).load()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(4, 400), st.integers(1, 255)), min_size=1, max_size=3), st.booleans())
def test_damage_is_an_os_error_or_a_picture(data: bytes, changes: list[tuple[int, int]], seal: bool) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(data)] ^= value
    damaged[:4] = data[:4]
    if seal:
        damaged[-4:] = struct.pack(">I", zlib.crc32(damaged[:-4]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = opened(bytes(damaged))
        if image.size[0] * image.size[1] < 1_000_000:
            image.load()
    except (OSError, Image.DecompressionBombError):
        pass


def test_imageio(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.ltk"
    iio.imwrite(path, smooth(WIDTH, HEIGHT), quality=90)
    assert path.read_bytes() == ltokc.encode(smooth(WIDTH, HEIGHT), 0.9)
    back = iio.imread(path)
    assert back.dtype == np.uint8 and np.array_equal(back, np.asarray(ltokc.decode(path.read_bytes())))
    found = iio.improps(path)
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(iio.imread(data, extension=".ltk"), np.asarray(ltokc.decode(data)))
    assert iio.immeta(path)["mode"] == "RGB"
    written = iio.imwrite("<bytes>", smooth(WIDTH, HEIGHT), extension=".ltk", plugin="pillow")
    assert written == ltokc.encode(smooth(WIDTH, HEIGHT), 0.6)


def test_a_long_file_behind_a_good_header_is_refused_unread(tmp_path: Path, encoded: bytes) -> None:
    path = tmp_path / "long.ltk"
    path.write_bytes(encoded)
    with path.open("r+b") as file:
        file.truncate(3 << 30)
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)


@pytest.mark.parametrize("times", [1, 2])
def test_pixels_can_be_written(data: bytes, times: int) -> None:
    image = opened(data)
    for _ in range(times):
        pixels = image.load()
    pixels[3, 2] = (9, 8, 7)  # type: ignore[index]
    assert image.getpixel((3, 2)) == (9, 8, 7)


@pytest.mark.parametrize("dpi", [300, "x", (300,), (300, 300, 300)])
def test_a_resolution_is_a_pair(dpi: object) -> None:
    with pytest.raises(ValueError, match="dpi is a pair"):
        saved(Image.new("RGB", (16, 16)), dpi=dpi)
    assert opened(saved(Image.new("RGB", (16, 16)), dpi=(300, 150))).info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_strict_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="strict goes with"):
        saved(Image.new("RGB", (16, 16)), strict=True)

"""Pictures to files and back: sizes, kinds of input, rate control, trimming."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.codec import Info
from ltokc.container import Data
from ltokc.entropy.segment import SegmentWriter
from ltokc.errors import LimitError, ModelError, UsageError
from tests.support.cli_runner import run
from tests.support.pictures import file, grainy, mean_error, smooth, srgb_profile
from tests.support.tilings import small_segments

COLOUR_BOUND = 40  # of 255, of a smooth picture's mean at the best quality: says "the same picture", not "a good one"
WIDTH, HEIGHT = 100, 70  # of the inputs of many kinds


@pytest.fixture
def in_segments(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A picture of 10x9 cells that the codec is set to cut into segments of 8x8, 2x8, 8x1 and 2x1 cells."""
    small_segments(monkeypatch)
    return grainy(620, 550)


# -- sizes -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (63, 65), (64, 64), (65, 63), (200, 130)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    picture = smooth(*size)
    data = ltokc.encode(picture, 1.0, patches="off")
    assert data.startswith(container.MAGIC)
    about = ltokc.info(data)
    assert isinstance(about, Info) and (about.width, about.height) == size
    assert about.tokens == about.tokens_total == ltokc.tokens(data).count
    ltokc.verify(data)
    image = ltokc.decode(data)
    assert image.size == size and image.mode == "RGB"
    assert mean_error(image, picture) < COLOUR_BOUND


def test_more_than_one_segment() -> None:
    """2100x2050: the smallest kind of picture that is cut up without being asked to."""
    data = ltokc.encode(smooth(2100, 2050), tokens=1500)
    about = ltokc.info(data)
    assert (about.width, about.height, about.segments) == (2100, 2050, 9)
    assert 1400 < about.tokens <= 1500
    ltokc.verify(data)
    assert ltokc.info(ltokc.trim(data, tokens=700)).tokens <= 700
    assert ltokc.decode(data).size == (2100, 2050)


def test_segments_are_decoded_each_by_itself(in_segments: np.ndarray) -> None:
    data = ltokc.encode(in_segments, 0.5)
    ltk = container.read(data)
    assert [len(ltk.segments), ltk.segment_cells] == [4, 8]
    ltokc.verify(data)
    whole = ltokc.tokens(data)
    # without the other segments' streams, the last one's tokens are the same
    others = tuple(container.Segment(0, False, b"") for _ in ltk.segments[1:])
    alone = ltokc.tokens(container.write(replace(ltk, segments=(*others, ltk.segments[-1]))))
    for a, b in zip(whole.digits, alone.digits, strict=True):
        scale = a.shape[0] // 9
        assert (a[8 * scale :, 8 * scale :] == b[8 * scale :, 8 * scale :]).all() and not b[: 8 * scale].any()


def test_segments_are_the_same_on_any_number_of_threads(
    in_segments: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, workers = [], set()
    stream = SegmentWriter.stream

    def spy(*given):
        workers.add(threading.get_ident())
        return stream(*given)

    monkeypatch.setattr(SegmentWriter, "stream", spy)
    for threads in ("1", "3"):
        monkeypatch.setenv("LTOKC_THREADS", threads)
        files.append(ltokc.encode(in_segments, 0.4, effort=0))
        if threads == "1":
            assert workers == {threading.get_ident()}
    assert files[0] == files[1] and len(workers) > 1
    several = ltokc.tokens(files[0])
    monkeypatch.setenv("LTOKC_THREADS", "1")
    for a, b in zip(several.digits, ltokc.tokens(files[0]).digits, strict=True):
        assert (a == b).all()


# -- kinds of input ----------------------------------------------------------------------------------------------------
def exif_rotated() -> io.BytesIO:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown, the picture is rotated by 90 degrees clockwise
    return file(Image.fromarray(smooth(WIDTH, HEIGHT)).rotate(90, expand=True), "JPEG", quality=95, exif=exif.tobytes())


def gray16() -> io.BytesIO:
    return file(Image.fromarray(smooth(WIDTH, HEIGHT)[..., 0].astype(np.uint16) * 257), "PNG")


def cmyk() -> io.BytesIO:
    return file(Image.fromarray(smooth(WIDTH, HEIGHT)).convert("CMYK"), "JPEG", quality=95)


def converted(mode: str, kind: str = "PNG", **options: Any) -> Callable[[], io.BytesIO]:
    return lambda: file(Image.fromarray(smooth(WIDTH, HEIGHT)).convert(mode), kind, **options)


def gray_of(channel: int | None) -> np.ndarray:
    image = Image.fromarray(smooth(WIDTH, HEIGHT))
    plane = np.asarray(image.convert("L")) if channel is None else smooth(WIDTH, HEIGHT)[..., channel]
    return np.repeat(plane[..., None], 3, 2)


INPUTS: dict[str, tuple[Callable[[], io.BytesIO], np.ndarray]] = {
    "gray": (converted("L"), gray_of(None)),
    "gray 16 bits": (gray16, gray_of(0)),
    "palette": (converted("P"), smooth(WIDTH, HEIGHT)),
    "opaque RGBA": (converted("RGBA"), smooth(WIDTH, HEIGHT)),
    "CMYK": (cmyk, smooth(WIDTH, HEIGHT)),
    "EXIF": (exif_rotated, smooth(WIDTH, HEIGHT)),
    "ICC": (converted("RGB", icc_profile=srgb_profile()), smooth(WIDTH, HEIGHT)),
    "GIF": (converted("RGB", "GIF"), smooth(WIDTH, HEIGHT)),
    "WebP": (converted("RGB", "WEBP", quality=95), smooth(WIDTH, HEIGHT)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_any_input_has_the_right_size_and_colours(name: str) -> None:
    make, expected = INPUTS[name]
    image = ltokc.decode(ltokc.encode(make(), 1.0))
    assert image.size == (WIDTH, HEIGHT) and image.mode == ("L" if name.startswith("gray") else "RGB")
    image = image.convert("RGB")
    assert mean_error(image, expected) < COLOUR_BOUND


def test_a_rotated_picture_is_the_upright_one() -> None:
    """Left is darker than right in the red channel, whichever way the camera was held."""
    red = np.asarray(ltokc.decode(ltokc.encode(exif_rotated(), 1.0)), float)[..., 0]
    assert red[:, :30].mean() + 30 < red[:, -30:].mean()


def test_path_file_object_image_and_array_give_one_file(tmp_path: Path) -> None:
    picture = grainy(90, 80)
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    data = ltokc.encode(path, 0.5)
    assert ltokc.encode(str(path), 0.5) == ltokc.encode(io.BytesIO(path.read_bytes()), 0.5) == data
    assert ltokc.encode(Image.open(path), 0.5) == ltokc.encode(picture, 0.5) == data
    assert run("encode", str(path), "-q", "0.5").exit_code == 0
    assert (tmp_path / "picture.ltk").read_bytes() == data
    assert run("decode", str(tmp_path / "picture.ltk"), "-o", str(tmp_path / "back.png")).exit_code == 0
    assert (np.asarray(Image.open(tmp_path / "back.png")) == np.asarray(ltokc.decode(data))).all()


# -- alpha and metadata ------------------------------------------------------------------------------------------------
def translucent() -> Image.Image:
    alpha = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    return Image.fromarray(np.dstack([smooth(WIDTH, HEIGHT), alpha]))


@pytest.mark.parametrize("quality", [0.0, 0.7])
def test_alpha_is_lossless(quality: float) -> None:
    source = translucent()
    data = ltokc.encode(source, quality)
    ltokc.verify(data)
    image = ltokc.decode(data)
    assert image.mode == "RGBA" and image.size == (WIDTH, HEIGHT)
    assert (np.asarray(image)[..., 3] == np.asarray(source)[..., 3]).all()
    assert "ALPH" in dict(ltokc.info(data).chunks)


def test_alpha_can_be_dropped_or_blended() -> None:
    source = translucent()
    dropped, blended = (ltokc.encode(source, 1.0, alpha=choice) for choice in ("drop", "blend"))
    assert ltokc.decode(dropped).mode == ltokc.decode(blended).mode == "RGB"
    assert dropped == ltokc.encode(smooth(WIDTH, HEIGHT), 1.0)
    assert np.asarray(ltokc.decode(blended)).mean() > np.asarray(ltokc.decode(dropped)).mean()
    with pytest.raises(UsageError, match="alpha is keep"):
        ltokc.encode(source, alpha="half")


def test_metadata_is_kept_on_request_alone() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    image = Image.fromarray(smooth(40, 30))
    profile = srgb_profile()
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    source = file(image, "WEBP", exif=exif.tobytes(), icc_profile=profile, xmp=packet).getvalue()
    assert ltokc.info(ltokc.encode(io.BytesIO(source), 0.5, effort=0)).chunks == []
    data = ltokc.encode(io.BytesIO(source), 0.5, effort=0, metadata=("exif", "icc", "xmp"))
    assert {name for name, _ in ltokc.info(data).chunks} == {"eXIf", "iCCP", "xMPt"}
    ltokc.verify(data)
    back = ltokc.decode(data)
    assert back.getexif()[0x010F] == "a camera" and back.info["xmp"] == packet
    chunks = {chunk.fourcc: chunk.data for chunk in container.read(data).chunks}
    assert chunks[container.ICC] == profile
    assert ltokc.info(ltokc.trim(data, tokens=0)).chunks == ltokc.info(data).chunks
    with pytest.raises(UsageError, match="metadata is none, all, or some of exif"):
        ltokc.encode(image, metadata=("gps",))


def test_limits_and_unknown_names() -> None:
    with pytest.raises(LimitError):
        ltokc.encode(smooth(30, 30), limit_pixels=899)
    with pytest.raises(ModelError, match="no model 'nobody'"):
        ltokc.encode(smooth(8, 8), model="nobody")
    with pytest.raises(UsageError, match="decoder"):
        ltokc.decode(ltokc.encode(smooth(8, 8), tokens=1), decoder="nobody")
    with pytest.raises(UsageError, match="backend"):
        ltokc.encode(smooth(8, 8), backend="tvm")


# -- tokens as values ------------------------------------------------------------------------------------------------
def test_tokens_are_compared_by_what_they_hold() -> None:
    data = ltokc.encode(smooth(100, 70), tokens=40)
    one, other = ltokc.tokens(data), ltokc.tokens(data)
    assert one == other and one != ltokc.tokens(ltokc.trim(data, tokens=20)) and one != "tokens"
    other.digits[0][0, 0, 0] += 1
    assert one != other


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file_may_be_of_any_kind(kind: Callable[[bytes], Data]) -> None:
    whole = ltokc.encode(grainy(64, 48), effort=0)
    data = kind(whole)
    assert ltokc.decode(data).size == (64, 48) and ltokc.info(data).bytes == len(whole)
    assert ltokc.trim(data, target_size=len(whole)) == whole
    assert ltokc.tokens(data).count == ltokc.info(whole).tokens
    ltokc.verify(data)


def test_bytes_are_counted_where_a_view_has_wider_items() -> None:
    """`len` of it is a quarter: trim had given more bytes than were wanted."""
    picture = grainy(64, 48)
    whole = next(d for n in range(60, 90) if len(d := ltokc.encode(picture, tokens=n, effort=0)) % 4 == 0)
    view = memoryview(whole).cast("I")
    assert ltokc.info(view).bytes == len(whole)
    assert ltokc.trim(view, target_size=len(whole) // 2) == ltokc.trim(whole, target_size=len(whole) // 2)
    assert ltokc.trim(view, target_size=len(whole)) == whole
    ltokc.verify(view)


def test_what_is_to_be_called_is_checked_before_it_is() -> None:
    data = ltokc.encode(smooth(100, 70), tokens=40)
    for wrong in (lambda: ltokc.encode(smooth(20, 12), progress=3), lambda: ltokc.decode(data, progress="x")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="progress is a function, not"):
            wrong()
    for wrong in (lambda: ltokc.encode(smooth(20, 12), say=None), lambda: ltokc.trim(data, target_size=40, say=None)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="say is a function, not None"):
            wrong()


@pytest.mark.parametrize("verb", [ltokc.decode, ltokc.info, ltokc.trim, ltokc.tokens, ltokc.verify])
def test_types_say_what_the_bytes_of_a_file_may_be(verb: Callable[..., Any]) -> None:
    assert verb.__annotations__["data"] == "Data" and set(get_args(Data)) == {bytes, bytearray, memoryview}

"""Files that are damaged: whole pixels are taken and it is said, missing ones only on demand, and errors say why."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import FormatError, LimitError, LossWarning
from ltokc.pictures import jpeg
from ltokc.pictures.load import Picture, load
from tests.support.cli_runner import run
from tests.support.pages import natural
from tests.support.pictures import grainy
from tests.support.pngs import chunk, png

PICTURE = grainy(150, 90)


def loaded(data: bytes, **options: object) -> Picture:
    return load(io.BytesIO(data), **options)  # type: ignore[arg-type]


def saved(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, kind, **options)
    return out.getvalue()


# ---- checksums of PNG ------------------------------------------------------------------------------------------------

ANCILLARY = {
    "pHYs": struct.pack(">IIB", 11811, 11811, 1), "tEXt": b"Title\0x", "gAMA": struct.pack(">I", 100000),
    "tIME": bytes(7), "eXIf": b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "acTL": struct.pack(">2I", 2, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", ANCILLARY)
@pytest.mark.parametrize("after", [False, True])
def test_a_damaged_ancillary_chunk_is_left_out_and_said(name: str, after: bool) -> None:
    bad = chunk(name.encode(), ANCILLARY[name], damaged=True)
    picture = loaded(png(PICTURE, **{"after" if after else "before": bad}))  # type: ignore[arg-type]
    assert np.array_equal(picture.rgb, PICTURE) and not picture.metadata and not picture.texts
    assert picture.losses == [f"PNG chunk {name} left out: its checksum is wrong"]


def test_what_else_the_file_has_is_kept() -> None:
    good = chunk(b"pHYs", ANCILLARY["pHYs"])
    data = png(PICTURE, before=chunk(b"tEXt", b"Title\0x", damaged=True) + good, after=chunk(b"tEXt", b"Author\0me"))
    picture = loaded(data)
    assert picture.texts == (b"Author\0me",) and "dpi" in picture.metadata


def test_a_damaged_header_is_refused_with_the_reason() -> None:
    data = bytearray(png(PICTURE))
    data[29] ^= 1  # of the checksum of IHDR
    with pytest.raises(FormatError, match="PNG picture that cannot be opened .*checksum"):
        loaded(bytes(data))


def test_it_is_said_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(PICTURE, before=chunk(b"pHYs", ANCILLARY["pHYs"], damaged=True)))
    result = run("encode", str(path))
    assert result.exit_code == 0 and "PNG chunk pHYs left out" in result.stderr


# ---- JPEG ------------------------------------------------------------------------------------------------------------

KINDS: dict[str, dict[str, object]] = {
    "baseline": {"quality": 90}, "4:4:4": {"quality": 90, "subsampling": 0},
    "progressive": {"quality": 90, "progressive": True}, "restarts": {"quality": 90, "restart_marker_rows": 1},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_end_is_taken_and_said(kind: str) -> None:
    data = saved("JPEG", **KINDS[kind])
    whole = loaded(data).rgb
    for lack in (1, 2):
        picture = loaded(data[:-lack])
        assert np.array_equal(picture.rgb, whole)
        assert picture.losses == ["the end of the JPEG file is missing; the picture is whole"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lack", [3, 4, 5, 40, 0.1, 0.5])
def test_a_jpeg_that_lacks_more_is_refused_unless_that_is_allowed(kind: str, lack: float) -> None:
    data = saved("JPEG", **KINDS[kind])
    cut = data[: len(data) - int(lack if lack > 1 else lack * len(data))]
    with pytest.raises(FormatError, match="cut.*; allow_damaged=True takes"):
        loaded(cut)
    picture = loaded(cut, allow_damaged=True)
    assert picture.rgb.shape == PICTURE.shape and "cut" in picture.losses[0]
    if kind != "progressive":
        assert np.array_equal(picture.rgb[:16], loaded(data).rgb[:16])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filling", [b"\0", b"\xaa", b"\x5a\xc3"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_jpeg_whose_end_was_never_written_is_no_whole_one(kind: str, filling: bytes, share: float) -> None:
    """Its length is right and its end is filled: zeros decode as blocks for all the rest of a picture."""
    data = saved("JPEG", **KINDS[kind])
    half = int(share * len(data))
    filled = data[:half] + (filling * len(data))[: len(data) - half]
    with pytest.raises(FormatError, match="(cut|is zeros).*; allow_damaged=True takes"):
        loaded(filled)
    picture = loaded(filled, allow_damaged=True)
    assert picture.rgb.shape == PICTURE.shape and re.search("cut|zeros", picture.losses[0])


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_with_a_hole_of_zeros_is_refused_unless_that_is_allowed(optimize: bool, mode: str) -> None:
    out = io.BytesIO()
    Image.fromarray(natural(300, 200)).convert(mode).save(out, "JPEG", quality=90, optimize=optimize)
    data = out.getvalue()
    place = len(data) // 2
    holed = data[:place] + bytes(600) + data[place + 600 :]
    with pytest.raises(FormatError, match=r"a part of the JPEG file is zeros\); allow_damaged=True takes"):
        loaded(holed)
    picture = loaded(holed, allow_damaged=True)
    assert "zeros" in picture.losses[0] and picture.rgb.shape == (200, 300, 3)


def test_a_flat_jpeg_may_be_zeros_for_long() -> None:
    """With tables of its own a flat block is bits 0, so that a white page has thousands of bytes 0."""
    image = Image.new("L", (4000, 2000), "white")
    image.paste(Image.fromarray(natural(200, 200)).convert("L"))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, optimize=True)
    assert bytes(512) in out.getvalue() and not loaded(out.getvalue()).losses


@pytest.mark.parametrize("levels, quality, phase", [((150, 100), 85, 2), ((60, 200), 30, 2), ((120, 136), 50, 1)])
def test_stripes_of_a_progressive_jpeg_may_be_zeros_for_long(levels: tuple[int, int], quality: int, phase: int) -> None:
    """Their blocks have one coefficient each, whose symbol and sign are bits 0."""
    row = np.where((np.arange(1024) + phase) // 4 % 2, *levels).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.tile(row, (768, 1))).save(out, "JPEG", quality=quality, progressive=True)
    assert not loaded(out.getvalue()).losses


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}], ids=str)
@pytest.mark.parametrize("colour", ["white", "black", (90, 20, 200)])
def test_a_flat_jpeg_may_lack_its_end(colour: str | tuple[int, int, int], options: dict[str, bool]) -> None:
    out = io.BytesIO()
    Image.new("RGB", (2048, 1024), colour).save(out, "JPEG", quality=75, **options)
    assert loaded(out.getvalue()[:-2]).losses == ["the end of the JPEG file is missing; the picture is whole"]


def test_a_hole_is_seen_wherever_it_lies() -> None:
    """Scans are looked at a megabyte at a time."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    Image.fromarray(noise).save(out, "JPEG", quality=95)
    data = out.getvalue()
    place = data.rindex(b"\xff\xda") + 14 + jpeg.BLOCK - 300
    assert not jpeg.about(io.BytesIO(data)).hole
    assert jpeg.about(io.BytesIO(data[:place] + bytes(600) + data[place + 600 :])).hole


def test_a_progressive_jpeg_that_ends_between_two_scans_lacks_the_others() -> None:
    data = saved("JPEG", quality=90, progressive=True)
    places = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    assert len(places) > 3
    before = data.rfind(b"\xff\xc4", 0, places[-1])  # tables of the last scan
    with pytest.raises(FormatError, match="cut"):
        loaded(data[: before if before > places[-2] else places[-1]])


def start_of_frame(code: int, bits: int) -> bytes:
    """A JPEG of one gray component with this frame, and no more than the start of a scan."""
    frame = struct.pack(">BHHB3B", bits, 16, 16, 1, 1, 0x11, 0)
    head = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    head += b"\xff" + bytes([code]) + struct.pack(">H", 2 + len(frame)) + frame
    return head + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 40 + b"\xff\xd9"


@pytest.mark.parametrize(
    "code, bits, words", [(0xC1, 12, "12-bit JPEG"), (0xC3, 12, "12-bit lossless JPEG"), (0xC3, 16, "16-bit lossless"),
                          (0xC5, 8, "hierarchical JPEG"), (0xF7, 8, "LS JPEG"), (0xCB, 8, "lossless arithmetic-coded")],
)  # fmt: skip
def test_kinds_of_jpeg_that_are_not_read_are_named(code: int, bits: int, words: str) -> None:
    with pytest.raises(FormatError, match=f"^{words}.* not supported; save it"):
        loaded(start_of_frame(code, bits))


def test_an_arithmetic_jpeg_is_read_or_named() -> None:
    """By the build of Pillow."""
    try:
        assert loaded(start_of_frame(0xC9, 8)).rgb.shape == (16, 16, 3)
    except FormatError as error:
        assert "arithmetic-coded JPEG is not supported" in str(error)


def test_the_size_is_checked_before_a_jpeg_without_its_end_is_decoded() -> None:
    with pytest.raises(LimitError):
        loaded(saved("JPEG")[:-2], limit_pixels=5000)


# ---- other formats ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "PPM", "TGA"])
def test_what_there_is_of_other_formats(kind: str) -> None:
    data = saved(kind)
    cut = data[: len(data) // 2] if kind != "GIF" else data[: 800 + (len(data) - 800) // 2]
    with pytest.raises(FormatError, match="allow_damaged=True"):
        loaded(cut)
    picture = loaded(cut, allow_damaged=True)
    assert "damaged" in picture.losses[0]
    rows = {"BMP": slice(-20, None), "TGA": slice(-20, None), "GIF": slice(0, 1)}.get(kind, slice(0, 20))  # their order
    assert np.array_equal(picture.rgb[rows], loaded(data).rgb[rows])
    assert not loaded(data, allow_damaged=True).losses  # a whole file stays what it is


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_where_nothing_can_be_had_the_option_is_not_named(kind: str) -> None:
    data = saved(kind)[:200]
    for allowed in (False, True):
        with pytest.raises(FormatError) as caught:
            loaded(data, allow_damaged=allowed)
        assert "allow_damaged" not in str(caught.value)


def test_on_the_command_line_and_in_python(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(saved("JPEG", quality=90)[:-300])
    refused = run("encode", str(path))
    assert refused.exit_code == 1 and "--allow-damaged" in refused.stderr
    taken = run("encode", "--allow-damaged", str(path))
    assert taken.exit_code == 0 and "cut" in taken.stderr and path.with_suffix(".ltk").exists()
    assert run("batch", str(path), "-d", str(tmp_path / "out"), "-j", "1").exit_code == 1
    done = run("batch", "--allow-damaged", str(path), "-d", str(tmp_path / "more"), "-j", "1")
    assert done.exit_code == 0 and "cut" in done.stderr
    with pytest.warns(LossWarning, match="cut"):
        assert ltokc.decode(ltokc.encode(path, allow_damaged=True, effort=0)).size == (150, 90)
    with pytest.raises(FormatError):
        ltokc.encode(path)

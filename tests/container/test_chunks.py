"""Names, order, number and content of chunks, as the reader and the writer hold them."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ltokc.container import (
    ALPHA,
    COLOUR,
    EXIF,
    ICC,
    IPTC,
    MAX_CHUNKS,
    NOTE,
    PATCHES,
    RESOLUTION,
    TEXT,
    XMP,
    Chunk,
    Header,
    Ltk,
    Segment,
    bitstreams,
    most_chunks,
    patches,
    read,
    write,
)
from ltokc.container.chunks import resolution, text
from ltokc.errors import FormatError, LimitError
from ltokc.geometry import CellBox

ONE = Ltk(Header(6, 1, 64, 64), (Segment(0, False, b""),))
TWO = Ltk(Header(6, 1, 600, 40, 8), (Segment(0, False, b""),) * 2)
PICTURE = bitstreams.encode(bitstreams.VP8L, Image.new("RGB", (64, 40)))
DATA = {
    COLOUR: bytes(31), ALPHA: b"\0\x80", ICC: b"profile", EXIF: b"MM", XMP: b"<x/>", IPTC: b"\x1c\2",
    RESOLUTION: bytes.fromhex("00000b13 00000b13 01"), TEXT: b"parameters\0a cat", NOTE: b"{}", b"zzZz": b"?",
}  # fmt: skip


def patch(segment: int) -> Chunk:
    return Chunk(PATCHES, patches.spell(patches.Patch(segment, bitstreams.VP8L, 0, (CellBox(0, 0, 1, 1),), PICTURE)))


def chunks(*names: bytes) -> tuple[Chunk, ...]:
    """Chunks of the file TWO; those of patches count segments up."""
    out: list[Chunk] = []
    for name in names:
        before = sum(chunk.fourcc == PATCHES for chunk in out)
        out.append(patch(before) if name == PATCHES else Chunk(name, DATA[name]))
    return tuple(out)


def spelled(ltk: Ltk, *given: Chunk) -> bytes:
    """The file with these chunks, whatever rule they break."""
    filler = write(ltk.with_chunks(tuple(Chunk(b"zzZz", b"") for _ in given)))
    flags = 4 * any(chunk.fourcc == ALPHA for chunk in given)
    head = bytearray(filler[: len(filler) - 9 * len(given)])  # a chunk without data takes 9 bytes
    head[4] |= flags
    if ltk.header.segment_cells:
        end = len(head) - sum(1 + len(s.stream) + 4 for s in ltk.segments)
        head[end - 4 : end] = zlib.crc32(head[: end - 4]).to_bytes(4, "big")
    else:
        head[-4:] = zlib.crc32(head[:-4]).to_bytes(4, "big")
    return bytes(head) + b"".join(
        c.fourcc + bytes([len(c.data)]) + c.data + zlib.crc32(c.fourcc + c.data).to_bytes(4, "big") for c in given
    )


def refused(ltk: Ltk, *given: Chunk) -> str:
    """What the reader says; the writer refuses them too."""
    with pytest.raises(ValueError):
        write(ltk.with_chunks(given))
    for allow_truncated in (False, True):
        with pytest.raises(FormatError) as raised:
            read(spelled(ltk, *given), allow_truncated=allow_truncated)
    return str(raised.value)


# --- order and number ------------------------------------------------------------------------------------------------
def test_all_chunks_in_their_order() -> None:
    names = (COLOUR, PATCHES, PATCHES, ALPHA, TEXT, ICC, NOTE, TEXT, EXIF, XMP, IPTC, RESOLUTION)
    ltk = TWO.with_chunks(chunks(*names))
    assert read(write(ltk)) == ltk and write(ltk) == spelled(TWO, *ltk.chunks)


@pytest.mark.parametrize(
    "names",
    [(PATCHES, COLOUR), (ALPHA, COLOUR), (ALPHA, PATCHES), (NOTE, ALPHA), (TEXT, PATCHES), (EXIF, COLOUR),
     (PATCHES, ALPHA, PATCHES)],
)  # fmt: skip
def test_another_order_is_refused(names: tuple[bytes, ...]) -> None:
    assert "comes too late: cOLr, pTCH, ALPH, metadata is the order" in refused(TWO, *chunks(*names))


def test_unknown_chunks_come_anywhere() -> None:
    ltk = TWO.with_chunks(chunks(b"zzZz", COLOUR, b"zzZz", PATCHES, b"zzZz", ALPHA, b"zzZz", NOTE, b"zzZz"))
    assert read(write(ltk)) == ltk


@pytest.mark.parametrize("name", [COLOUR, ALPHA, ICC, EXIF, XMP, IPTC, RESOLUTION, NOTE])
def test_once_at_most(name: bytes) -> None:
    assert f"a second chunk {name.decode()}" in refused(TWO, *chunks(name, name))


def test_patches_of_one_segment_once_and_in_order() -> None:
    assert "twice or too late" in refused(TWO, patch(0), patch(0))
    assert "twice or too late" in refused(TWO, patch(1), patch(0))
    assert "but the file has 2" in refused(TWO, patch(2))


def test_more_chunks_the_more_segments() -> None:
    many = Ltk(Header(6, 1, 64 * 8 * 70, 9, 8), (Segment(0, False, b""),) * 70)
    assert most_chunks(1) == MAX_CHUNKS + 1 and most_chunks(70) == MAX_CHUNKS + 70
    text_of_many = tuple(Chunk(TEXT, b"k\0%d" % i) for i in range(most_chunks(70)))
    ltk = many.with_chunks(text_of_many)
    assert read(write(ltk)) == ltk  # a number of chunks of two bytes
    with pytest.raises(LimitError, match="135 chunks"):
        write(many.with_chunks((*text_of_many, text_of_many[0])))
    data = bytearray(write(ltk))
    at = data.index(b"\x81\x06")
    data[at + 1] = 7
    with pytest.raises(LimitError, match="135 chunks: 1 to 134"):
        read(bytes(data))


# --- content ---------------------------------------------------------------------------------------------------------
def test_resolution() -> None:
    assert resolution(DATA[RESOLUTION]) == (2835, 2835, True)
    assert resolution(bytes.fromhex("00000001 7fffffff 00")) == (1, 2**31 - 1, False)
    for wrong in ("00000b13 00000b13", "00000b13 00000b13 0100", "00000b13 00000b13 02", "00000000 00000b13 01",
                  "00000b13 80000000 01"):  # fmt: skip
        assert "resolution" in refused(ONE, Chunk(RESOLUTION, bytes.fromhex(wrong)))


def test_text() -> None:
    assert text("Größe\0übel\nzwei".encode()) == ("Größe", "übel\nzwei")
    assert text(b"k\0") == ("k", "") and text(("ü" * 79).encode() + b"\0x") == ("ü" * 79, "x")
    for wrong in (b"", b"no zero", b"\0no keyword", b"k" * 80 + b"\0", b"k\0a\0b", b"k\nk\0", b"k\x7f\0", b"k\0\xff",
                  b"\xc3\0", "k\x85\0".encode()):  # fmt: skip
        assert "text" in refused(ONE, Chunk(TEXT, wrong))


@given(st.binary(max_size=12))
def test_any_text(data: bytes) -> None:
    try:
        keyword, words = text(data)
        assert f"{keyword}\0{words}".encode() == data
    except FormatError as error:
        assert "\n" not in str(error)


def test_colour_grid_of_a_wrong_size() -> None:
    assert "colour grid" in refused(ONE, Chunk(COLOUR, bytes(3)))


def test_alpha_that_header_and_chunks_disagree_about() -> None:
    for ltk in (Ltk(Header(6, 1, 64, 64, alpha=True), ONE.segments), Ltk(ONE.header, ONE.segments, chunks(ALPHA))):
        with pytest.raises(ValueError, match="disagree about alpha"):
            write(ltk)


def test_gray_is_said_by_the_header_alone() -> None:
    gray = Ltk(Header(6, 1, 64, 64, gray=True), ONE.segments)
    assert read(write(gray)) == gray and len(write(gray)) == len(write(ONE)) and write(gray)[4] == 0x18


def test_a_cut_loses_metadata_first() -> None:
    ltk = TWO.with_chunks(chunks(COLOUR, PATCHES, ALPHA, NOTE, TEXT))
    data = write(ltk)
    found = [read(data[:length], allow_truncated=True).chunks for length in range(40, len(data))]
    assert all(got == ltk.chunks[: len(got)] for got in found)
    assert {len(got) for got in found} == {0, 1, 2, 3, 4}

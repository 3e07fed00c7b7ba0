"""The container: round trips, every cut, every single-byte change, limits, hostile bytes."""

from __future__ import annotations

import dataclasses
import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ltokc.container import (
    ALPHA,
    EXIF,
    ICC,
    MAGIC,
    MAX_CELL_TOKENS,
    MAX_CHUNKS,
    Chunk,
    Header,
    Ltk,
    Segment,
    read,
    read_header,
    segment_boxes,
    write,
)
from ltokc.errors import FormatError, LimitError, UsageError


def file(
    model_id: int, weights_hash: int, width: int, height: int, segments: tuple[Segment, ...], segment_cells: int = 0,
    chunks: tuple[Chunk, ...] = (), gray: bool = False,
) -> Ltk:  # fmt: skip
    return Ltk(Header(model_id, weights_hash, width, height, segment_cells, gray), segments).with_chunks(chunks)


def changed(ltk: Ltk, **fields: Any) -> Ltk:
    """Another header, segments or chunks; the header's word of alpha follows the chunks."""
    of_ltk = {name: fields.pop(name) for name in ("segments", "chunks", "truncated") if name in fields}
    other = dataclasses.replace(ltk, **of_ltk)
    return dataclasses.replace(other.with_chunks(other.chunks), header=dataclasses.replace(other.header, **fields))


SMALL = file(1, 0xBEEF, 300, 200, (Segment(377, True, b"the stream"),))
WITH_CHUNKS = SMALL.with_chunks((Chunk(ALPHA, b"alpha"), Chunk(b"eXIf", b""), Chunk(b"zzZz", b"private")))
SEGMENTED = file(
    300,
    7,
    1100,
    520,
    tuple(Segment(i * 100, i % 2 == 0, b"stream %d" % i * (i + 1)) for i in range(6)),
    segment_cells=8,
)
EVERYTHING = SEGMENTED.with_chunks(WITH_CHUNKS.chunks)
RECORDS = {"small": SMALL, "chunks": WITH_CHUNKS, "segments": SEGMENTED, "everything": EVERYTHING}
all_records = pytest.mark.parametrize("ltk", RECORDS.values(), ids=RECORDS)


def seal(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "big")


def read_or_none(data: bytes, **options: bool) -> Ltk | None:
    """None for a refused file; any other exception is the test's failure."""
    try:
        return read(data, **options)
    except (FormatError, LimitError) as error:
        assert "\n" not in str(error) and str(error)
        return None


streams = st.binary(max_size=40)
letters = st.sampled_from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
ancillary = st.tuples(st.sampled_from(b"abcxyz"), letters, letters, letters).map(bytes)
names = st.sampled_from([ALPHA, ICC, EXIF, b"xMPt", b"nOTE"]) | ancillary


@st.composite
def records(draw: st.DrawFn) -> Ltk:
    """Any record that can be written."""
    side = draw(st.sampled_from([0, 0, 8, 16, 32]))
    sides = st.integers(1, 3000) if side else st.integers(1, 2048) | st.sampled_from([1, 64, 65, 128, 129])
    width, height = draw(sides), draw(sides)
    segments = []
    for _, _, columns, rows in segment_boxes(width, height, side):
        tokens = draw(st.integers(0, columns * rows * MAX_CELL_TOKENS) | st.integers(0, 300))
        segments.append(Segment(min(tokens, columns * rows * MAX_CELL_TOKENS), draw(st.booleans()), draw(streams)))
    chunks = draw(st.lists(st.builds(Chunk, names, streams), max_size=4, unique_by=lambda chunk: chunk.fourcc))
    chunks.sort(key=lambda chunk: chunk.fourcc != ALPHA)  # metadata come last
    model_id = draw(st.integers(0, 2**28 - 1) | st.integers(0, 200))
    return file(
        model_id, draw(st.integers(0, 65535)), width, height, tuple(segments), side, tuple(chunks), draw(st.booleans())
    )


# --- round trips -----------------------------------------------------------------------------------------------------


@given(records())
@settings(max_examples=70, deadline=None)
def test_round_trip(ltk: Ltk) -> None:
    data = write(ltk)
    assert read(data, limit_pixels=None) == ltk
    assert read(data, limit_pixels=None, allow_truncated=True) == ltk
    header = read_header(data)
    assert header == Header(
        ltk.model_id,
        ltk.weights_hash,
        ltk.width,
        ltk.height,
        ltk.segment_cells,
        ltk.header.gray,
        any(chunk.fourcc == ALPHA for chunk in ltk.chunks),
    )


@pytest.mark.parametrize(
    ("ltk", "expected"),
    [
        (file(1, 0xABCD, 1, 1, (Segment(0, False, b""),)), "894c544b 10 01 abcd 00 00 00 97b6442e"),
        (
            file(1, 0xABCD, 300, 200, (Segment(377, True, b"LTK"),)),
            "894c544b 10 01 abcd 822b 8147 8573 4c544b 77044d78",
        ),
        (
            file(200, 1, 300, 200, (Segment(1, False, b"s"),), chunks=(Chunk(b"nOTE", b"hi"),)),
            "894c544b 11 8148 0001 822b 8147 01 02 02 73 db773b24 6e4f5445 02 6869 f2ebef9c",
        ),
        (
            file(1, 0xABCD, 513, 1, (Segment(1, False, b"s"), Segment(64, True, b"")), segment_cells=8),
            "894c544b 12 01 abcd 8400 00 03 02 02 242f15d3 02 73 bae350fb 8101 14468b63",
        ),
    ],
)
def test_worked_bytes(ltk: Ltk, expected: str) -> None:
    """The bytes of the worked examples in formats/LTK.md; these files must be readable for ever."""
    data = bytes.fromhex(expected)
    assert write(ltk).hex(" ") == data.hex(" ")
    assert read(data) == ltk


def test_the_specification_shows_files_that_can_be_read() -> None:
    text = (Path(__file__).parents[2] / "formats" / "LTK.md").read_text(encoding="utf-8")
    examples = re.findall(r"^    (89 4C 54 4B \|.*)$", text, re.MULTILINE)
    assert len(examples) == 4
    for example_text in examples:
        data = bytes.fromhex(re.sub("[|·]", "", example_text))
        assert write(read(data)) == data


def test_overhead_of_a_small_picture() -> None:
    assert len(write(file(3, 1, 768, 512, (Segment(500, False, b"x" * 200),)))) == 200 + 18


@all_records
def test_bytes_of_any_kind(ltk: Ltk) -> None:
    data = write(ltk)
    assert read(bytearray(data)) == read(memoryview(data)) == ltk


# --- cuts ------------------------------------------------------------------------------------------------------------


@all_records
def test_every_cut(ltk: Ltk) -> None:
    data = write(ltk)
    header_length = next(n for n in range(len(data)) if read_or_none(data[:n], allow_truncated=True))
    count = 0
    for length in range(len(data)):
        cut = data[:length]
        with pytest.raises(FormatError):
            read(cut)
        if length < header_length:
            with pytest.raises(FormatError):
                read(cut, allow_truncated=True)
            continue
        got = read(cut, allow_truncated=True)
        assert got.truncated
        assert dataclasses.replace(got, segments=ltk.segments, chunks=ltk.chunks, truncated=False, lost=b"") == ltk
        assert got.lost in (b"", *(chunk.fourcc for chunk in ltk.chunks[len(got.chunks) :][:1]))
        assert ltk.chunks[: len(got.chunks)] == got.chunks
        present = 0
        for whole, part in zip(ltk.segments, got.segments, strict=True):
            assert (part.tokens, part.depth_map) in [(whole.tokens, whole.depth_map), (0, False)]
            if ltk.segment_cells or ltk.chunks:
                assert whole.stream.startswith(part.stream)
            else:  # the beginning of the checksum may be taken for stream
                assert (whole.stream + data[-4:]).startswith(part.stream)
            present += len(part.stream) + 100 * bool(part.tokens)
        assert present >= count
        count = present
    assert read(data, allow_truncated=True) == ltk


@given(records(), st.data())
@settings(max_examples=70, deadline=None)
def test_any_cut_of_any_record(ltk: Ltk, data: st.DataObject) -> None:
    whole = write(ltk)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert read_or_none(cut) is None
    got = read_or_none(cut, allow_truncated=True)
    assert got is None or (got.truncated and len(got.segments) == len(ltk.segments))


def test_a_segment_that_is_missing_altogether() -> None:
    got = read(write(SEGMENTED)[:60], allow_truncated=True)
    assert got.segments[0] == SEGMENTED.segments[0]
    assert got.segments[-1] == Segment(0, False, b"")


def test_cut_between_chunks_is_noticed() -> None:
    data = write(WITH_CHUNKS)
    last = Chunk(b"zzZz", b"private")
    cut = data[: -(4 + 1 + len(last.data) + 4)]
    with pytest.raises(FormatError, match="cut"):
        read(cut)
    assert read(cut, allow_truncated=True).chunks == WITH_CHUNKS.chunks[:2]


# --- damage ----------------------------------------------------------------------------------------------------------


@all_records
@pytest.mark.parametrize("change", [0x01, 0x20, 0x80, 0xFF])
def test_every_changed_byte_is_noticed(ltk: Ltk, change: int) -> None:
    data = write(ltk)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= change
        assert read_or_none(bytes(damaged)) is None, position


@pytest.mark.parametrize("ltk", [WITH_CHUNKS, SEGMENTED, EVERYTHING])
def test_damage_is_not_truncation(ltk: Ltk) -> None:
    """A whole file with a wrong byte in a payload stays an error when truncation is allowed."""
    data = write(ltk)
    position = data.index(ltk.segments[0].stream)
    damaged = data[:position] + b"?" + data[position + 1 :]
    with pytest.raises(FormatError, match="damaged"):
        read(damaged, allow_truncated=True)
    cut_behind = damaged[: position + len(ltk.segments[0].stream) + 2]  # half the checksum is enough to see it
    with pytest.raises(FormatError, match="damaged"):
        read(cut_behind, allow_truncated=True)


def test_the_simplest_layout_takes_damage_for_truncation() -> None:
    data = bytearray(write(SMALL))
    data[-6] ^= 1
    got = read(bytes(data), allow_truncated=True)
    assert got.truncated and got.segments[0].stream == data[-14:]


@all_records
def test_bytes_behind_the_end(ltk: Ltk) -> None:
    """Never read, and told from a file that was cut, whatever follows."""
    data = write(ltk)
    for follow, told in (
        (b"\n", "a byte follows"),
        (bytes(200), "200 bytes follow"),
        (data, f"{len(data)} bytes follow"),
    ):
        for allow_truncated in (False, True):
            with pytest.raises(
                FormatError, match=f"{told} the end of the file's contents, which are {len(data)} bytes"
            ):
                read(data + follow, allow_truncated=allow_truncated)


# --- hostile files ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=80), st.integers(0, 15), st.booleans())
@example(b"", 0, False)
@settings(max_examples=120, deadline=None)
def test_arbitrary_bytes(body: bytes, flags: int, sealed: bool) -> None:
    """Whatever is accepted has one spelling: writing it again gives the same bytes."""
    for data in (body, MAGIC + body, MAGIC + bytes([0x10 | flags]) + body):
        data = seal(data) if sealed else data
        got = read_or_none(data)
        assert got is None or write(got) == data
        cut = read_or_none(data, allow_truncated=True)
        assert got is None or cut == got


@given(st.sampled_from(list(RECORDS.values())), st.data())
@settings(max_examples=120, deadline=None)
def test_edits_behind_a_right_checksum(ltk: Ltk, draw: st.DataObject) -> None:
    """Edits with the last checksum made right again get past it where it covers the whole file."""
    data = bytearray(write(ltk)[:-4])
    for _ in range(draw.draw(st.integers(1, 3))):
        start = draw.draw(st.integers(4, len(data)))
        end = draw.draw(st.integers(start, min(len(data), start + 3)))
        data[start:end] = draw.draw(st.binary(max_size=4))
    for allow_truncated in (False, True):
        got = read_or_none(seal(bytes(data)), allow_truncated=allow_truncated)
        assert got is None or got.truncated or write(got) == seal(bytes(data))


HEAD = MAGIC + b"\x10\x01\xab\xcd"
MALFORMED = {
    "empty": (b"", "empty"),
    "png": (b"\x89PNG\r\n\x1a\n", "not an .ltk file"),
    "text": (b"hello", "not an .ltk file"),
    "half-magic": (MAGIC[:3], "not an .ltk file"),
    "magic-only": (MAGIC, "cut inside the header"),
    "version-2": (seal(MAGIC + b"\x20\x01\xab\xcd\x00\x00\x00"), "version 2"),
    "version-0": (seal(MAGIC + b"\x00\x01\xab\xcd\x00\x00\x00"), "version 0"),
    "alpha-without-chunks": (seal(MAGIC + b"\x14\x01\xab\xcd\x00\x00\x00"), "alpha"),
    "long-varint": (seal(HEAD + b"\x80\x05\x00\x00"), "the width"),
    "endless-varint": (seal(HEAD + b"\xff" * 30), "the width"),
    "huge-model-id": (seal(MAGIC + b"\x10\x81\x80\x80\x80\x00\xab\xcd\x00\x00\x00"), "model id"),
    "no-payload": (seal(HEAD + b"\x00\x00"), "number of tokens"),
    "too-many-tokens": (seal(HEAD + b"\x00\x00\x81\x80\x80\x00"), "tokens"),
    "zero-chunks": (seal(MAGIC + b"\x11\x01\xab\xcd\x00\x00\x00\x01\x00"), "0 chunks"),
    "66-chunks": (seal(MAGIC + b"\x11\x01\xab\xcd\x00\x00\x42\x01\x00"), "66 chunks: 1 to 65"),
    "segment-side-2": (seal(MAGIC + b"\x12\x01\xab\xcd\x00\x00\x02\x01"), "2\\*\\*2"),
    "segment-side-9": (seal(MAGIC + b"\x12\x01\xab\xcd\x00\x00\x09\x01"), "2\\*\\*9"),
    "empty-segment": (seal(MAGIC + b"\x12\x01\xab\xcd\x00\x00\x03\x00") + seal(b""), "no bytes"),
    "table-checksum": (MAGIC + b"\x12\x01\xab\xcd\x00\x00\x03\x01\x00\x00\x00\x00" + seal(b"\x00"), "table"),
    "missing-table": (seal(MAGIC + b"\x12\x01\xab\xcd\x81\x00\x83\xff\x7e\x03\x01"), "cut|not a number"),
}


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises((FormatError, LimitError), match=message):
        read(data)


def chunked(*chunks: tuple[bytes, bytes], flags: int = 1) -> bytes:
    head = seal(MAGIC + bytes([0x10 | flags]) + b"\x01\xab\xcd\x00\x00" + bytes([len(chunks), 1, 0]))
    return head + b"".join(
        name + bytes([len(data)]) + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (chunked((b"QQQQ", b"")), "QQQQ is unknown"),
        (chunked((b"a\xe9bc", b"")), "name of a chunk"),
        (chunked((b"a1bc", b"")), "name of a chunk"),
        (chunked((b"eXIf", b"1"), (b"eXIf", b"2")), "second chunk eXIf"),
        (chunked((ALPHA, b"1")), "disagree about alpha"),
        (chunked((b"eXIf", b"1"), flags=5), "disagree about alpha"),
    ],
)
def test_malformed_chunks(data: bytes, message: str) -> None:
    for allow_truncated in (False, True):
        with pytest.raises(FormatError, match=message):
            read(data, allow_truncated=allow_truncated)


def test_unknown_ancillary_chunks_are_kept() -> None:
    chunks = (Chunk(b"qqqq", b"1"), Chunk(b"qqqq", b"2"))
    assert read(chunked((b"qqqq", b"1"), (b"qqqq", b"2"))).chunks == chunks


def test_a_chunk_larger_than_the_limit() -> None:
    head = seal(MAGIC + b"\x11\x01\xab\xcd\x00\x00\x01\x01\x00")
    with pytest.raises(LimitError, match="64 MiB"):
        read(head + b"eXIf\xa0\x80\x80\x01")


# --- limits ----------------------------------------------------------------------------------------------------------


def test_limit_of_pixels() -> None:
    data = write(file(1, 1, 20000, 20000, (Segment(0, False, b""),) * 100, segment_cells=32))
    with pytest.raises(LimitError, match="limit_pixels"):
        read(data)
    assert read(data, limit_pixels=None).width == read(data, limit_pixels=400_000_000).width == 20000
    with pytest.raises(LimitError):
        read(write(SMALL), limit_pixels=300 * 200 - 1)
    assert read(write(SMALL), limit_pixels=300 * 200) == SMALL


def test_limit_of_one_segment() -> None:
    largest = file(1, 1, 2048, 2048, (Segment(0, False, b""),))
    assert read(write(largest)) == largest
    with pytest.raises(LimitError, match="one segment"):
        write(changed(largest, width=2049))
    header = write(largest)[:-5].replace(b"\x8f\x7f\x8f\x7f", b"\x90\x00\x8f\x7f")
    with pytest.raises(LimitError, match="one segment"):
        read(seal(header + b"\0"))


def test_limit_of_sides() -> None:
    largest = file(1, 1, 65535, 1, (Segment(0, False, b""),))
    assert read(write(largest)) == largest
    with pytest.raises(LimitError, match="65535"):
        write(changed(largest, width=65536))
    with pytest.raises(LimitError, match="65536x1"):
        read(seal(HEAD + b"\x83\xff\x7f\x00\x00"))


def test_limit_of_tokens() -> None:
    most = 4 * MAX_CELL_TOKENS
    assert read(write(file(1, 1, 65, 65, (Segment(most, True, b""),)))).segments[0].tokens == most
    with pytest.raises(LimitError, match="tokens"):
        write(file(1, 1, 65, 65, (Segment(most + 1, True, b""),)))


def test_a_short_file_cannot_ask_for_much() -> None:
    """The largest picture in the smallest segments: refused for want of its table, without work or memory."""
    data = seal(MAGIC + b"\x12\x01\xab\xcd\x83\xff\x7e\x83\xff\x7e\x03" + b"\x01" * 10)
    tracemalloc.start()
    with pytest.raises(FormatError):
        read(data, limit_pixels=None, allow_truncated=True)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_read_header_needs_no_more_than_the_header() -> None:
    data = write(EVERYTHING)
    assert read_header(data) == read_header(data[:15])
    for length in range(15):
        with pytest.raises(FormatError):
            read_header(data[:length])


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"truncated": True},
        {"model_id": -1},
        {"model_id": 1 << 28},
        {"weights_hash": 1 << 16},
        {"width": 0},
        {"segment_cells": 5},
        {"segment_cells": 4},
        {"segments": ()},
        {"segments": (Segment(-1, False, b""),)},
        {"chunks": (Chunk(b"QQQQ", b""),)},
        {"chunks": (Chunk(b"abc", b""),)},
        {"chunks": (Chunk(ICC, b""), Chunk(ICC, b""))},
    ],
)
def test_records_without_sense_are_not_written(changes: dict) -> None:
    with pytest.raises(ValueError):
        write(changed(SMALL, **changes))


def test_too_many_chunks_are_not_written() -> None:
    chunks = tuple(Chunk(b"qqqq", b"") for _ in range(MAX_CHUNKS + 2))
    with pytest.raises(LimitError):
        write(changed(SMALL, chunks=chunks))
    fits = changed(SMALL, chunks=chunks[1:])
    assert read(write(fits)) == fits


@pytest.mark.parametrize(
    ("width", "height", "cells", "expected"),
    [
        (1, 1, 0, [(0, 0, 1, 1)]),
        (768, 512, 0, [(0, 0, 12, 8)]),
        (768, 512, 8, [(0, 0, 8, 8), (8, 0, 4, 8)]),
        (513, 1025, 8, [(0, 0, 8, 8), (8, 0, 1, 8), (0, 8, 8, 8), (8, 8, 1, 8), (0, 16, 8, 1), (8, 16, 1, 1)]),
    ],
)
def test_segment_boxes(width: int, height: int, cells: int, expected: list) -> None:
    assert segment_boxes(width, height, cells) == expected


def test_segment_boxes_cover_every_cell_once() -> None:
    for width, height, side in [(3000, 700, 8), (64, 64, 256), (1024, 1024, 16), (1, 9000, 8)]:
        cells = [
            (x, y)
            for left, top, columns, rows in segment_boxes(width, height, side)
            for y in range(top, top + rows)
            for x in range(left, left + columns)
        ]
        assert sorted(cells) == sorted((x, y) for x in range(-(-width // 64)) for y in range(-(-height // 64)))


@pytest.mark.parametrize("data", ["photo.ltk", Path("photo.ltk"), 5, None])
@pytest.mark.parametrize("reader", [read, read_header])
def test_what_is_no_bytes_is_said(reader: Callable[..., object], data: object) -> None:
    with pytest.raises(UsageError, match=f"not {type(data).__name__}: "):
        reader(data)

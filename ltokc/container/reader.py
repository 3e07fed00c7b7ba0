"""The bytes of a file to its record, with checksums and limits.  Specification: `formats/LTK.md`, "Container".

Knows nothing of networks or of the range coder: a segment's stream is bytes here.  Nothing is allocated by a number in
the file that the file's own length does not cover.
"""

from __future__ import annotations

import zlib
from collections.abc import Container

from ltokc.container.chunks import ChunkRules, most_chunks
from ltokc.container.numbers import Cursor, Cut, crc32
from ltokc.container.records import (
    ALPHA,
    DEFAULT_LIMIT_PIXELS,
    FLAG_ALPHA,
    FLAG_EXT,
    FLAG_GRAY,
    FLAG_SEG,
    MAGIC,
    MAX_MODEL_ID,
    MAX_SEGMENT_LOG2,
    MIN_SEGMENT_LOG2,
    VERSION,
    Chunk,
    Data,
    Header,
    Ltk,
    Segment,
    check_one_segment,
    check_pixels,
    check_sides,
    check_tokens,
    segment_count,
)
from ltokc.errors import FormatError, LimitError, TruncatedError, UsageError
from ltokc.geometry import segment_boxes

END_SOUGHT = 1 << 22  # bytes of a file in which the end of its contents is looked for, to tell why it is refused


def read(
    data: Data, *, allow_truncated: bool = False, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    only: Container[int] | None = None,
) -> Ltk:  # fmt: skip
    """The record of a file.

    only: numbers of the segments that the caller will use: damage in others goes unnoticed; None: all.
    allow_truncated: a file cut behind its header is read as far as it goes (`truncated`); damage remains an error,
    except in the simplest layout (one segment, no chunks): there the two look alike, all that is left counts as stream.
    limit_pixels: the most width * height may be; None for no limit.
    Raises FormatError or LimitError, nothing else; UsageError for a limit that is no number or data that is no bytes.
    """
    cursor = Cursor(_bytes_of(data))
    header, chunk_count = _read_header(cursor)
    check_pixels(header.width, header.height, limit_pixels)
    boxes = segment_boxes(header.width, header.height, header.segment_cells)
    if header.segment_cells or chunk_count:
        payloads = _read_payloads(cursor, header, len(boxes), allow_truncated, only)
    else:
        payloads = [_read_only_payload(cursor, allow_truncated)]
    segments = tuple(
        _parse_segment(payload, columns * rows, whole)
        for (payload, whole), (_, _, columns, rows) in zip(payloads, boxes, strict=True)
    )
    whole = all(whole for _, whole in payloads)
    chunks: tuple[Chunk, ...] = ()
    lost: bytes | None = None
    if whole:
        chunks, lost = _read_chunks(cursor, header, chunk_count, allow_truncated)
    if cursor.left:
        raise _bytes_follow(cursor.position, len(data))
    return Ltk(header, segments, chunks, not whole or lost is not None, lost or b"")


def read_header(data: Data) -> Header:
    """The header alone, with neither checksums nor the limit of pixels applied.  Raises as `read` does."""
    return _read_header(Cursor(_bytes_of(data, 64)))[0]


def _bytes_of(data: Data, most: int | None = None) -> bytes:
    """The first bytes of a file.  A path, which is what a caller gives by mistake, raises UsageError."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UsageError(f"the bytes of a .ltk file are needed, not {type(data).__name__}: Path(...).read_bytes()")
    return bytes(data[:most])


def _read_header(cursor: Cursor) -> tuple[Header, int]:
    """The header, up to the lengths of payloads, and the number of chunks."""
    if not cursor.data:
        raise FormatError("the file is empty")
    if not cursor.data.startswith(MAGIC):
        raise FormatError("not an .ltk file")
    cursor.position = len(MAGIC)
    what = "the header"
    first = cursor.take(1, what)[0]
    version, flags = first >> 4, first & 15
    if version != VERSION:
        raise FormatError(f"format version {version} is unknown to this program, which reads version {VERSION}")
    if flags & FLAG_ALPHA and not flags & FLAG_EXT:
        raise FormatError("flags of the header contradict each other: alpha, but no chunks")
    model_id = cursor.varint("the model id")
    if model_id > MAX_MODEL_ID:
        raise LimitError(f"model id {model_id} is above {MAX_MODEL_ID}")
    weights_hash = int.from_bytes(cursor.take(2, what), "big")
    width, height = cursor.varint("the width") + 1, cursor.varint("the height") + 1
    check_sides(width, height)
    chunk_count = cursor.varint("the number of chunks") if flags & FLAG_EXT else 0
    segment_cells = 0
    if flags & FLAG_SEG:
        side_log2 = cursor.take(1, what)[0]
        if not MIN_SEGMENT_LOG2 <= side_log2 <= MAX_SEGMENT_LOG2:
            raise FormatError(f"segments of 2**{side_log2} cells a side")
        segment_cells = 1 << side_log2
    else:
        check_one_segment(width, height)
    gray, alpha = bool(flags & FLAG_GRAY), bool(flags & FLAG_ALPHA)
    header = Header(model_id, weights_hash, width, height, segment_cells, gray, alpha)
    most = most_chunks(segment_count(header))
    if flags & FLAG_EXT and not 1 <= chunk_count <= most:
        raise LimitError(f"{chunk_count} chunks: 1 to {most} are allowed")
    return header, chunk_count


def _read_only_payload(cursor: Cursor, allow_truncated: bool) -> tuple[bytes, bool]:
    """What lies between the header and the checksum at the very end; with a wrong checksum, all that is there."""
    data, start = cursor.data, cursor.position
    cursor.position = len(data)
    if len(data) - start >= 4 and crc32(data[:-4]) == data[-4:]:
        return data[start:-4], True
    if end := _end_of_contents(data, start):
        raise _bytes_follow(end, len(data))
    if not allow_truncated:
        raise TruncatedError("the file is cut or damaged: its checksum does not match")
    return data[start:], False


def _end_of_contents(data: bytes, start: int) -> int:
    """Where a file of one payload, which begins at `start`, ends by its checksum, before the end of `data`; else 0."""
    crc = zlib.crc32(data[:start])
    for at in range(start, min(len(data) - 4, END_SOUGHT)):
        crc = zlib.crc32(data[at : at + 1], crc)
        if data[at + 1 : at + 5] == crc.to_bytes(4, "big"):
            return at + 5
    return 0


def _bytes_follow(end: int, length: int) -> FormatError:
    count = f"{length - end} bytes follow" if length - end > 1 else "a byte follows"
    return FormatError(f"{count} the end of the file's contents, which are {end} bytes")


def _read_payloads(
    cursor: Cursor, header: Header, count: int, allow_truncated: bool, only: Container[int] | None
) -> list[tuple[bytes, bool]]:
    """Every payload, as far as it is there, and whether it is whole."""
    lengths = [cursor.varint("the length of a segment") for _ in range(count)]
    if 0 in lengths:
        raise FormatError("a segment of no bytes")
    crc = zlib.crc32(cursor.data[: cursor.position])
    if header.segment_cells:
        what = "the table of segments"
        if cursor.left < 4:
            raise Cut(f"the file is cut inside {what}")
        cursor.sealed(0, crc, what, allow_truncated=False)
        crc = 0
    return [
        cursor.sealed(length, crc, f"segment {i}", allow_truncated, only is None or i in only)
        for i, length in enumerate(lengths)
    ]


def _parse_segment(payload: bytes, cells: int, whole: bool) -> Segment:
    cursor = Cursor(payload)
    try:
        number = cursor.varint("the number of tokens")
    except Cut:
        if whole:
            raise
        return Segment(0, False, b"")
    check_tokens(number >> 1, cells)
    return Segment(number >> 1, bool(number & 1), payload[cursor.position :])


def _read_chunks(
    cursor: Cursor, header: Header, count: int, allow_truncated: bool
) -> tuple[tuple[Chunk, ...], bytes | None]:
    """The chunks; and, where one is incomplete and left out, its name as far as it is known, else None."""
    chunks: list[Chunk] = []
    rules = ChunkRules(header)
    for _ in range(count):
        fourcc = b""
        try:
            fourcc = cursor.take(4, "the name of a chunk")
            rules.name(fourcc)
            length = cursor.varint("the length of a chunk")
        except Cut as error:
            if not allow_truncated:
                raise TruncatedError(str(error)) from None
            cursor.position = len(cursor.data)
            return tuple(chunks), fourcc
        rules.length(length)
        body, whole = cursor.sealed(length, zlib.crc32(fourcc), f"chunk {fourcc.decode()}", allow_truncated)
        if not whole:
            return tuple(chunks), fourcc
        chunks.append(Chunk(fourcc, body))
        rules.data(chunks[-1])
    if header.alpha != (ALPHA in rules.seen):
        raise FormatError("the header and the chunks disagree about alpha")
    return tuple(chunks), None

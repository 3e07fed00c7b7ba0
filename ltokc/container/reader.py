"""The bytes of a file to its record, with checksums and limits.  Specification: `formats/LTK.md`, "Container".

Knows nothing of networks or of the range coder: a segment's stream is bytes here.  Nothing is allocated by a number in
the file that the file's own length does not cover.
"""

from __future__ import annotations

import zlib
from collections.abc import Container

from ltokc.container.records import (
    ALPHA,
    DEFAULT_LIMIT_PIXELS,
    FLAG_ALPHA,
    FLAG_EXT,
    FLAG_RESERVED,
    FLAG_SEG,
    MAGIC,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MAX_MODEL_ID,
    MAX_SEGMENT_LOG2,
    MAX_VARINT_BYTES,
    MIN_SEGMENT_LOG2,
    VERSION,
    Chunk,
    Header,
    Ltk,
    Segment,
    check_chunk_name,
    check_one_segment,
    check_pixels,
    check_sides,
    check_tokens,
    crc32,
)
from ltokc.errors import FormatError, LimitError
from ltokc.geometry import segment_boxes


def read(
    data: bytes, *, allow_truncated: bool = False, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    only: Container[int] | None = None,
) -> Ltk:  # fmt: skip
    """The record of a file.

    only: numbers of the segments that the caller will use: damage in others goes unnoticed; None: all.
    allow_truncated: a file cut behind its header is read as far as it goes (`truncated`); damage remains an error,
    except in the simplest layout (one segment, no chunks): there the two look alike, all that is left counts as stream.
    limit_pixels: the most width * height may be; None for no limit.
    Raises FormatError or LimitError, nothing else; UsageError for a limit that is no number.
    """
    cursor = _Cursor(bytes(data))
    header = _read_header(cursor)
    check_pixels(header.width, header.height, limit_pixels)
    boxes = segment_boxes(header.width, header.height, header.segment_cells)
    if header.segment_cells or header.chunk_count:
        payloads = _read_payloads(cursor, header, len(boxes), allow_truncated, only)
    else:
        payloads = [_read_only_payload(cursor, allow_truncated)]
    segments = tuple(
        _parse_segment(payload, columns * rows, whole)
        for (payload, whole), (_, _, columns, rows) in zip(payloads, boxes, strict=True)
    )
    whole = all(whole for _, whole in payloads)
    chunks: tuple[Chunk, ...] = ()
    if whole:
        chunks, whole = _read_chunks(cursor, header, allow_truncated)
    if cursor.left:
        raise FormatError(f"{cursor.left} bytes after the end of the file's contents")
    return Ltk(
        header.model_id,
        header.weights_hash,
        header.width,
        header.height,
        segments,
        header.segment_cells,
        chunks,
        not whole,
    )


def read_header(data: bytes) -> Header:
    """The header alone, with neither checksums nor the limit of pixels applied.  Raises FormatError or LimitError."""
    return _read_header(_Cursor(bytes(data[:64])))


class _Cut(FormatError):
    """The file ended inside something."""


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, length: int, what: str) -> bytes:
        if length > self.left:
            raise _Cut(f"the file is cut inside {what}")
        self.position += length
        return self.data[self.position - length : self.position]

    def varint(self, what: str) -> int:
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.take(1, what)[0]
            if index == 0 and byte == 0x80:
                break
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise FormatError(f"{what} is not a number in its shortest form")

    def sealed(
        self, length: int, crc: int, what: str, allow_truncated: bool, check: bool = True
    ) -> tuple[bytes, bool]:
        """`length` bytes, then their CRC-32 (continued from `crc`): the bytes that are there, whether all are."""
        body = self.data[self.position : self.position + length]
        self.position += len(body)
        seal = self.data[self.position : self.position + 4]
        self.position += len(seal)
        if len(seal) < 4 and not allow_truncated:
            raise _Cut(f"the file is cut inside {what}")
        if check and len(body) == length and not crc32(body, crc).startswith(seal):
            raise FormatError(f"{what} is damaged: its checksum does not match")
        return body, len(seal) == 4


def _read_header(cursor: _Cursor) -> Header:
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
    if flags & FLAG_RESERVED:
        raise FormatError(f"unknown flag {FLAG_RESERVED} in the header: written by a later version")
    if flags & FLAG_ALPHA and not flags & FLAG_EXT:
        raise FormatError("flags of the header contradict each other: alpha, but no chunks")
    model_id = cursor.varint("the model id")
    if model_id > MAX_MODEL_ID:
        raise LimitError(f"model id {model_id} is above {MAX_MODEL_ID}")
    weights_hash = int.from_bytes(cursor.take(2, what), "big")
    width, height = cursor.varint("the width") + 1, cursor.varint("the height") + 1
    check_sides(width, height)
    chunk_count = cursor.take(1, what)[0] if flags & FLAG_EXT else 0
    if flags & FLAG_EXT and not 1 <= chunk_count <= MAX_CHUNKS:
        raise LimitError(f"{chunk_count} chunks: 1 to {MAX_CHUNKS} are allowed")
    segment_cells = 0
    if flags & FLAG_SEG:
        side_log2 = cursor.take(1, what)[0]
        if not MIN_SEGMENT_LOG2 <= side_log2 <= MAX_SEGMENT_LOG2:
            raise FormatError(f"segments of 2**{side_log2} cells a side")
        segment_cells = 1 << side_log2
    else:
        check_one_segment(width, height)
    return Header(model_id, weights_hash, width, height, segment_cells, chunk_count, bool(flags & FLAG_ALPHA))


def _read_only_payload(cursor: _Cursor, allow_truncated: bool) -> tuple[bytes, bool]:
    """What lies between the header and the checksum at the very end; with a wrong checksum, all that is there."""
    data, start = cursor.data, cursor.position
    cursor.position = len(data)
    if len(data) - start >= 4 and crc32(data[:-4]) == data[-4:]:
        return data[start:-4], True
    if not allow_truncated:
        raise FormatError("the file is cut or damaged: its checksum does not match")
    return data[start:], False


def _read_payloads(
    cursor: _Cursor, header: Header, count: int, allow_truncated: bool, only: Container[int] | None
) -> list[tuple[bytes, bool]]:
    """Every payload, as far as it is there, and whether it is whole."""
    lengths = [cursor.varint("the length of a segment") for _ in range(count)]
    if 0 in lengths:
        raise FormatError("a segment of no bytes")
    crc = zlib.crc32(cursor.data[: cursor.position])
    if header.segment_cells:
        cursor.sealed(0, crc, "the table of segments", allow_truncated=False)
        crc = 0
    return [
        cursor.sealed(length, crc, f"segment {i}", allow_truncated, only is None or i in only)
        for i, length in enumerate(lengths)
    ]


def _parse_segment(payload: bytes, cells: int, whole: bool) -> Segment:
    cursor = _Cursor(payload)
    try:
        number = cursor.varint("the number of tokens")
    except _Cut:
        if whole:
            raise
        return Segment(0, False, b"")
    check_tokens(number >> 1, cells)
    return Segment(number >> 1, bool(number & 1), payload[cursor.position :])


def _read_chunks(cursor: _Cursor, header: Header, allow_truncated: bool) -> tuple[tuple[Chunk, ...], bool]:
    """The chunks, and whether all are there: an incomplete one is left out."""
    chunks: list[Chunk] = []
    seen: set[bytes] = set()
    for _ in range(header.chunk_count):
        try:
            fourcc = cursor.take(4, "the name of a chunk")
            check_chunk_name(fourcc, seen)
            length = cursor.varint("the length of a chunk")
        except _Cut:
            if not allow_truncated:
                raise
            cursor.position = len(cursor.data)
            return tuple(chunks), False
        if length > MAX_CHUNK_SIZE:
            raise LimitError(f"a chunk of {length} bytes is above the limit of {MAX_CHUNK_SIZE >> 20} MiB")
        body, whole = cursor.sealed(length, zlib.crc32(fourcc), f"chunk {fourcc.decode()}", allow_truncated)
        if not whole:
            return tuple(chunks), False
        chunks.append(Chunk(fourcc, body))
    if header.alpha != (ALPHA in seen):
        raise FormatError("the header and the chunks disagree about alpha")
    return tuple(chunks), True

"""A record to the bytes of its file.  Specification: `formats/LTK.md`, "Container".

Every record has exactly one spelling, so that `write(read(data)) == data`.
"""

from __future__ import annotations

from ltokc.container.chunks import ChunkRules, most_chunks
from ltokc.container.numbers import crc32, varint
from ltokc.container.records import (
    ALPHA,
    FLAG_ALPHA,
    FLAG_EXT,
    FLAG_GRAY,
    FLAG_SEG,
    MAGIC,
    MAX_MODEL_ID,
    VERSION,
    Header,
    Ltk,
    check_one_segment,
    check_sides,
    check_tokens,
    segment_box,
    segment_count,
    segment_sides,
)
from ltokc.errors import FormatError, LimitError


def write(ltk: Ltk) -> bytes:
    """The file of a record.  Raises LimitError for what no reader would take, ValueError for a record without sense."""
    check_record(ltk)
    header = ltk.header
    flags = FLAG_EXT * bool(ltk.chunks) | FLAG_SEG * bool(header.segment_cells)
    flags |= FLAG_ALPHA * header.alpha | FLAG_GRAY * header.gray
    payloads = [varint(segment.tokens << 1 | segment.depth_map) + segment.stream for segment in ltk.segments]

    head = MAGIC + bytes([VERSION << 4 | flags]) + varint(header.model_id) + header.weights_hash.to_bytes(2, "big")
    head += varint(header.width - 1) + varint(header.height - 1)
    if ltk.chunks:
        head += varint(len(ltk.chunks))
    if header.segment_cells:
        head += bytes([header.segment_cells.bit_length() - 1]) + b"".join(varint(len(payload)) for payload in payloads)
        parts = [head, crc32(head)]
        for payload in payloads:
            parts += [payload, crc32(payload)]
    else:
        if ltk.chunks:
            head += varint(len(payloads[0]))
        parts = [head, payloads[0], crc32(head + payloads[0])]
    for chunk in ltk.chunks:
        parts += [chunk.fourcc, varint(len(chunk.data)), chunk.data, crc32(chunk.fourcc + chunk.data)]
    return b"".join(parts)


def check_record(ltk: Ltk) -> None:
    """Whether a record can be written.  Raises LimitError for what no reader would take, ValueError for nonsense."""
    header = ltk.header
    if header.version != VERSION or ltk.truncated:
        raise ValueError("only whole records of version 1 can be written")
    if not (0 <= header.model_id <= MAX_MODEL_ID and 0 <= header.weights_hash < 1 << 16):
        raise ValueError("model id or weights hash out of range")
    if min(header.width, header.height) < 1:
        raise ValueError("a picture has at least one pixel")
    check_sides(header.width, header.height)
    if header.segment_cells and header.segment_cells not in segment_sides():
        raise ValueError(f"a segment's side in cells is one of {segment_sides()}, or 0")
    if not header.segment_cells:
        check_one_segment(header.width, header.height)
    if len(ltk.segments) != segment_count(header):
        raise ValueError(f"{segment_count(header)} segments expected, {len(ltk.segments)} given")
    for number, segment in enumerate(ltk.segments):
        if segment.tokens < 0:
            raise ValueError("a number of tokens below zero")
        _, _, columns, rows = segment_box(header, number)
        check_tokens(segment.tokens, columns * rows)
    _check_chunks(ltk, header)


def _check_chunks(ltk: Ltk, header: Header) -> None:
    if len(ltk.chunks) > most_chunks(len(ltk.segments)):
        raise LimitError(f"{len(ltk.chunks)} chunks: {most_chunks(len(ltk.segments))} at most")
    rules = ChunkRules(header)
    try:
        for chunk in ltk.chunks:
            rules.name(chunk.fourcc)
            rules.length(len(chunk.data))
            rules.data(chunk)
    except FormatError as error:
        raise ValueError(str(error)) from None
    if header.alpha != (ALPHA in rules.seen):
        raise ValueError("header and chunks disagree about alpha")

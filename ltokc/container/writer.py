"""A record to the bytes of its file.  Specification: `formats/LTK.md`, "Container".

Every record has exactly one spelling, so that `write(read(data)) == data`.
"""

from __future__ import annotations

from ltokc.container.records import (
    ALPHA,
    FLAG_ALPHA,
    FLAG_EXT,
    FLAG_SEG,
    MAGIC,
    VERSION,
    Ltk,
    check_record,
    crc32,
)


def write(ltk: Ltk) -> bytes:
    """The file of a record.  Raises LimitError for what no reader would take, ValueError for a record without sense."""
    check_record(ltk)
    alpha = any(chunk.fourcc == ALPHA for chunk in ltk.chunks)
    flags = FLAG_EXT * bool(ltk.chunks) | FLAG_SEG * bool(ltk.segment_cells) | FLAG_ALPHA * alpha
    payloads = [_varint(segment.tokens << 1 | segment.depth_map) + segment.stream for segment in ltk.segments]

    head = MAGIC + bytes([VERSION << 4 | flags]) + _varint(ltk.model_id) + ltk.weights_hash.to_bytes(2, "big")
    head += _varint(ltk.width - 1) + _varint(ltk.height - 1)
    if ltk.chunks:
        head += bytes([len(ltk.chunks)])
    if ltk.segment_cells:
        head += bytes([ltk.segment_cells.bit_length() - 1]) + b"".join(_varint(len(payload)) for payload in payloads)
        parts = [head, crc32(head)]
        for payload in payloads:
            parts += [payload, crc32(payload)]
    else:
        if ltk.chunks:
            head += _varint(len(payloads[0]))
        parts = [head, payloads[0], crc32(head + payloads[0])]
    for chunk in ltk.chunks:
        parts += [chunk.fourcc, _varint(len(chunk.data)), chunk.data, crc32(chunk.fourcc + chunk.data)]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    """Base 128, most significant group first, the high bit set on all bytes but the last; shortest form."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))

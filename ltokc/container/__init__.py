"""The .ltk file: bytes to records and back, with limits and checksums.  Specification: `formats/LTK.md`."""

from ltokc.container.reader import read, read_header
from ltokc.container.records import (
    ALPHA,
    CELL,
    DEFAULT_LIMIT_PIXELS,
    EXIF,
    ICC,
    MAGIC,
    MAX_CELL_TOKENS,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MAX_SIDE,
    NOTE,
    XMP,
    Chunk,
    Header,
    Ltk,
    Segment,
    check_pixels,
    segment_boxes,
)
from ltokc.container.writer import write

__all__ = [
    "ALPHA", "CELL", "DEFAULT_LIMIT_PIXELS", "EXIF", "ICC", "MAGIC", "MAX_CELL_TOKENS", "MAX_CHUNKS",
    "MAX_CHUNK_SIZE", "MAX_SIDE", "NOTE", "XMP", "Chunk", "Header", "Ltk", "Segment", "check_pixels", "read",
    "read_header", "segment_boxes", "write",
]  # fmt: skip

"""The .ltk file: bytes to records and back, with limits and checksums.  Specification: `formats/LTK.md`."""

from ltokc.container.chunks import COLOUR, EXIF, ICC, IPTC, NOTE, PATCHES, RESOLUTION, TEXT, XMP, most_chunks
from ltokc.container.reader import read, read_header
from ltokc.container.records import (
    ALPHA,
    DEFAULT_LIMIT_PIXELS,
    MAGIC,
    MAX_CELL_TOKENS,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MAX_SIDE,
    Chunk,
    Data,
    Header,
    Ltk,
    Segment,
    check_density,
    check_limit,
    check_pixels,
)
from ltokc.container.writer import write
from ltokc.geometry import CELL, segment_boxes

__all__ = [
    "ALPHA", "CELL", "COLOUR", "DEFAULT_LIMIT_PIXELS", "EXIF", "ICC", "IPTC", "MAGIC", "MAX_CELL_TOKENS", "MAX_CHUNKS",
    "MAX_CHUNK_SIZE", "MAX_SIDE", "NOTE", "PATCHES", "RESOLUTION", "TEXT", "XMP", "Chunk", "Data", "Header", "Ltk",
    "Segment", "check_density", "check_limit", "check_pixels", "most_chunks", "read", "read_header", "segment_boxes",
    "write",
]  # fmt: skip

"""The records of an .ltk file, their limits and their rules: what holds for reading and for writing.

Specification: `formats/LTK.md`, "Container".  `ltokc.container.reader` and `writer` turn the records into bytes and
back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from ltokc.errors import FormatError, LimitError, UsageError
from ltokc.geometry import CELL, cells_of, segment_boxes

MAGIC = b"\x89LTK"
VERSION = 1
FLAG_EXT, FLAG_SEG, FLAG_ALPHA, FLAG_RESERVED = 1, 2, 4, 8

MIN_SEGMENT_LOG2, MAX_SEGMENT_LOG2 = 3, 5  # of a segment's side in cells
MAX_SEGMENT_CELLS = 1 << 2 * MAX_SEGMENT_LOG2  # so that a reader's memory has a bound
MAX_SIDE = 65535
DEFAULT_LIMIT_PIXELS = 89_478_485  # Pillow's
MAX_CHUNKS = 64
MAX_CHUNK_SIZE = 64 << 20
MAX_MODEL_ID = (1 << 28) - 1
MAX_CELL_TOKENS = CELL * CELL  # one a pixel; the model's own, smaller number is the codec's to check
FREE_TOKENS, TOKENS_PER_BYTE = 512, 256  # of a segment's stream, by default: six times what was measured at most
MAX_VARINT_BYTES = 5

ALPHA, ICC, EXIF, XMP, NOTE = b"ALPH", b"iCCP", b"eXIf", b"xMPt", b"nOTE"  # the chunks of this version
KNOWN_CHUNKS = (ALPHA, ICC, EXIF, XMP, NOTE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Data beside the picture.  `fourcc`: four ASCII letters, the first upper case if a reader must understand it."""

    fourcc: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the picture that decodes alone.

    `tokens`: how many tokens the stream holds; `depth_map`: whether it begins with the depths of the cells;
    `stream`: the range coder's bytes, shorter than written where the file was cut.  A segment of which a cut file
    has not even the number of tokens is Segment(0, False, b"").
    """

    tokens: int
    depth_map: bool
    stream: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What precedes the segments.

    Sides in pixels, 1..65535; `segment_cells`: side of a segment in cells, a power of two, 0 for one segment; `alpha`:
    there is an ALPH chunk.
    """

    model_id: int
    weights_hash: int
    width: int
    height: int
    segment_cells: int = 0
    chunk_count: int = 0
    alpha: bool = False
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Ltk:
    """One file.  `weights_hash`: u16; `segments` in raster order; `truncated`: read from a file that was cut."""

    model_id: int
    weights_hash: int
    width: int
    height: int
    segments: tuple[Segment, ...]
    segment_cells: int = 0
    chunks: tuple[Chunk, ...] = ()
    truncated: bool = False
    version: int = VERSION


def segment_sides() -> list[int]:
    """The sides that a segment may have, in cells."""
    return [1 << log2 for log2 in range(MIN_SEGMENT_LOG2, MAX_SEGMENT_LOG2 + 1)]


def check_limit(limit_pixels: int | None) -> None:
    """Raises UsageError for a limit that is not a whole number from 0, or None: nothing would be over NaN."""
    if limit_pixels is None:
        return
    try:
        whole = int(limit_pixels) == limit_pixels and limit_pixels >= 0
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or isinstance(limit_pixels, (bool, str, bytes)):
        raise UsageError(f"limit_pixels is a whole number of pixels, or None for no limit, not {limit_pixels!r:.40}")


def check_pixels(width: int, height: int, limit_pixels: int | None) -> None:
    """Raises LimitError where there are more pixels than the limit, None for no limit; as `check_limit`."""
    check_limit(limit_pixels)
    if limit_pixels is not None and width * height > limit_pixels:
        raise LimitError(f"{width}x{height} pixels are above the limit of {limit_pixels} (--limit-pixels)")


def check_sides(width: int, height: int) -> None:
    """Raises LimitError for sides above MAX_SIDE pixels."""
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"{width}x{height} pixels: a side may have {MAX_SIDE} at most")


def check_one_segment(width: int, height: int) -> None:
    """Raises LimitError where a picture is too large for a file of one segment."""
    if cells_of(width) * cells_of(height) > MAX_SEGMENT_CELLS:
        raise LimitError(f"{width}x{height} pixels in one segment: {MAX_SEGMENT_CELLS} cells of 64x64 at most")


def check_tokens(tokens: int, cells: int) -> None:
    """Raises LimitError for more tokens than `cells` cells can hold in any model."""
    if tokens > cells * MAX_CELL_TOKENS:
        raise LimitError(f"{tokens} tokens are more than a segment of {cells} cells can hold")


def check_density(ltk: Ltk, limit_pixels: int | None, only: Iterable[int] | None = None) -> None:
    """Raises LimitError where a stream claims more tokens than its bytes are likely to hold, so that work has a bound.

    Flat pictures have up to 42 tokens a byte, photographs up to 14 (formats/LTK.md, section 8).  A file that was cut is
    read only as far as its bytes go.  limit_pixels: None lifts this limit as well; only: numbers of the segments that
    are used, None for all.
    """
    if limit_pixels is None or ltk.truncated:
        return
    for segment in ltk.segments if only is None else [ltk.segments[i] for i in only]:
        if segment.tokens > FREE_TOKENS + TOKENS_PER_BYTE * len(segment.stream):
            raise LimitError(
                f"{segment.tokens:,} tokens in a stream of {len(segment.stream):,} bytes, which keep a reader busy for "
                "nothing; --limit-pixels 0 reads it all the same"
            )


def check_chunk_name(fourcc: bytes, seen: set[bytes]) -> None:
    """Adds the name to `seen`.  Raises FormatError for a malformed, a known and seen, or a critical and unknown one."""
    if len(fourcc) != 4 or not (fourcc.isalpha() and fourcc.isascii()):
        raise FormatError(f"{fourcc!r} is not the name of a chunk")
    if fourcc in seen and fourcc in KNOWN_CHUNKS:
        raise FormatError(f"a second chunk {fourcc.decode()}")
    if fourcc[:1].isupper() and fourcc not in KNOWN_CHUNKS:
        raise FormatError(f"chunk {fourcc.decode()} is unknown to this program and needed to read the file")
    seen.add(fourcc)


def check_record(ltk: Ltk) -> None:
    """Whether a record can be written.  Raises LimitError for what no reader would take, ValueError for nonsense."""
    if ltk.version != VERSION or ltk.truncated:
        raise ValueError("only whole records of version 1 can be written")
    if not (0 <= ltk.model_id <= MAX_MODEL_ID and 0 <= ltk.weights_hash < 1 << 16):
        raise ValueError("model id or weights hash out of range")
    if min(ltk.width, ltk.height) < 1:
        raise ValueError("a picture has at least one pixel")
    check_sides(ltk.width, ltk.height)
    if ltk.segment_cells and ltk.segment_cells not in segment_sides():
        raise ValueError(f"a segment's side in cells is one of {segment_sides()}, or 0")
    if not ltk.segment_cells:
        check_one_segment(ltk.width, ltk.height)
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    if len(boxes) != len(ltk.segments):
        raise ValueError(f"{len(boxes)} segments expected, {len(ltk.segments)} given")
    for segment, (_, _, columns, rows) in zip(ltk.segments, boxes, strict=True):
        if segment.tokens < 0:
            raise ValueError("a number of tokens below zero")
        check_tokens(segment.tokens, columns * rows)
    if len(ltk.chunks) > MAX_CHUNKS or any(len(chunk.data) > MAX_CHUNK_SIZE for chunk in ltk.chunks):
        raise LimitError(f"more than {MAX_CHUNKS} chunks, or one above {MAX_CHUNK_SIZE >> 20} MiB")
    seen: set[bytes] = set()
    for chunk in ltk.chunks:
        try:
            check_chunk_name(chunk.fourcc, seen)
        except FormatError as error:
            raise ValueError(str(error)) from None


def crc32(data: bytes, start: int = 0) -> bytes:
    """CRC-32 of `data`, continued from `start`: 4 bytes, big-endian."""
    return zlib.crc32(data, start).to_bytes(4, "big")

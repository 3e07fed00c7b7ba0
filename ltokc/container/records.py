"""The records of an .ltk file, their limits and their rules: what holds for reading and for writing.

Specification: `formats/LTK.md`, "Container".  `ltokc.container.reader` and `writer` turn the records into bytes and
back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ltokc.arguments import whole
from ltokc.errors import LimitError
from ltokc.geometry import CellBox, Grid, Size, cells_of

Data = bytes | bytearray | memoryview  # what the bytes of a file may be given as
MAGIC = b"\x89LTK"
VERSION = 1
FLAG_EXT, FLAG_SEG, FLAG_ALPHA, FLAG_GRAY = 1, 2, 4, 8

MIN_SEGMENT_LOG2, MAX_SEGMENT_LOG2 = 3, 5  # of a segment's side in cells
MAX_SEGMENT_CELLS = 1 << 2 * MAX_SEGMENT_LOG2  # so that a reader's memory has a bound
MAX_SIDE = 65535
DEFAULT_LIMIT_PIXELS = 89_478_485  # Pillow's
MAX_CHUNKS = 64  # beside one of patches a segment
MAX_CHUNK_SIZE = 64 << 20
MAX_MODEL_ID = (1 << 28) - 1
FREE_TOKENS, TOKENS_PER_BYTE = 512, 256  # of a segment's stream, by default: six times what was measured at most
MAX_CELL_TOKENS = 64 * 64  # one a pixel; the model's own, smaller number is the codec's to check

ALPHA = b"ALPH"  # the other names are in `ltokc.container.chunks`


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

    `weights_hash`: u16; sides in pixels, 1..65535; `segment_cells`: side of a segment in cells, a power of two, 0 for
    one segment; `gray`: red, green and blue are one; `alpha`: there is, or in a cut file was, an ALPH chunk.
    """

    model_id: int
    weights_hash: int
    width: int
    height: int
    segment_cells: int = 0
    gray: bool = False
    alpha: bool = False
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Ltk:
    """One file.  `segments` in raster order; `truncated`: read from a file that was cut.

    lost: name of the chunk in which it was cut, if that is known; else b"".
    """

    header: Header
    segments: tuple[Segment, ...]
    chunks: tuple[Chunk, ...] = ()
    truncated: bool = False
    lost: bytes = b""

    def with_chunks(self, chunks: tuple[Chunk, ...]) -> Ltk:
        """The same file with these chunks; its header says whether alpha is among them."""
        alpha = any(chunk.fourcc == ALPHA for chunk in chunks)
        return replace(self, header=replace(self.header, alpha=alpha), chunks=chunks)

    @property
    def model_id(self) -> int:
        return self.header.model_id

    @property
    def weights_hash(self) -> int:
        return self.header.weights_hash

    @property
    def width(self) -> int:
        return self.header.width

    @property
    def height(self) -> int:
        return self.header.height

    @property
    def segment_cells(self) -> int:
        return self.header.segment_cells

    @property
    def version(self) -> int:
        return self.header.version


def segment_count(header: Header) -> int:
    """How many segments the picture has."""
    return _segments(header).cells


def segment_box(header: Header, number: int) -> CellBox:
    """One of `geometry.segment_boxes`; the same work however many there are."""
    grid, side = Size(header.width, header.height).grid, _segment_side(header)
    row, column = divmod(number, _segments(header).columns)
    left, top = column * side, row * side
    return CellBox(left, top, min(side, grid.columns - left), min(side, grid.rows - top))


def _segment_side(header: Header) -> int:
    return header.segment_cells or max(Size(header.width, header.height).grid)


def _segments(header: Header) -> Grid:
    grid, side = Size(header.width, header.height).grid, _segment_side(header)
    return Grid(-(-grid.rows // side), -(-grid.columns // side))


def segment_sides() -> list[int]:
    """The sides that a segment may have, in cells."""
    return [1 << log2 for log2 in range(MIN_SEGMENT_LOG2, MAX_SEGMENT_LOG2 + 1)]


def check_limit(limit_pixels: int | None) -> None:
    """Raises UsageError for a limit that is not a whole number from 0, or None: nothing would be over NaN."""
    if limit_pixels is not None:
        whole("limit_pixels", limit_pixels, 0)


def check_pixels(width: int, height: int, limit_pixels: int | None) -> None:
    """Raises LimitError where there are more pixels than the limit, None for no limit; as `check_limit`."""
    check_limit(limit_pixels)
    if limit_pixels is not None and width * height > limit_pixels:
        raise LimitError(f"{width}x{height} pixels are above the limit of {limit_pixels} (limit_pixels)")


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
                "nothing; limit_pixels=None reads it all the same"
            )

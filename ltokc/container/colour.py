"""The colour grid: a correction of red, green and blue for each cell, blended from cell to cell; the chunk cOLr.

    u8   coding: 0 the values as they are, 1 a zlib stream of them
         values: int8, quarters of an 8-bit step; all cells in raster order for red, then green, then blue; with the
         flag GRAY once, for all three

A value holds at the centre of its cell.  Between four centres the correction is bilinear, in exact integers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ltokc.container.records import Header
from ltokc.errors import FormatError
from ltokc.geometry import CELL, Box, Grid, Size

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

PLAIN, DEFLATE = 0, 1
ROUND_BITS = 16  # quarters times the weights of two axes, 128 each
HALF_PIXELS = 2 * CELL  # from one centre to the next
STRIP = 256  # rows corrected at a time, so that memory stays small


def planes(header: Header) -> int:
    """1 where one value of a cell is for all colours, else 3."""
    return 1 if header.gray else 3


def cells(header: Header) -> Grid:
    """Rows and columns of the grid."""
    return Size(header.width, header.height).grid


def count_of(header: Header) -> int:
    """How many values a grid has."""
    return planes(header) * cells(header).cells


def check(data: bytes, header: Header) -> None:
    """Raises FormatError for a wrong coding or number of values; those of a zlib stream are not counted yet."""
    if not data or data[0] not in (PLAIN, DEFLATE):
        raise FormatError("the colour grid is of an unknown coding")
    if data[0] == PLAIN and len(data) - 1 != count_of(header):
        raise FormatError("the colour grid does not have a value for every cell")


def decode(data: bytes, header: Header) -> np.ndarray:
    """(planes, rows, columns) int8.  Raises FormatError; never inflates to more than the cells need."""
    import numpy as np

    check(data, header)
    values = data[1:] if data[0] == PLAIN else inflated(data[1:], count_of(header), "the colour grid")
    return np.frombuffer(values, np.int8).reshape(planes(header), *cells(header))


def encode(values: np.ndarray) -> bytes:
    """(planes, rows, columns) int8 as the data of the chunk; the shorter coding."""
    plain = values.astype("i1").tobytes()
    return min((bytes((PLAIN,)) + plain, bytes((DEFLATE,)) + zlib.compress(plain, 9)), key=len)


def inflated(body: bytes, size: int, what: str) -> bytes:
    """The content of a zlib stream of exactly `size` bytes, and no byte behind it.  Raises FormatError."""
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(body, size)
        if not inflater.eof:  # the checksum may still be unread; one more byte is one too many
            out += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise FormatError(f"{what} is damaged ({error})") from error
    if not inflater.eof or inflater.unused_data or len(out) != size:
        raise FormatError(f"{what} does not fill the picture exactly")
    return out


def correct(image: Image, data: bytes, header: Header, box: Box) -> None:
    """Adds the grid of a file to an RGB picture of its region `box`, in pixels."""
    import numpy as np
    from PIL import Image as Images

    left, top, width, height = box
    grid = decode(data, header).astype(np.int32)
    first, second, weight = _between(np.arange(left, left + width), grid.shape[2])
    across = grid[:, :, first] * (HALF_PIXELS - weight) + grid[:, :, second] * weight  # (planes, rows, width)
    for y in range(0, height, STRIP):
        part = (0, y, width, min(height, y + STRIP))
        upper, lower, share = _between(np.arange(top + y, top + part[3]), grid.shape[1])
        total = across[:, upper] * (HALF_PIXELS - share)[:, None] + across[:, lower] * share[:, None]
        total = (total + (1 << ROUND_BITS - 1)) >> ROUND_BITS
        rgb = np.asarray(image.crop(part)).astype(np.int32) + total.transpose(1, 2, 0)
        image.paste(Images.fromarray(rgb.clip(0, 255).astype(np.uint8)), part[:2])


def _between(positions: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For pixels along one side: the cells whose centres they lie between, and the weight of the second, of 128."""
    at = 2 * positions + 1 - CELL
    cell, weight = at // HALF_PIXELS, at % HALF_PIXELS
    return cell.clip(0, cells - 1), (cell + 1).clip(0, cells - 1), weight

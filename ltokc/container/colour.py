"""The colour grid: corrections of colour at points of a lattice, blended between them; the chunk cOLr.

    u8   coding: 0 the values as they are, 1 a zlib stream of them, 2 range coded (`ltokc.entropy.colour`)
    0, 1 values: int8, quarters of an 8-bit step, of the centres of all cells in raster order for red, then green, then
         blue; with the flag GRAY once, for all three
    2    head and stream: steps of luma and two colour differences, at the centres of squares of 64, 32 or 16 pixels,
         or once for the whole picture

Between four points the correction is bilinear, in exact integers.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltokc.container.records import Header
from ltokc.errors import FormatError
from ltokc.geometry import CELL, Box, Grid, Size

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

PLAIN, DEFLATE, CODED = 0, 1, 2
STRIP = 256  # rows corrected at a time, so that memory stays small
WHOLE = 3  # in place of a spacing: one point for the whole picture
DIFFERENCES = 0x80  # flag
LARGEST_STEP, LARGEST_VALUE = 63, 127  # quarters of an 8-bit step; steps


def planes(header: Header) -> int:
    """1 where one value of a point is for all colours, else 3."""
    return 1 if header.gray else 3


def cells(header: Header) -> Grid:
    """Rows and columns of the grid of codings 0 and 1."""
    return Size(header.width, header.height).grid


def count_of(header: Header) -> int:
    """How many values a grid of codings 0 and 1 has."""
    return planes(header) * cells(header).cells


@dataclass(frozen=True, slots=True)
class Head:
    """What coding 2 says before its stream.

    fineness: 0 to 2 for points 64, 32 or 16 pixels apart, WHOLE; step: quarters of an 8-bit step; differences: values
    are told by what they differ from the one before; largest: of the symbols' magnitudes; shapes: (first, next) of each
    plane, 0 to 15, of the probabilities (`ltokc.entropy.colour.counts_of`).
    """

    fineness: int
    step: int
    differences: bool
    largest: int
    shapes: tuple[tuple[int, int], ...]

    @property
    def spacing(self) -> int:
        """Pixels from one point to the next."""
        return CELL if self.fineness == WHOLE else CELL >> self.fineness

    def lattice(self, header: Header) -> Grid:
        """Rows and columns of points, those in cells that the border cuts included."""
        if self.fineness == WHOLE:
            return Grid(1, 1)
        return Grid(*(side << self.fineness for side in cells(header)))

    @property
    def data(self) -> bytes:
        """Its bytes, coding included."""
        first = self.fineness << 6 | self.step, DIFFERENCES * self.differences | self.largest
        return bytes((CODED, *first, *(a << 4 | b for a, b in self.shapes)))


def head_of(data: bytes, header: Header) -> Head:
    """The head of data of coding 2.  Raises FormatError."""
    length = 3 + planes(header)
    if len(data) < length or not data[1] & 0x3F or not data[2] & ~DIFFERENCES:
        raise FormatError("the colour grid is of an unknown coding: its head is damaged")
    shapes = tuple((each >> 4, each & 15) for each in data[3:length])
    return Head(data[1] >> 6, data[1] & 0x3F, bool(data[2] & DIFFERENCES), data[2] & ~DIFFERENCES, shapes)


def check(data: bytes, header: Header) -> None:
    """Raises FormatError for a wrong coding, head or number of values; what is compressed is not looked at yet."""
    if not data or data[0] not in (PLAIN, DEFLATE, CODED):
        raise FormatError("the colour grid is of an unknown coding")
    if data[0] == CODED:
        head_of(data, header)
    elif data[0] == PLAIN and len(data) - 1 != count_of(header):
        raise FormatError("the colour grid does not have a value for every cell")


def plain_values(data: bytes, header: Header) -> np.ndarray:
    """Of codings 0 and 1: (planes, rows, columns) int8.

    Raises FormatError; never inflates to more than the cells need.
    """
    import numpy as np

    check(data, header)
    values = data[1:] if data[0] == PLAIN else inflated(data[1:], count_of(header), "the colour grid")
    return np.frombuffer(values, np.int8).reshape(planes(header), *cells(header))


def encode(values: np.ndarray) -> bytes:
    """(planes, rows, columns) int8, one for each cell, as the data of the chunk; the shorter of codings 0 and 1."""
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


@dataclass(frozen=True, slots=True)
class Corrections:
    """Quarters of an 8-bit step that red, green and blue grow by, or all three: values (3 or 1, rows, columns) integers
    at the centres of squares of `spacing` pixels from the picture's corner, beyond the outer ones the same.
    """

    values: np.ndarray
    spacing: int

    def add_to(self, image: Image, box: Box) -> None:
        """Adds them to an RGB picture of the region `box` of the file's picture, in pixels."""
        import numpy as np
        from PIL import Image as Images

        left, top, width, height = box
        whole = 2 * self.spacing  # weights of the two points along a side, and four quarters, are so many together
        shift = (4 * whole * whole).bit_length() - 1
        first, second, weight = self._between(np.arange(left, left + width), 2)
        points = np.ascontiguousarray(self.values.transpose(1, 2, 0), np.int32)  # (rows, columns, planes)
        weight = weight[:, None]
        for y in range(0, height, STRIP):
            part = (0, y, width, min(height, y + STRIP))
            upper, lower, share = self._between(np.arange(top + y, top + part[3]), 1)
            rows = points[upper[0] : lower[-1] + 1]
            across = rows[:, first] * (whole - weight) + rows[:, second] * weight  # (rows, width, planes)
            total = np.empty((part[3] - y, *across.shape[1:]), np.int32)
            starts = [0, *(np.flatnonzero(np.diff(upper) | np.diff(lower)) + 1), len(upper)]
            for begin, end in itertools.pairwise(starts):  # rows of pixels between the same two rows of points
                over, under = across[upper[begin] - upper[0]], across[lower[begin] - upper[0]]
                np.multiply(under - over, share[begin:end, None, None], out=total[begin:end])
                total[begin:end] += over * whole + (1 << shift - 1)
            total >>= shift
            rgb = total + np.asarray(image.crop(part))
            image.paste(Images.fromarray(rgb.clip(0, 255, out=rgb).astype(np.uint8)), part[:2])

    def _between(self, positions: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For pixels along one side: the points that they lie between, and the weight of the second, of 2 spacing."""
        at, points = 2 * positions + 1 - self.spacing, self.values.shape[axis]
        point, weight = at // (2 * self.spacing), at % (2 * self.spacing)
        return point.clip(0, points - 1), (point + 1).clip(0, points - 1), weight

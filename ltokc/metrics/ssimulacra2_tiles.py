"""SSIMULACRA2's maps, tile by tile: all that is computed of a pair of pictures lies in the processor's cache.

Of a whole picture nothing is held but linear light at the scales from 1/2 on, 4 bytes a pixel.  Maps that nobody wants
are left out: most of the published weights are zero, and a blur of a channel costs more than all that is done with it.
Tiles follow each other in one thread: their steps take microseconds, so that two would mostly hand Python's lock to
each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL, cells_of
from ltokc.metrics.ssimulacra2_blur import RADIUS, blur_inside

Array = npt.NDArray[np.float32]
SCALES = 6
LEAST_SIDE = 8  # a scale with a smaller side is left out
C2 = 0.0009
TILE = (128, 256)  # rows and columns: whole cells at every scale
# linear RGB to mixed cone responses, and their bias
OPSIN = np.array([[0.3, 0.622, 0.078], [0.23, 0.692, 0.078],
                   [0.24342268924547819, 0.20476744424496821, 0.55180986650955360]], np.float32)  # fmt: skip
BIAS = np.float32(0.0037930732552754493)
ROOT_OF_BIAS = np.cbrt(BIAS)
X, Y, B = range(3)
STRUCTURE, GAINED, LOST = range(3)  # the maps: structural difference, edges that came to be, edges that were lost


def cell_sums(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], wanted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Of an original a and a decoded b, (H, W, 3) each: sums of every map, and of its fourth power, over every cell.

    wanted: (3 channels, 6 scales, 2 powers, 3 maps), what is computed; the rest is 0, and so are scales whose sides are
    under 8.  Gives (rows, columns, 3, 6, 2, 3).
    """
    rows, columns = (cells_of(side) for side in a.shape[:2])
    out = np.zeros((rows, columns, *wanted.shape), np.float32)
    sizes = scale_sizes(*a.shape[:2])
    halved: Array = np.empty((2, 3, -(-a.shape[0] // 2), -(-a.shape[1] // 2)), np.float32)
    pair: tuple[np.ndarray, np.ndarray] = a, b  # from scale 1/2 on linear light
    for scale, (height, width) in enumerate(sizes):
        if scale:
            pair = (halved[0], halved[1]) if scale == 1 else (halve(pair[0]), halve(pair[1]))
            if not wanted[:, scale].any():
                continue
        for place in ((y, x) for y in range(0, height, TILE[0]) for x in range(0, width, TILE[1])):
            _add_tile(out, pair, scale, place, wanted[:, scale], None if scale else halved)
    return out


def scale_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width at scales 1, 1/2, ... 1/32, as far as both are 8 or more."""
    sizes: list[tuple[int, int]] = []
    while len(sizes) < SCALES and min(height, width) >= LEAST_SIDE:
        sizes.append((height, width))
        height, width = -(-height // 2), -(-width // 2)
    return sizes


def _add_tile(
    out: np.ndarray, pair: tuple[np.ndarray, np.ndarray], scale: int, place: tuple[int, int], wanted: np.ndarray,
    halved: Array | None,
) -> None:  # fmt: skip
    """Adds the maps of a tile of one scale, whose first sample is at `place`, to the sums of its cells.

    halved: of the first scale, gets the tile's linear light at half the size, (2 pictures, 3, h, w).
    """
    structural = [c for c in range(3) if wanted[c, :, STRUCTURE].any()]
    edges = [c for c in range(3) if wanted[c, :, [GAINED, LOST]].any()]
    channels = sorted({*structural, *edges})
    count, of = len(channels), [channels.index(c) for c in structural]
    frame = _framed(place, pair[0].shape[1:] if halved is None else pair[0].shape[:2])
    stack: Array = (np.zeros if frame.cut else np.empty)((2 * count + 2 * len(of), *frame.shape), np.float32)
    a, b = stack[:count], stack[count : 2 * count]
    for which, (picture, planes) in enumerate(zip(pair, (a, b), strict=True)):
        linear = picture[:, *frame.seen] if halved is None else to_linear(picture[frame.seen])
        _fill_channels(linear, channels, planes[:, *frame.filled])
        if halved is not None:
            half = halve(linear[:, *frame.tile])
            y, x = (first // 2 for first in place)
            halved[which, :, y : y + half.shape[1], x : x + half.shape[2]] = half
    for i, c in enumerate(of):
        squares, products = stack[2 * count + i], stack[2 * count + len(of) + i]
        np.multiply(a[c], a[c], out=squares)
        np.multiply(b[c], b[c], out=products)
        squares += products
        np.multiply(a[c], b[c], out=products)
    blurred = blur_inside(stack)
    mean_a, mean_b = blurred[:count], blurred[count : 2 * count]
    side = CELL >> scale
    cells = out[place[0] // side : (place[0] + TILE[0]) // side, place[1] // side : (place[1] + TILE[1]) // side]

    def add(c: int, which: int, values: Array) -> None:
        if wanted[c, 0, which]:
            cells[:, :, c, scale, 0, which] = _sums(values, side)
        if wanted[c, 1, which]:
            values *= values
            values *= values
            cells[:, :, c, scale, 1, which] = _sums(values, side)

    for i, c in enumerate(of):
        squares, products = blurred[2 * count + i], blurred[2 * count + len(of) + i]
        add(channels[c], STRUCTURE, _structure(mean_a[c], mean_b[c], squares, products))
    for c in edges:
        k = channels.index(c)
        inside = (slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
        change = _edges(a[k][inside], b[k][inside], mean_a[k], mean_b[k])
        if wanted[c, :, GAINED].any():
            add(c, GAINED, np.maximum(change, 0))
        if wanted[c, :, LOST].any():
            add(c, LOST, np.maximum(np.negative(change, out=change), 0, out=change))


def _structure(mean_a: Array, mean_b: Array, squares: Array, products: Array) -> Array:
    """1 - SSIM's likeness, at least 0; squares: blurred a^2 + b^2; products: blurred a b.  Both are overwritten."""
    product = mean_a * mean_b
    products -= product
    products *= 2
    products += np.float32(C2)
    difference = mean_a - mean_b
    difference *= difference
    product *= 2
    product += difference  # a^2 + b^2 of the means
    squares -= product
    squares += np.float32(C2)
    np.subtract(1, difference, out=difference)
    difference *= products
    difference /= squares
    np.subtract(1, difference, out=difference)
    return np.maximum(difference, 0, out=difference)


def _edges(a: Array, b: Array, mean_a: Array, mean_b: Array) -> Array:
    """How much stronger the edges of b are than those of a, relative to 1 + theirs: above 0 where some came to be."""
    below = a - mean_a
    np.abs(below, out=below)
    below += 1
    change = b - mean_b
    np.abs(change, out=change)
    change += 1
    change /= below
    change -= 1
    return change


def _sums(values: Array, side: int) -> Array:
    """Sums over squares of `side`, the last ones cut where the values end: (h, w) -> (rows, columns)."""
    h, w = values.shape
    if h % side or w % side:
        values = np.pad(values, ((0, -h % side), (0, -w % side)))
        h, w = values.shape
    across: Array = values.reshape(h, w // side, side).sum(2)
    sums: Array = across.reshape(h // side, side, w // side).sum(1)
    return sums


class _Frame(NamedTuple):
    """A tile with RADIUS samples around it.

    seen: rows and columns that the picture has of it; filled: where they lie in the frame; tile: where the tile lies in
    them; shape: of the frame; cut: whether the picture's border cuts it.
    """

    seen: tuple[slice, slice]
    filled: tuple[slice, slice]
    tile: tuple[slice, slice]
    shape: tuple[int, int]
    cut: bool


def _framed(place: tuple[int, int], size: Sequence[int]) -> _Frame:
    """The frame of the tile whose first sample is at `place`, in a picture of this size."""
    sides = []
    for first, length, most in zip(place, size, TILE, strict=True):
        last = min(first + most, length)
        low, high = max(first - RADIUS, 0), min(last + RADIUS, length)
        start = low - first + RADIUS
        sides.append((slice(low, high), slice(start, start + high - low), slice(first - low, last - low),
                      last - first + 2 * RADIUS))  # fmt: skip
    (seen_y, filled_y, tile_y, height), (seen_x, filled_x, tile_x, width) = sides
    cut = (filled_y, filled_x) != (slice(0, height), slice(0, width))
    return _Frame((seen_y, seen_x), (filled_y, filled_x), (tile_y, tile_x), (height, width), cut)


def to_linear(rgb: npt.NDArray[np.uint8]) -> Array:
    """sRGB (H, W, 3) uint8 to linear light, (3, H, W) float32 in [0, 1]."""
    return _LINEAR.take(rgb.transpose(2, 0, 1))


def _table() -> Array:
    code = np.arange(256) / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _table()


def _fill_channels(linear: Array, channels: Sequence[int], out: Array) -> None:
    """Linear RGB, none below 0, to these channels of the metric's positive XYB, `out`."""
    cones = []
    part: Array = np.empty(linear.shape[1:], np.float32)
    for row in OPSIN[: 3 if B in channels else 2 if channels else 0]:
        mixed = row[0] * linear[0]
        for weight, plane in zip(row[1:], linear[1:], strict=True):
            mixed += np.multiply(weight, plane, out=part)
        mixed += BIAS
        np.cbrt(mixed, out=mixed)
        mixed -= ROOT_OF_BIAS
        cones.append(mixed)
    for plane, channel in zip(out, channels, strict=True):
        if channel == X:
            np.subtract(cones[0], cones[1], out=part)
            part *= 7
            np.add(part, np.float32(0.42), out=plane)
            continue
        np.add(cones[0], cones[1], out=part)
        part *= np.float32(0.5)
        if channel == B:
            np.subtract(cones[2], part, out=part)
        np.add(part, np.float32(0.01 if channel == Y else 0.55), out=plane)


def halve(linear: Array) -> Array:
    """Mean of 2x2, the last row or column alone where a side is odd: (3, H, W) -> (3, ceil(H / 2), ceil(W / 2))."""
    h, w = linear.shape[1:]
    if h % 2 or w % 2:
        linear = np.pad(linear, ((0, 0), (0, h % 2), (0, w % 2)), "edge")
    quarters: Array = linear[:, ::2, ::2] + linear[:, 1::2, ::2]
    quarters += linear[:, ::2, 1::2]
    quarters += linear[:, 1::2, 1::2]
    quarters *= np.float32(0.25)
    return quarters

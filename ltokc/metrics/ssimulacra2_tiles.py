"""SSIMULACRA2's maps, tile by tile: all that is computed of a pair of pictures lies in the processor's cache.

Of a whole picture nothing is held but linear light at the scales from 1/2 on, 4 bytes a pixel.  Maps that nobody wants
are left out: most of the published weights are zero, and a blur of a channel costs more than all that is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL, cells_of
from ltokc.metrics.ssimulacra2_blur import RADIUS, blur_inside
from ltokc.threads import in_parallel

Array = npt.NDArray[np.float32]
SCALES = 6
LEAST_SIDE = 8  # a scale with a smaller side is left out
C2 = 0.0009
TILE = (128, 256)  # rows and columns: whole cells at every scale
STRIP = 256  # rows of the picture that become linear light at a time
# linear RGB to mixed cone responses, and their bias
OPSIN = np.array([[0.3, 0.622, 0.078], [0.23, 0.692, 0.078],
                   [0.24342268924547819, 0.20476744424496821, 0.55180986650955360]], np.float32)  # fmt: skip
BIAS = np.float32(0.0037930732552754493)
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
    planes: tuple[Array, Array] | None = None  # linear light at the scale before, from 1/2 on
    for scale, (height, width) in enumerate(scale_sizes(*a.shape[:2])):
        if scale == 1:
            planes = _halved_picture(a), _halved_picture(b)
        elif planes is not None:
            planes = halve(planes[0]), halve(planes[1])
        pair = planes or (a, b)
        if not wanted[:, scale].any():
            continue
        places = [(y, x) for y in range(0, height, TILE[0]) for x in range(0, width, TILE[1])]

        def tile(i: int, pair: tuple[np.ndarray, np.ndarray] = pair, scale: int = scale,
                 places: Sequence[tuple[int, int]] = places) -> None:  # fmt: skip
            _add_tile(out, pair, scale, places[i], wanted[:, scale])

        in_parallel(tile, range(len(places)), CELLS_OF_A_TILE)
    return out


CELLS_OF_A_TILE = TILE[0] * TILE[1] // CELL**2


def scale_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width at scales 1, 1/2, ... 1/32, as far as both are 8 or more."""
    sizes: list[tuple[int, int]] = []
    while len(sizes) < SCALES and min(height, width) >= LEAST_SIDE:
        sizes.append((height, width))
        height, width = -(-height // 2), -(-width // 2)
    return sizes


def _add_tile(
    out: np.ndarray, pair: tuple[np.ndarray, np.ndarray], scale: int, place: tuple[int, int], wanted: np.ndarray
) -> None:
    """Adds the maps of a tile of one scale, whose first sample is at `place`, to the sums of its cells."""
    structural = [c for c in range(3) if wanted[c, :, STRUCTURE].any()]
    edges = [c for c in range(3) if wanted[c, :, [GAINED, LOST]].any()]
    channels = sorted({*structural, *edges})
    a, b = (_xyb_around(picture, place, channels) for picture in pair)
    count, of = len(channels), [channels.index(c) for c in structural]
    stack = np.empty((2 * count + 2 * len(of), *a.shape[1:]), np.float32)
    stack[:count], stack[count : 2 * count] = a, b
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
        for power in range(2):
            if power:
                values *= values
                values *= values
            if wanted[c, power, which]:
                cells[:, :, c, scale, power, which] = _sums(values, side)

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


def _xyb_around(picture: np.ndarray, place: tuple[int, int], channels: Sequence[int]) -> Array:
    """XYB of a tile and RADIUS samples around it, zeros beyond the picture: (channels, rows, columns).

    picture: (H, W, 3) uint8, or (3, H, W) linear light.
    """
    sizes = picture.shape[:2] if picture.dtype == np.uint8 else picture.shape[1:]
    spans, gaps = [], []
    for first, length, tile in zip(place, sizes, TILE, strict=True):
        low, high = first - RADIUS, min(first + tile, length) + RADIUS
        spans.append(slice(max(low, 0), min(high, length)))
        gaps.append((max(-low, 0), max(high - length, 0)))
    linear = to_linear(picture[spans[0], spans[1]]) if picture.dtype == np.uint8 else picture[:, spans[0], spans[1]]
    found = _channels_of(linear, channels)
    return np.pad(found, ((0, 0), *gaps)) if any(map(any, gaps)) else found


def to_linear(rgb: npt.NDArray[np.uint8]) -> Array:
    """sRGB (H, W, 3) uint8 to linear light, (3, H, W) float32 in [0, 1]."""
    return _LINEAR[rgb.transpose(2, 0, 1)]


def _table() -> Array:
    code = np.arange(256) / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _table()


def to_xyb(linear: Array) -> Array:
    """Linear RGB (3, H, W) to the metric's positive XYB, same shape."""
    return _channels_of(linear, (X, Y, B))


def _channels_of(linear: Array, channels: Sequence[int]) -> Array:
    cones = []
    for row in OPSIN[: 3 if B in channels else 2]:
        mixed = row[0] * linear[0]
        for weight, plane in zip(row[1:], linear[1:], strict=True):
            mixed += weight * plane
        mixed += BIAS
        np.cbrt(np.maximum(mixed, 0, out=mixed), out=mixed)
        mixed -= np.cbrt(BIAS)
        cones.append(mixed)
    out: Array = np.empty((len(channels), *linear.shape[1:]), np.float32)
    for plane, channel in zip(out, channels, strict=True):
        if channel == X:
            np.subtract(cones[0], cones[1], out=plane)
            plane *= 7
            plane += np.float32(0.42)
            continue
        np.add(cones[0], cones[1], out=plane)
        plane *= np.float32(0.5)
        if channel == B:
            np.subtract(cones[2], plane, out=plane)
        plane += np.float32(0.01 if channel == Y else 0.55)
    return out


def _halved_picture(rgb: npt.NDArray[np.uint8]) -> Array:
    """Linear light of a picture at half its size."""
    height, width = rgb.shape[:2]
    out: Array = np.empty((3, -(-height // 2), -(-width // 2)), np.float32)
    strips = range(0, height, STRIP)

    def strip(i: int) -> None:
        part = halve(to_linear(rgb[strips[i] : strips[i] + STRIP]))
        out[:, strips[i] // 2 : strips[i] // 2 + part.shape[1]] = part

    in_parallel(strip, range(len(strips)), STRIP * width // CELL**2 + 1)
    return out


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

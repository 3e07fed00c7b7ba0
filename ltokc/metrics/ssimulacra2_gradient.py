"""The derivative of SSIMULACRA2's distance by the pixels of a decoded picture, with numpy alone.

The value is that of `ltokc.metrics.ssimulacra2`, but the decoded picture is not rounded to 8 bits.  All maps are made
tile by tile.  Between the pass forward, which sums them, and the pass back about 60 bytes a pixel are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.metrics.by_cell import DECIDING
from ltokc.metrics.ssimulacra2 import LEAST_STRETCHED, POWER, WEIGHTS, stretched, stretched_slope
from ltokc.metrics.ssimulacra2_layer import Array, Layer, Tile
from ltokc.metrics.ssimulacra2_tiles import LEAST_SIDE, halve, scale_sizes, to_linear
from ltokc.metrics.strips import row_strips

TILE = (64, 256)  # rows and columns, even
LEAST_BASE = (0.04045 + 0.055) / 1.055  # of the power: darker sRGB values are proportional to light


def distance_gradient(
    original: npt.NDArray[np.uint8], shown: Array, wanted: npt.NDArray[np.bool_] = DECIDING
) -> tuple[float, Array]:
    """The distance from 100 points, in hundreds, and its derivative by every sample of `shown`.

    original: (H, W, 3) uint8, sides of 8 and more.  shown: (H, W, 3) float32, black -1 to white 1, beyond them clamped,
    where the derivative is 0.  wanted: (3 channels, 6 scales, 2 norms, 3 maps), the terms of the error that count.
    Gives the derivative as planes, (3, H, W) float32.  Raises ValueError on shapes that differ or are too small.
    """
    check_pair(original, shown)
    sizes = [size for i, size in enumerate(scale_sizes(*shown.shape[:2])) if not i or wanted[:, i:].any()]
    layers = [Layer(size, wanted[:, i], WEIGHTS[:, i]) for i, size in enumerate(sizes)]
    slopes: Array = np.empty((3, *shown.shape[:2]), np.float32)
    light = _fill_first(layers[0], original, shown, slopes)
    for layer in layers[1:]:
        _fill(layer, light)
        light = halve(light[0]), halve(light[1])
    distance, slope = distance_and_slope(sum(_measured(layer) for layer in layers))
    coarser: Array | None = None
    while layers:
        layer = layers.pop()
        coarser = _back(layer, slope, coarser, slopes if not layers else None)
    return distance, slopes


def check_pair(original: npt.NDArray[np.uint8], shown: Array) -> None:
    """Raises ValueError unless the pictures are of one shape that SSIMULACRA2 is defined for."""
    if original.shape != shown.shape:
        raise ValueError(f"pictures of different shapes: {original.shape} and {shown.shape}")
    if min(shown.shape[:2]) < LEAST_SIDE:
        raise ValueError(f"SSIMULACRA2 needs sides of {LEAST_SIDE} or more, not {shown.shape[1]}x{shown.shape[0]}")


def distance_and_slope(error: float) -> tuple[float, float]:
    """An error's distance from 100 points, in hundreds, as `ltokc.losses.ssimulacra2.distance`, and its derivative."""
    total = stretched(error)
    if total < LEAST_STRETCHED:
        return 0.1 * LEAST_STRETCHED**POWER, 0.0
    return 0.1 * total**POWER, 0.1 * POWER * total ** (POWER - 1) * stretched_slope(error)


def _tiles(shape: tuple[int, int]) -> list[Tile]:
    tall, wide = (
        [slice(i, min(i + step, side)) for i in range(0, side, step)] for side, step in zip(shape, TILE, strict=True)
    )
    return [(rows, columns) for rows in tall for columns in wide]


def _fill_first(layer: Layer, original: npt.NDArray[np.uint8], shown: Array, slopes: Array) -> tuple[Array, Array]:
    """Fills the layer of scale 1, and `slopes` with the derivatives of linear light; gives both at half the size."""
    height, width = layer.shape
    halved: Array = np.empty((2, 3, -(-height // 2), -(-width // 2)), np.float32)
    for rows in row_strips(layer.shape):
        a = to_linear(original[rows])
        b = shown_to_linear(shown[rows], slopes[:, rows])
        layer.fill(a, b, rows.start)
        for linear, half in zip((a, b), halved, strict=True):
            half[:, rows.start // 2 : -(-rows.stop // 2)] = halve(linear)
    return halved[0], halved[1]


def _fill(layer: Layer, light: tuple[Array, Array]) -> None:
    for rows in row_strips(layer.shape):
        layer.fill(light[0][:, rows], light[1][:, rows], rows.start)


def _measured(layer: Layer) -> float:
    """What a filled layer adds to the error."""
    for tile in _tiles(layer.shape):
        layer.sums += layer.measure(tile)
    return layer.error()


def _back(layer: Layer, slope: float, coarser: Array | None, first: Array | None) -> Array:
    """Derivative of the distance by linear light at a scale, (3, H, W), given that at half its size.

    first: the derivatives of linear light by the picture, which are multiplied by it; None at all scales but the first.
    """
    out: Array = np.empty((3, *layer.shape), np.float32) if first is None else first
    factors = layer.factors(slope)
    for tile in _tiles(layer.shape):
        rows, columns = tile
        by_light = layer.gradient(tile, factors)
        if coarser is not None:
            halves = slice(rows.start // 2, -(-rows.stop // 2)), slice(columns.start // 2, -(-columns.stop // 2))
            _add_halves(by_light, coarser[:, *halves])
        if first is None:
            out[:, rows, columns] = by_light
        else:
            out[:, rows, columns] *= by_light
    return out


def _add_halves(out: Array, coarser: Array) -> None:
    """Adds the adjoint of `halve`: (3, h, w) and (3, ceil(h / 2), ceil(w / 2))."""
    quarters = coarser * np.float32(0.25)
    if out.shape[1] % 2:
        quarters[:, -1] *= 2
    if out.shape[2] % 2:
        quarters[:, :, -1] *= 2
    for top in range(2):
        for left in range(2):
            part = out[:, top::2, left::2]
            part += quarters[:, : part.shape[1], : part.shape[2]]


def shown_to_linear(shown: Array, slopes: Array) -> Array:
    """sRGB (H, W, 3) float32 from -1 to 1, clamped, to linear light (3, H, W); writes its derivative to `slopes`.

    The power is by exp and log: numpy does these with vectors on every processor.
    """
    planes = np.ascontiguousarray(shown.transpose(2, 0, 1), np.float32)
    base = planes * np.float32(0.5 / 1.055)  # the base of the power: (v + 0.055) / 1.055, v from 0 to 1
    base += np.float32(0.555 / 1.055)
    dark, bright = base <= np.float32(LEAST_BASE), base > 1
    np.clip(base, np.float32(LEAST_BASE), 1, out=base)
    np.log(base, out=slopes)
    slopes *= np.float32(1.4)
    np.exp(slopes, out=slopes)  # base^1.4
    base *= slopes
    slopes *= np.float32(1.2 / 1.055)
    if bright.any():
        np.copyto(slopes, 0, where=bright)
    if dark.any():
        v = (planes[dark] + 1) * np.float32(0.5)
        base[dark] = np.maximum(v, 0) * np.float32(1 / 12.92)
        slopes[dark] = (v >= 0) * np.float32(0.5 / 12.92)
    return base

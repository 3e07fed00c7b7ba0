"""Colour of large areas: means over 16x16 pixels, CIE L*a*b* and its differences.

CIE L*a*b* of sRGB under D65 (CIE 15, IEC 61966-2-1); the difference is CIE76, the Euclidean distance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.geometry import CELL, cells_of

SIDE = 16  # pixels of an area
Floats = npt.NDArray[np.float32]
_XYZ = np.array(  # of linear sRGB, divided by the white of D65
    [[0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883]], np.float32,
)  # fmt: skip
_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)
_LOW, _SLOPE = 0.008856, 7.787  # of the cube root: linear below
_STRIP = 16 * CELL  # rows averaged at a time, so that memory stays small


def pooled(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Means over 16x16 pixels of a picture (H, W, 3): (rows * 4, columns * 4, 3) in 0 to 255, of all of its cells.

    Cells that the border cuts are filled up with its pixels.
    """
    height, width = rgb.shape[:2]
    rows, columns = cells_of(height) * CELL, cells_of(width) * CELL
    out = np.empty((rows // SIDE, columns // SIDE, 3), np.float32)
    for top in range(0, rows, _STRIP):
        part = rgb[top : top + _STRIP]
        lack = min(_STRIP, rows - top) - len(part)
        part = np.pad(part, ((0, lack), (0, columns - width), (0, 0)), "edge")
        sums = np.add.reduceat(part, np.arange(0, len(part), SIDE), 0, dtype=np.uint16)
        sums = np.add.reduceat(sums, np.arange(0, columns, SIDE), 1, dtype=np.uint16)
        out[top // SIDE : (top + len(part)) // SIDE] = sums
    return out / np.float32(SIDE * SIDE)


def lab(rgb: npt.NDArray[np.floating]) -> Floats:
    """sRGB (..., 3) in 0 to 255 as L*, a*, b*, float32; what is outside is taken as the nearest inside."""
    t = _linear(np.clip(rgb, 0, 255).astype(np.float32)) @ _XYZ.T
    root = np.where(t > _LOW, np.cbrt(t), t * np.float32(_SLOPE) + np.float32(16 / 116))
    return root @ _LAB.T - np.array([16, 0, 0], np.float32)


def lab_slopes(rgb: npt.NDArray[np.floating]) -> Floats:
    """How L*, a*, b* move with each of red, green, blue at sRGB (..., 3) in 0 to 255: (..., 3, 3) float32 a step."""
    v = np.clip(rgb, 0, 255).astype(np.float32) / 255
    steps = np.where(v <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((v + 0.055) / 1.055) ** 1.4).astype(np.float32) / 255
    t = _linear(v * 255) @ _XYZ.T
    root = np.where(t > _LOW, np.maximum(t, _LOW) ** (-2 / 3) / 3, _SLOPE)
    return (_LAB @ (root[..., :, None] * _XYZ * steps[..., None, :])).astype(np.float32)


def difference(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    """CIE76 between colours (..., 3) in 0 to 255."""
    return np.sqrt(np.square(lab(a) - lab(b)).sum(-1))


def _linear(rgb: Floats) -> Floats:
    v = rgb / np.float32(255)
    return np.where(v <= 0.04045, v / np.float32(12.92), ((v + np.float32(0.055)) / np.float32(1.055)) ** 2.4)

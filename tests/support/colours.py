"""Colours in sRGB by the definitions of the signals, in floats, apart from the code of the package."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020 = ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


def chart() -> np.ndarray:
    """(6, 32, 3) uint8: grays and colours of every chroma, of which sRGB holds some in no wide gamut."""
    rng = np.random.default_rng(4)
    colours = rng.integers(0, 256, (5, 32, 3))
    grays = np.linspace(0, 255, 32).round()[None, :, None].repeat(3, 2)
    return np.concatenate([grays, colours]).astype(np.uint8)


def curve(v: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: samples to light."""
    return np.where(v > 0.04045, ((v + 0.055) / 1.055) ** 2.4, v / 12.92)


def in_srgb(light: np.ndarray, primaries: tuple, white: tuple[float, float] = D65) -> np.ndarray:
    """Light (..., 3) of these primaries as float samples of sRGB, 0 to 255, clipped; white stays white."""
    xyz = _matrix(primaries, white)
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])  # Bradford
    here, there = cone @ _xyz(white), cone @ _xyz(D65)
    adapt = np.linalg.inv(cone) @ (cone * (there / here)[:, None])
    rgb = np.clip(light @ (np.linalg.inv(_matrix(SRGB, D65)) @ adapt @ xyz).T, 0, 1)
    return 255 * np.where(rgb > 0.0031308, 1.055 * rgb ** (1 / 2.4) - 0.055, 12.92 * rgb)


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    return np.array([xy[0], xy[1], 1 - xy[0] - xy[1]]) / xy[1]


def _matrix(primaries: tuple, white: tuple[float, float]) -> np.ndarray:
    columns = np.stack([_xyz(pair) for pair in primaries], axis=1)
    return columns * np.linalg.solve(columns, _xyz(white))


Light = Callable[[np.ndarray], np.ndarray]

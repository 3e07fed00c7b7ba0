"""Measures of what a decoder draws: fine detail, fixed pattern, flat fields, the part of it that is the seed's."""

from __future__ import annotations

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])
SQUARE = 16  # px
FLAT = 2.0  # luma deviation of a flat square, of 255


def luma(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) float, 0 to 255."""
    return rgb.astype(float) @ LUMA


def fine_energy(decoded: np.ndarray, original: np.ndarray) -> float:
    """Energy of luma's finest Haar details, as a share of the original's."""
    energies = []
    for rgb in (decoded, original):
        y = luma(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
        a, b, c, d = y[::2, ::2], y[::2, 1::2], y[1::2, ::2], y[1::2, 1::2]
        parts = (a - b + c - d, a + b - c - d, a - b - c + d)
        energies.append(sum((part**2).mean() for part in parts))
    return float(energies[0] / max(energies[1], 1e-9))


def squares(picture: np.ndarray, side: int = SQUARE) -> np.ndarray:
    """(H, W) or (H, W, c) -> (n, side, side) or (n, side, side, c): the whole squares of the picture."""
    h, w = (n // side for n in picture.shape[:2])
    rest = picture.shape[2:]
    x = picture[: h * side, : w * side].reshape(h, side, w, side, *rest)
    return np.moveaxis(x, 2, 1).reshape(h * w, side, side, *rest)


def fixed_pattern(residual: np.ndarray) -> float:
    """Share of a residual's variance (H, W, 3) that is the same in every 16x16 square, chance taken off."""
    x = squares(residual.astype(float))
    pattern = x.mean(0)
    variance = ((x - x.mean((1, 2), keepdims=True)) ** 2).mean()
    share = ((pattern - pattern.mean((0, 1))) ** 2).mean() / max(variance, 1e-12)
    return float(max(0.0, (share - 1 / len(x)) / (1 - 1 / len(x))))


def flat_deviation(decoded: np.ndarray, original: np.ndarray) -> tuple[float, float] | None:
    """Mean luma deviation in 16x16 squares that are flat in the original: (decoded, original); None without any."""
    ours, theirs = (squares(luma(rgb)).std((1, 2)) for rgb in (decoded, original))
    flat = theirs < FLAT
    return (float(ours[flat].mean()), float(theirs[flat].mean())) if flat.any() else None


def seed_share(one: np.ndarray, two: np.ndarray, faithful: np.ndarray) -> float:
    """Share of the residual's variance that changes with the seed: half of two samples' mean square difference."""
    a, b, plain = (rgb.astype(float) for rgb in (one, two, faithful))
    residual = ((a - plain) ** 2).mean() / 2 + ((b - plain) ** 2).mean() / 2
    return float(((a - b) ** 2).mean() / 2 / max(residual, 1e-9))


def mean_difference(one: np.ndarray, two: np.ndarray, side: int = 8) -> float:
    """Mean absolute difference of the 8x8 means of two pictures, of 255."""
    a, b = (squares(rgb.astype(float), side).mean((1, 2)) for rgb in (one, two))
    return float(np.abs(a - b).mean())

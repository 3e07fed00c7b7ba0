"""Noise planes of the generative decoder: every number depends on (seed, stride, plane, y, x) alone.

A counter-based generator in 32-bit unsigned integers.  The five numbers are hashed one after the other; the sum of the
last hash's four bytes, shifted by 510 and divided by 148, is near normal: mean 0, standard deviation 1.00, within
-3.45 and 3.45.  Windows, crops, runtimes and machines therefore read the same bits, which `formats/LTK.md`, "Noise",
gives test values for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ltokc.tokenizer.generative import COARSE, COARSE_PLANES, OWN_PLANES

SCALE = np.float32(1 / 148)  # makes the standard deviation of four bytes' sum, 147.8, one
Span = tuple[int, int]


def mix(h: np.ndarray) -> np.ndarray:
    """A bijection of the 32-bit integers in which every input bit changes every output bit: uint32 -> uint32."""
    h = h + np.uint32(0x9E3779B9)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x7FEB352D)
    h = (h ^ h >> np.uint32(15)) * np.uint32(0x846CA68B)
    return h ^ h >> np.uint32(16)


def noise_hash(seed: int, stride: int, planes: int, rows: Span, columns: Span) -> np.ndarray:
    """The hashes behind `noise`: uint32 (planes, rows, columns)."""
    plane, y, x = np.ogrid[:planes, slice(*rows), slice(*columns)]
    h = mix(np.array([seed], np.uint32))[:, None, None]
    h = mix(h ^ np.uint32(stride))
    for part in (plane, y, x):
        h = mix(h ^ part.astype(np.uint32))
    return h


def noise(seed: int, stride: int, planes: int, rows: Span, columns: Span) -> np.ndarray:
    """Planes 0 to `planes` - 1 of one stride: float32 (planes, rows, columns), near normal.

    seed: 0 to 2**32 - 1.  rows, columns: (first, last + 1) positions at the stride, counted from the picture's corner.
    """
    h = noise_hash(seed, stride, planes, rows, columns)
    total = (h & np.uint32(255)) + (h >> np.uint32(8) & np.uint32(255)) + (h >> np.uint32(16) & np.uint32(255))
    total += h >> np.uint32(24)
    return (total.astype(np.float32) - np.float32(510)) * SCALE


def window_noise(seed: int, rows: Mapping[int, Span], columns: Mapping[int, Span]) -> list[np.ndarray]:
    """Noise for a window: float32 (1, planes, h, w) at strides 8, 4 and 2.

    rows, columns: by stride, for 8 and 4 at least, the positions (first, last + 1) of the window, counted from the
    picture's corner; those of stride 2 are twice those of stride 4.
    """
    (top, bottom), (left, right) = rows[8], columns[8]
    coarse = noise(seed, COARSE, COARSE_PLANES, (top // 2, -(-bottom // 2)), (left // 2, -(-right // 2)))
    doubled = coarse.repeat(2, 1).repeat(2, 2)[:, top % 2 :, left % 2 :][:, : bottom - top, : right - left]
    out = [np.concatenate([doubled, noise(seed, 8, OWN_PLANES[8], rows[8], columns[8])])[None]]
    out.append(noise(seed, 4, OWN_PLANES[4], rows[4], columns[4])[None])
    twice = [(2 * first, 2 * last) for first, last in (rows[4], columns[4])]
    return [*out, noise(seed, 2, OWN_PLANES[2], twice[0], twice[1])[None]]

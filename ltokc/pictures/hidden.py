"""Colours under alpha 0, which nobody sees and which an encoder would pay for: filled from what surrounds them.

A pyramid of means, weighted by alpha, is made downwards; upwards each clear pixel takes what the level below says at
its place, between its positions in a straight line.  So a fill continues the edge and is smooth farther away.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

PIXELS = 1 << 17  # at a time, so that the wider numbers stay small
ENOUGH = 1e-6  # weight from which a mean is one


def filled(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A copy of (H, W, 3) uint8 with other colours where alpha (H, W) uint8 is 0; `rgb` itself where it nowhere is."""
    if alpha.all():
        return rgb
    out = rgb.copy()
    if not alpha.any():
        out[...] = 0
        return out
    height, width = alpha.shape
    half = np.empty((-(-height // 2), -(-width // 2), 4), np.float32)
    step = 2 * max(1, PIXELS // (2 * width))
    for top in range(0, height, step):
        part = np.empty((*alpha[top : top + step].shape, 4), np.float32)
        part[..., 3] = alpha[top : top + step]
        np.multiply(rgb[top : top + step], part[..., 3:], out=part[..., :3])
        half[top // 2 : (top + step) // 2] = _halved(part)
    _fill(out, alpha == 0, _levelled(half))
    return out


def _halved(level: np.ndarray) -> np.ndarray:
    """Sums of 2x2 positions of (H, W, C); those at the border may be fewer."""
    height, width = level.shape[:2]
    if height % 2 or width % 2:
        level = np.pad(level, ((0, height % 2), (0, width % 2), (0, 0)))
    return np.asarray(level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2])


def _levelled(sums: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) uint8 of (H, W, 4) sums of weighted colours and of weights, without gaps."""
    weight = sums[..., 3]
    colours = np.rint(sums[..., :3] / np.maximum(weight, ENOUGH)[..., None]).astype(np.uint8)
    gaps = weight < ENOUGH
    if not gaps.any() or weight.size == 1:
        return colours
    _fill(colours, gaps, _levelled(_halved(sums)))
    return colours


def _fill(colours: np.ndarray, gaps: np.ndarray, below: np.ndarray) -> None:
    """Writes into the gaps what the level below says, in a straight line between the centres of its positions."""
    height, width = gaps.shape
    image = Image.fromarray(below)
    step = 2 * max(1, PIXELS // (2 * width))
    for top in range(0, height, step):
        rows = slice(top, min(height, top + step))
        if not gaps[rows].any():
            continue
        box = (0, top / 2, width / 2, rows.stop / 2)
        doubled = image.resize((width, rows.stop - top), Image.Resampling.BILINEAR, box)
        np.copyto(colours[rows], np.asarray(doubled), where=gaps[rows][..., None])

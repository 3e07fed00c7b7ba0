"""Pillow's pictures as arrays, some rows at a time."""

from __future__ import annotations

import numpy as np
from PIL import Image

STRIP = 256  # rows


def samples_of(image: Image.Image) -> np.ndarray:
    """(H, W) or (H, W, bands) uint8 of a picture of 8 bits, 0 and 255 of one of 1 bit.

    A strip at a time, since Pillow's own way makes two more copies on the way.
    """
    bands = len(image.getbands())
    out = np.empty((image.height, image.width, bands) if bands > 1 else (image.height, image.width), np.uint8)
    for top in range(0, image.height, STRIP):
        part = np.asarray(image.crop((0, top, image.width, min(image.height, top + STRIP))))
        out[top : top + STRIP] = part if part.dtype == np.uint8 else part * np.uint8(255)
    return out


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture itself where it has the mode (`convert` would copy it), else converted."""
    return image if image.mode == mode else image.convert(mode)

"""Pictures that benchmarks measure on: those of a folder, the middle of one, one made of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ltokc.errors import UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})
SIZE = (768, 512)  # of a Kodak picture, width and height


def pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, by name.  Raises UsageError when there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{folder}: no pictures")
    return found


def load_rgb(path: Path) -> Image.Image:
    """An RGB picture the way it is meant to be seen: turned as its EXIF says."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def middle(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle (height, width, 3) of a picture (H, W, 3).  Raises UsageError of a smaller picture."""
    if rgb.shape[0] < height or rgb.shape[1] < width:
        raise UsageError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels has no middle of {width}x{height}")
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def synthetic_picture(width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    """A picture with the spectrum of a photograph (amplitude 1/f), the same on every call: RGB."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    planes = []
    for _ in range(3):
        spectrum = np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency
        plane = np.fft.irfft2(spectrum, (height, width))
        planes.append(plane / plane.std())
    grey = planes[0]
    rgb = np.stack([128 + 45 * grey + 12 * planes[1], 128 + 45 * grey, 128 + 45 * grey + 12 * planes[2]], -1)
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))

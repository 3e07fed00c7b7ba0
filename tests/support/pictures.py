"""Small synthetic pictures for the tests of the codec."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms


def smooth(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: slopes of every channel, different at every corner, far from black and white."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / max(1, height - 1), x / max(1, width - 1)
    return np.stack([60 + 130 * x, 180 - 90 * y, 80 + 70 * x * y], -1).round().astype(np.uint8)


def gradients(height: int = 24, width: int = 40) -> np.ndarray:
    """(height, width, 3) uint8: red rises to the right, green downwards, blue falls to the right, over all values."""
    y, x = np.mgrid[:height, :width] / [[[max(height - 1, 1)]], [[max(width - 1, 1)]]]
    return np.stack([255 * x, 255 * y, 255 * (1 - x)], axis=-1).round().astype(np.uint8)


def grainy(width: int, height: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8 with much to code: slopes, edges and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    edges = 50 * np.sign(np.sin(x / 9) + np.cos(y / 13))[..., None]
    return (smooth(width, height) + edges + rng.normal(0, 25, (height, width, 3))).clip(0, 255).astype(np.uint8)


def half_flat() -> np.ndarray:
    """(256, 384, 3) uint8, 6x4 cells: flat on the left, full of detail on the right."""
    picture = np.full((256, 384, 3), (190, 200, 215), np.uint8)
    picture[:, 192:] = grainy(192, 256)
    return picture


def file(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    """The picture as a file of this kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    out.seek(0)
    return out


@cache  # it says when it was made
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def mean_error(a: Any, b: Any) -> float:
    """Largest difference of the channels' means over the picture."""
    means = (np.asarray(v, float).reshape(-1, 3).mean(0) for v in (a, b))
    return float(np.abs(np.subtract(*means)).max())


def swapped_profile() -> bytes:
    """A matrix profile of which red and blue are exchanged, made from sRGB's: a conversion that is easy to check."""
    data = srgb_profile()
    return data.replace(b"rXYZ", b"tmp0").replace(b"bXYZ", b"rXYZ").replace(b"tmp0", b"bXYZ")


def png_16_bit_rgb(samples: np.ndarray) -> io.BytesIO:
    """A PNG of (H, W, 3) uint16, which Pillow itself cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def two_tones(path: str, seed: int = 0) -> None:
    """A picture that an .ltk file of the best quality is larger than, and one of the lowest smaller; with alpha."""
    noise = np.random.default_rng(seed).integers(0, 2, (32, 32)) * 255
    gray = np.tile(noise, (2, 3)).astype(np.uint8)
    Image.fromarray(np.stack([gray, gray, gray, 255 - gray // 4], -1)).quantize(4).save(path, optimize=True)

"""The alpha channel as bytes: the content of the ALPH chunk.

    u8   coding
    0    constant: one byte, the value
    1    deflate: a zlib stream of the rows, top to bottom, width bytes each
    2    lossless WebP: a VP8L bitstream (RFC 9649) whose red, green and blue are all the alpha value
    3    lossy WebP: a VP8 key frame (RFC 6386) of neutral chroma, whose red is the alpha value

The writer takes the smallest of the lossless ones, or the lossy one where a quality is given.  The reader never makes
more than width * height samples (WebP: seven bytes each while it runs, twelve where libwebp cannot be called itself),
whatever the bytes ask for.
"""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image, features

from ltokc.container import bitstreams
from ltokc.container.bitstreams import VP8, VP8L, WEBP_MAX_SIDE
from ltokc.container.colour import inflated
from ltokc.errors import FormatError

CONSTANT, DEFLATE = 0, 1
STRIP = 256  # rows that are compared at a time
_SLOW_ABOVE = 1 << 20  # samples; above this the WebP writer's quick settings


def encode_alpha(alpha: np.ndarray, quality: int | None = None) -> bytes:
    """(H, W) uint8, 0 = clear to 255 = opaque, to bytes; deterministic for given versions of zlib and libwebp.

    quality: 0 to 100, lossy, sides up to 16,383 pixels; None: lossless.
    """
    if alpha.ndim != 2 or alpha.dtype != np.uint8 or alpha.size == 0:
        raise ValueError(f"alpha must be (H, W) uint8 and not empty, is {alpha.shape} {alpha.dtype}")
    value = int(alpha[0, 0])
    if (alpha == value).all():
        return bytes((CONSTANT, value))
    picture = Image.fromarray(alpha)
    if quality is not None:
        return bytes((VP8,)) + bitstreams.encode(VP8, picture, quality)
    candidates = [bytes((DEFLATE,)) + zlib.compress(np.ascontiguousarray(alpha).tobytes(), 9)]
    if max(alpha.shape) <= WEBP_MAX_SIDE and features.check("webp"):
        effort = (25, 2) if alpha.size > _SLOW_ABOVE else (100, 5)
        candidates.append(bytes((VP8L,)) + bitstreams.encode(VP8L, picture, *effort))
    return min(candidates, key=len)


def decode_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """Bytes to (height, width) uint8.  The caller has checked the size against its limits.  Raises FormatError."""
    if len(data) < 2:
        raise FormatError("alpha is cut short")
    coding, body = data[0], data[1:]
    if coding == CONSTANT:
        if len(body) != 1:
            raise FormatError("constant alpha must be one byte")
        return np.full((height, width), body[0], np.uint8)
    if coding == DEFLATE:
        samples = inflated(body, width * height, "alpha")
        return np.frombuffer(samples, np.uint8).reshape(height, width).copy()
    if coding not in (VP8L, VP8):
        raise FormatError(f"unknown alpha coding {coding}")
    rgb = bitstreams.decode(coding, body, width, height, "alpha")
    rounded = 1 if coding == VP8 else 0  # by how much libwebp's green of neutral chroma may be below red and blue
    out = np.empty((height, width), np.uint8)
    for top in range(0, height, STRIP):
        rows = slice(top, top + STRIP)
        red, green, blue = rgb[rows, :, 0], rgb[rows, :, 1], rgb[rows, :, 2]
        if (red != blue).any() or (green > red).any() or (red - green > rounded).any():
            raise FormatError("alpha has colour")
        out[rows] = red
    return out

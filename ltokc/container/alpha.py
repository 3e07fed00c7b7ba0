"""The alpha channel as bytes, lossless: the content of the ALPH chunk.

    u8   coding
    0    constant: one byte, the value
    1    deflate: a zlib stream of the rows, top to bottom, width bytes each
    2    WebP: a VP8L bitstream (RFC 9649) whose red, green and blue are all the alpha value, without any RIFF framing

The writer takes the smallest; the reader never makes more than width * height samples (VP8L: eight times that while it
runs), whatever the bytes ask for.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, features

from ltokc.errors import FormatError, LimitError

CONSTANT, DEFLATE, VP8L = 0, 1, 2
VP8L_MAX_SIDE = 16383
VP8L_SIGNATURE = 0x2F
STRIP = 256  # rows that are compared at a time
_SLOW_ABOVE = 1 << 20  # samples; above this the WebP writer's quick settings


def encode_alpha(alpha: np.ndarray) -> bytes:
    """(H, W) uint8, 0 = clear to 255 = opaque, to bytes; deterministic for given versions of zlib and libwebp."""
    if alpha.ndim != 2 or alpha.dtype != np.uint8 or alpha.size == 0:
        raise ValueError(f"alpha must be (H, W) uint8 and not empty, is {alpha.shape} {alpha.dtype}")
    value = int(alpha[0, 0])
    if (alpha == value).all():
        return bytes((CONSTANT, value))
    candidates = [bytes((DEFLATE,)) + zlib.compress(np.ascontiguousarray(alpha).tobytes(), 9)]
    if max(alpha.shape) <= VP8L_MAX_SIDE and features.check("webp"):
        candidates.append(bytes((VP8L,)) + _write_vp8l(alpha))
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
        return _read_deflate(body, width, height)
    if coding == VP8L:
        return _read_vp8l(body, width, height)
    raise FormatError(f"unknown alpha coding {coding}")


def _read_deflate(body: bytes, width: int, height: int) -> np.ndarray:
    inflater = zlib.decompressobj()
    try:
        samples = inflater.decompress(body, width * height)
        if not inflater.eof:  # the checksum may still be unread; one more sample is one too many
            samples += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise FormatError(f"alpha is damaged ({error})") from error
    if not inflater.eof or inflater.unused_data or len(samples) != width * height:
        raise FormatError("alpha does not fill the picture exactly")
    return np.frombuffer(samples, np.uint8).reshape(height, width).copy()


def _write_vp8l(alpha: np.ndarray) -> bytes:
    out = io.BytesIO()
    quick = alpha.size > _SLOW_ABOVE
    gray = Image.fromarray(alpha).convert("RGB")
    gray.save(out, "WEBP", lossless=True, quality=25 if quick else 100, method=2 if quick else 5)
    framed = out.getvalue()
    if framed[:4] != b"RIFF" or framed[12:16] != b"VP8L":
        raise AssertionError("libwebp wrote no plain VP8L file")
    (size,) = struct.unpack_from("<I", framed, 16)
    return framed[20 : 20 + size]


def _read_vp8l(body: bytes, width: int, height: int) -> np.ndarray:
    if len(body) < 5 or body[0] != VP8L_SIGNATURE:
        raise FormatError("alpha is no VP8L bitstream")
    fields = int.from_bytes(body[1:5], "little")  # 14 bits width-1, 14 bits height-1, 1 bit alpha, 3 bits version
    if (fields & 0x3FFF, fields >> 14 & 0x3FFF, fields >> 28) != (width - 1, height - 1, 0):
        raise FormatError("alpha is not of the picture's size")
    if not features.check("webp"):
        raise FormatError("this Pillow has no WebP, which the alpha channel is stored in")
    padded = body + b"\x00" * (len(body) & 1)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(body)) + padded
    try:
        samples = _rgbx(b"RIFF" + struct.pack("<I", len(chunk)) + chunk)
    except MemoryError:
        raise LimitError("not enough memory for this alpha channel") from None
    except Exception as error:  # Pillow's readers raise many kinds
        raise FormatError("alpha is damaged") from error
    if len(samples) != 4 * width * height:
        raise FormatError("alpha is damaged")
    pixels, out = np.frombuffer(samples, np.uint8).reshape(height, width, 4), np.empty((height, width), np.uint8)
    for top in range(0, height, STRIP):
        part = pixels[top : top + STRIP]
        if (part[:, :, 1:3] != part[:, :, :1]).any():
            raise FormatError("alpha is damaged")
        out[top : top + STRIP] = part[:, :, 0]
    return out


def _rgbx(data: bytes) -> bytes:
    """Pixels of a still WebP file without alpha, four bytes each: red, green, blue and one more.

    Pillow's decoder is called past `Image.open`, which would hold the pixels a third time; a Pillow without that
    decoder does it so.
    """
    try:
        from PIL import _webp

        decoder = _webp.WebPAnimDecoder(data)
    except (ImportError, AttributeError):
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            return image.convert("RGB").tobytes("raw", "RGBX")
    if decoder.get_info()[4] != "RGBX":
        return b""
    return decoder.get_next()[0]

"""Pictures inside chunks: bitstreams of VP8L, VP8 and AV1 without any file around them.

    2    VP8L: lossless WebP (RFC 9649, section 3)
    3    VP8: a key frame of lossy WebP (RFC 6386)
    4    AV1: sequence header and frame of a still picture, as in an AVIF file

A bitstream says its size in its first bytes.  `check` reads it there, so that nothing is decoded, and nothing
allocated, unless it is the size that the file leaves room for.  Pillow decodes, given the file that belongs around
the bitstream.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ltokc.container import av1
from ltokc.errors import FormatError, LimitError
from ltokc.threads import cores, runtime_threads

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

VP8L, VP8, AV1 = 2, 3, 4
NAMES = {VP8L: "VP8L", VP8: "VP8", AV1: "AV1"}
WEBP_MAX_SIDE = 16383
MAX_SIDE = {VP8L: WEBP_MAX_SIDE, VP8: WEBP_MAX_SIDE, AV1: 1 << 15}  # px; of AV1: that libavif reads
AV1_THREADS = 2  # at least: one thread makes another file than two or more, which all make the same
VP8L_SIGNATURE = 0x2F
VP8_START = b"\x9d\x01\x2a"
VP8_VERSIONS = 4


def check(coding: int, body: bytes, width: int, height: int, what: str) -> None:
    """Raises FormatError unless the first bytes are those of a picture of width x height pixels in this coding.

    what: the subject of the error, "alpha" for example.
    """
    size = {VP8L: _vp8l_size, VP8: _vp8_size, AV1: av1.size}[coding](body)
    if size is None:
        raise FormatError(f"{what} is no {NAMES[coding]} bitstream")
    if size != (width, height):
        raise FormatError(f"{what} is not of its size: {size[0]}x{size[1]} pixels instead of {width}x{height}")


def decode(coding: int, body: bytes, width: int, height: int, what: str) -> np.ndarray:
    """The pixels, (height, width, 3) uint8, sRGB.  The caller has checked the size against its limits.

    Raises FormatError for damage, another size, or a Pillow that cannot read the coding.
    """
    import numpy as np
    from PIL import Image, features

    check(coding, body, width, height, what)
    kind = "AVIF" if coding == AV1 else "WEBP"
    if not features.check(kind.lower()):
        raise FormatError(f"this Pillow has no {kind}, which {what} is stored in")
    framed = av1.framed(body, width, height) if coding == AV1 else _riff(coding, body)
    try:
        for decoder in () if coding == AV1 else (_webp_pixels, _pixels_of_animation):
            if (pixels := decoder(framed, width, height)) is not None:
                return pixels
        with Image.open(io.BytesIO(framed), formats=[kind]) as image:
            if image.size != (width, height) or image.mode not in ("RGB", "L"):
                raise FormatError(f"{what} is damaged")
            return np.array(image.convert("RGB"))
    except (MemoryError, Image.DecompressionBombError):
        raise LimitError(f"{what} is too large for this machine, or for Pillow's limit of pixels") from None
    except Exception as error:  # Pillow's readers raise many kinds
        raise FormatError(f"{what} is damaged") from error


def _webp_pixels(framed: bytes, width: int, height: int) -> np.ndarray | None:
    """The pixels of a WebP file by the decoder that Pillow is linked with, into the array that is wanted.

    Pillow itself reads every WebP as an animation, with two canvases and a copy: 12 bytes a pixel, here 3 and libwebp's
    own 4.  None where the library's function cannot be reached (on Windows, and where it is linked statically).
    """
    import ctypes

    import numpy as np
    from PIL import _webp

    try:
        into = ctypes.CDLL(_webp.__file__).WebPDecodeRGBInto
    except (AttributeError, OSError):
        return None
    into.restype = ctypes.c_void_p
    into.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    pixels = np.empty((height, width, 3), np.uint8)
    if not into(framed, len(framed), pixels.ctypes.data, pixels.nbytes, 3 * width):
        raise FormatError("libwebp finds it damaged")
    return pixels


def _pixels_of_animation(framed: bytes, width: int, height: int) -> np.ndarray | None:
    """The same by the decoder inside Pillow, where it is: `Image.open` would hold the pixels once more."""
    import numpy as np
    from PIL import _webp

    if not hasattr(_webp, "WebPAnimDecoder"):
        return None
    decoder = _webp.WebPAnimDecoder(framed)
    size, _, _, _, mode = decoder.get_info()
    if size != (width, height) or mode != "RGBX":
        raise FormatError("not the picture that the bitstream promises")
    return np.frombuffer(decoder.get_next()[0], np.uint8).reshape(height, width, 4)[..., :3]


def encode(
    coding: int, image: Image, quality: int = 100, effort: int = 5, subsampling: str = "4:2:0",
    advanced: Mapping[str, str] | None = None,
) -> bytes:  # fmt: skip
    """A Pillow picture, RGB or L, as a bitstream.

    quality: 0 to 100, as Pillow has it; effort: 0 (quick) to 6 (small); subsampling: of AV1, "4:2:0", "4:4:4", or
    "4:0:0" for a gray picture; advanced: of AV1, options of its encoder, left out where it does not know them.
    Deterministic for a given version of Pillow, on any number of cores.
    """
    out = io.BytesIO()
    if coding == AV1:
        threads = max(AV1_THREADS, runtime_threads() or cores())
        settings: dict[str, Any] = {
            "quality": quality, "speed": 10 - effort, "subsampling": subsampling, "max_threads": threads,
            "autotiling": False,
        }  # fmt: skip
        try:
            image.save(out, "AVIF", **settings, **({"advanced": dict(advanced)} if advanced else {}))
        except (OSError, ValueError, RuntimeError):
            if not advanced:
                raise
            return encode(coding, image, quality, effort, subsampling)  # an encoder that does not know them
        return av1.bare(out.getvalue())
    image.convert("RGB").save(out, "WEBP", lossless=coding == VP8L, quality=quality, method=effort)
    framed, name = out.getvalue(), b"VP8L" if coding == VP8L else b"VP8 "
    if framed[:4] != b"RIFF" or framed[12:16] != name:
        raise AssertionError(f"libwebp wrote no plain {NAMES[coding]} file")
    (size,) = struct.unpack_from("<I", framed, 16)
    return framed[20 : 20 + size]


def _vp8l_size(body: bytes) -> tuple[int, int] | None:
    if len(body) < 5 or body[0] != VP8L_SIGNATURE:
        return None
    fields = int.from_bytes(body[1:5], "little")  # 14 bits width-1, 14 bits height-1, 1 bit alpha, 3 bits version
    return None if fields >> 28 else ((fields & 0x3FFF) + 1, (fields >> 14 & 0x3FFF) + 1)


def _vp8_size(body: bytes) -> tuple[int, int] | None:
    if len(body) < 10 or body[3:6] != VP8_START:
        return None
    tag = int.from_bytes(body[:3], "little")  # 1 bit inter frame, 3 bits version, 1 bit shown, 19 bits first partition
    if tag & 1 or tag >> 1 & 7 >= VP8_VERSIONS or not tag >> 4 & 1 or tag >> 5 > len(body) - 10:
        return None
    width, height = struct.unpack_from("<HH", body, 6)  # the upper two bits scale
    return None if (width | height) >> 14 else (width, height)


def _riff(coding: int, body: bytes) -> bytes:
    name = b"VP8L" if coding == VP8L else b"VP8 "
    chunk = b"WEBP" + name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk

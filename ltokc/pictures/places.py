"""Which metadata of a decoded picture goes where in a PNG, JPEG, WebP or AVIF file, and what has no place there.

Names are those of `Image.info`, see `ltokc.pictures.chunks.metadata_of`.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import partial
from typing import Any

from PIL import Image, PngImagePlugin

from ltokc.errors import Say
from ltokc.pictures.extras import COMMENT, RAW_PROFILE, photoshop_block

LABELS = {"exif": "EXIF", "icc_profile": "ICC profile", "xmp": "XMP", "iptc": "IPTC captions", "text": "text",
          "dpi": "resolution", "aspect": "shape of pixels"}  # fmt: skip
PLACES = {
    "png": tuple(LABELS), "jpg": tuple(LABELS), "webp": ("exif", "icc_profile", "xmp"),
    "avif": ("exif", "icc_profile", "xmp"), "ppm": (), "npy": (),
}  # fmt: skip
NAMES = {"jpg": "JPEG", "webp": "WebP"}  # in Pillow, and for people
MAX_SEGMENT = 65533  # bytes of a segment of a JPEG
MAX_DENSITY = 65535  # of JFIF
PNG_HEAD, JFIF_UNIT = 33, 13  # bytes of a PNG up to its first free chunk; place of the unit of the density in a JFIF


def options_of(info: dict[Any, Any], format: str, say: Say) -> dict[str, Any]:
    """Keywords of Pillow's `save` that write the metadata; what has no place in the format is told."""
    name = NAMES.get(format, format)
    out: dict[str, Any] = {}
    for kind in LABELS:
        if not info.get(kind):
            continue
        if kind not in PLACES[format]:
            _left_out(say, LABELS[kind], f"{name} has no place for it")
            continue
        for keywords in _keywords(kind, info[kind], format):
            out = _with(out, keywords, format, partial(_left_out, say, LABELS[kind]))
    return out


def _left_out(say: Say, label: str, why: str) -> None:
    say(f"{label} left out: {why}")


def with_aspect(data: bytes, format: str, aspect: tuple[int, int]) -> bytes:
    """A PNG or JPEG file that Pillow wrote without a resolution, with the ratio of its pixels' sides."""
    if format == "png":
        body = b"pHYs" + struct.pack(">IIB", *aspect, 0)
        return data[:PNG_HEAD] + struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body)) + data[PNG_HEAD:]
    if format == "jpg" and max(aspect) <= MAX_DENSITY:
        return data[:JFIF_UNIT] + struct.pack(">BHH", 0, *aspect) + data[JFIF_UNIT + 5 :]
    return data


def _keywords(kind: str, value: Any, format: str) -> list[dict[str, Any]]:
    """Keywords for one kind, one at a time; those of a PNG's texts are gathered by `_with`."""
    if kind == "exif" and format == "jpg" and not value.startswith(b"Exif"):
        return [{"exif": b"Exif\x00\x00" + value}]  # the one format whose writer wants the prefix
    if kind == "xmp" and format == "png":
        packet = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return [{"text": ("XML:com.adobe.xmp", packet)}]
    if kind == "iptc" and format == "png":
        block = photoshop_block(value)
        digits = "\n".join(block.hex()[at : at + 72] for at in range(0, 2 * len(block), 72))
        return [{"text": (f"{RAW_PROFILE}iptc", f"\niptc\n{len(block):8}\n{digits}\n")}]
    if kind == "iptc":
        return [{"extra": b"Photoshop 3.0\0" + photoshop_block(value)}]
    if kind == "text":
        return [{"text": pair} for pair in value]
    if kind == "dpi" and format == "jpg":
        return [{"dpi": tuple(round(side) for side in value)}]
    return [] if kind == "aspect" else [{kind: value}]


def _with(options: dict[str, Any], added: dict[str, Any], format: str, refuse: Say) -> dict[str, Any]:
    """The options with one more, unless a picture of one pixel cannot be written with it."""
    ((kind, value),) = added.items()
    if kind == "text" and format == "jpg":
        keyword, said = value
        if keyword != COMMENT or "comment" in options:
            refuse(f"JPEG has no place for {keyword[:40]!r}")
            return options
        added = {"comment": said.encode()}
    elif kind == "text":
        return _with_text(options, value, refuse)
    elif kind == "extra":
        if len(value) > MAX_SEGMENT - 2:
            refuse(f"{len(value):,} bytes are too many for JPEG")
            return options
        added = {"extra": b"\xff\xed" + struct.pack(">H", len(value) + 2) + value}
    elif kind == "dpi" and format == "jpg" and not all(1 <= side <= MAX_DENSITY for side in value):
        refuse(f"JPEG holds 1 to {MAX_DENSITY} dots an inch")
        return options
    try:
        Image.new("RGB", (1, 1)).save(io.BytesIO(), NAMES.get(format, format).upper(), **added)
    except Exception as error:  # noqa: BLE001 (each writer has its own)
        size = f"{len(value):,} bytes, " if isinstance(value, bytes) else ""
        refuse(f"it cannot be written as {NAMES.get(format, format)} ({size}{str(error) or type(error).__name__})")
        return options
    return options | added


def _with_text(options: dict[str, Any], pair: tuple[str, str], refuse: Say) -> dict[str, Any]:
    keyword, said = pair
    texts = options.get("pnginfo") or PngImagePlugin.PngInfo()
    try:
        if keyword == "XML:com.adobe.xmp":
            texts.add_itxt(keyword, said)
        else:
            texts.add_text(keyword, said, zip=len(said) > 1024)
    except (ValueError, UnicodeError):
        refuse(f"{keyword[:40]!r} is no keyword of a PNG")
    return options | {"pnginfo": texts}

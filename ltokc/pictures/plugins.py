"""Formats that Pillow reads with another package: HEIC by pillow-heif, JPEG XL by pillow-jxl-plugin.

A package is loaded for a file that begins as its format does, and for no other; where it is missing the error names it.
Its reader is called directly: whether the package also registers itself with Pillow makes no difference here.
"""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from ltokc.errors import FormatError
from ltokc.pictures import jxl


@dataclass(frozen=True, slots=True)
class Plugin:
    """A package and its reader: `reader` of `module`, called as Pillow calls one.  name: of the format, for people."""

    name: str
    package: str
    module: str
    reader: str


HEIC = Plugin("HEIC", "pillow-heif", "pillow_heif.as_plugin", "HeifImageFile")
JPEG_XL = Plugin("JPEG XL", "pillow-jxl-plugin", "pillow_jxl.JpegXLImagePlugin", "JXLImageFile")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def plugin_of(head: bytes) -> Plugin | None:
    """The package that reads a file of these first bytes (16 or more)."""
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return HEIC
    return JPEG_XL if jxl.is_jxl(head) else None


def open_by_plugin(file: BinaryIO, plugin: Plugin) -> Image.Image:
    """Opens a picture; of JPEG XL that decodes it, so its size is checked before (`ltokc.pictures.headers`).

    Raises FormatError: the package is not installed, or cannot read the file.
    """
    try:
        reader = getattr(importlib.import_module(plugin.module), plugin.reader)
    except (ImportError, AttributeError) as error:
        raise FormatError(
            f"{plugin.name} needs {plugin.package}, which is not installed: pip install {plugin.package}"
        ) from error
    file.seek(0)
    if plugin is JPEG_XL and jxl.is_animated(file):
        raise FormatError("an animated JPEG XL is not read; export one frame of it")
    file.seek(0)
    try:
        image: Image.Image = reader(file, "")
    except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:
        raise FormatError(f"damaged {plugin.name}, or of a kind that {plugin.package} does not read") from error
    return image

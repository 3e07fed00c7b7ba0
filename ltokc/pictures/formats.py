"""Pillow's readers by an allow-list, and its limit of pixels.

Pillow tries every reader that it has.  One of them starts another program (EPS: Ghostscript), some open a second file
inside the first by trying every reader again (IPTC), others are kept for formats that nobody stores photographs in.
Only the readers named here are ever tried, and those of two packages (`ltokc.pictures.plugins`) for their own formats.
"""

from __future__ import annotations

import contextlib
import importlib
import struct
import threading
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from ltokc.container import MAX_SIDE
from ltokc.errors import FormatError
from ltokc.pictures.plugins import open_by_plugin, plugin_of

# Pillow's names of formats and the module of each.  TGA has no magic number and is tried last.
READERS = {
    "PNG": "PngImagePlugin", "JPEG": "JpegImagePlugin", "WEBP": "WebPImagePlugin", "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin", "TIFF": "TiffImagePlugin", "BMP": "BmpImagePlugin", "DIB": "BmpImagePlugin",
    "PPM": "PpmImagePlugin", "JPEG2000": "Jpeg2KImagePlugin", "QOI": "QoiImagePlugin", "PSD": "PsdImagePlugin",
    "ICO": "IcoImagePlugin", "ICNS": "IcnsImagePlugin", "DDS": "DdsImagePlugin", "SGI": "SgiImagePlugin",
    "PCX": "PcxImagePlugin", "SUN": "SunImagePlugin", "XBM": "XbmImagePlugin", "XPM": "XpmImagePlugin",
    "MSP": "MspImagePlugin", "TGA": "TgaImagePlugin",
}  # fmt: skip
FORMATS = tuple(READERS)
POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
_limit_lock = threading.Lock()  # Image.MAX_IMAGE_PIXELS is one global of Pillow


def open_listed(file: BinaryIO) -> Image.Image:
    """Opens the header of a picture of a listed format; no size is checked.

    Raises FormatError, and what Pillow raises on damage.
    """
    file.seek(0)
    head = file.read(16)
    if head.startswith(POSTSCRIPT):
        raise FormatError("PostScript is not read, since it would have to be run")
    trouble = ""
    for name, module in READERS.items():
        importlib.import_module(f"PIL.{module}")
        if name not in Image.OPEN:  # a build of Pillow without this format
            continue
        factory, accept = Image.OPEN[name]
        try:
            accepted = accept is None or accept(head)
        except (struct.error, IndexError):  # it looks at bytes that a short file lacks
            continue
        if not accepted or isinstance(accepted, str):  # a text says what this build of Pillow lacks
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:  # not of this format after all, or damaged
            if accept is not None and not trouble:
                trouble = f"{name} picture that cannot be opened ({' '.join(str(error).split())[:200] or 'damaged'})"
    if not trouble and (plugin := plugin_of(head)) is not None:
        return open_by_plugin(file, plugin)
    raise FormatError(trouble or "not a picture of a known format")


@contextlib.contextmanager
def pillow_limit(limit_pixels: int | None) -> Iterator[None]:
    """Lifts Pillow's own limit to this one where it is lower, and never away; it is one global of all threads.

    limit_pixels: None stands for the largest picture there can be.
    """
    wanted = MAX_SIDE**2 if limit_pixels is None else limit_pixels
    own = Image.MAX_IMAGE_PIXELS
    if own is None or own >= wanted:
        yield
        return
    with _limit_lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max(wanted, Image.MAX_IMAGE_PIXELS or 0)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before

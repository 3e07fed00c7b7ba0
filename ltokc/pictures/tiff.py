"""Layouts of TIFF that are read, and those that are refused because Pillow may read them wrongly without a word.

TIFF has many ways to store samples.  `tests/pictures/test_tiff_layouts.py` writes every layout that is taken here and
compares the pixels; what is not proven there is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image

from ltokc.errors import FormatError

# Tags, by their names in TIFF 6.0 and DNG 1.6
NEW_SUBFILE_TYPE, COMPRESSION, PHOTOMETRIC, SUB_IFDS, SAMPLE_FORMAT = 254, 259, 262, 330, 339
BITS, SAMPLES, PLANAR, PREDICTOR, SUBSAMPLING, DNG_VERSION, EXTRA = 258, 277, 284, 317, 530, 50706, 338
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
NAMES = {WHITE_IS_ZERO: "gray (white is 0)", BLACK_IS_ZERO: "gray", RGB: "RGB", PALETTE: "palette", CMYK: "CMYK",
         YCBCR: "YCbCr", LAB: "CIE Lab"}  # fmt: skip
WIDTH, HEIGHT = 256, 257
CANON = b"CR\2\0"  # behind the header of a CR2 file, whose first directory is a JPEG preview
MAX_SUB_IFDS = 64
RAW, JPEG = (1,), (6, 7)  # kinds of compression
UNSIGNED, FLOAT = 1, 3  # sample formats
REDUCED = 1  # bit of the subfile type: a smaller version of another picture in the file
ADVICE = "save it again as 8-bit RGB without planes, or as PNG"
RAW_ADVICE = "export it from a raw converter as TIFF, PNG or JPEG"


def check_tiff(image: Image.Image) -> None:
    """Raises FormatError for an opened, not yet loaded TIFF whose pixels Pillow is not known to read rightly."""
    tags: Mapping[int, Any] = image.tag_v2  # type: ignore[attr-defined]
    _check_whole(image, tags)
    bits, samples = _numbers(tags, BITS, (1,)), int(tags.get(SAMPLES, 1))
    photometric = int(tags.get(PHOTOMETRIC, -1))
    kinds = set(_numbers(tags, SAMPLE_FORMAT, (UNSIGNED,)))
    raw = tags.get(COMPRESSION, 1) in RAW
    planes = tags.get(PLANAR, 1) == 2 and samples > 1
    name = NAMES.get(photometric)
    if name is None:
        raise FormatError(f"a TIFF of photometric interpretation {photometric}: {RAW_ADVICE}")
    if len(kinds) != 1 or len(set(bits)) != 1 or kinds - {UNSIGNED, FLOAT}:
        raise _refusal(f"samples of type {sorted(kinds)} and {sorted(set(bits))} bits")
    depth, what = bits[0], f"{name} of {samples} times {bits[0]} bits{' in planes' if planes else ''}"
    if kinds == {FLOAT}:
        swapped = image.tag_v2.prefix == b"MM" and not raw  # type: ignore[attr-defined]
        if depth != 32 or photometric != BLACK_IS_ZERO or samples != 1 or swapped:
            raise _refusal(f"float samples, {what}{', big-endian and compressed' if swapped else ''}")
        return
    allowed = {
        WHITE_IS_ZERO: (1, 2, 4, 8), BLACK_IS_ZERO: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8),
        CMYK: (8, 16), YCBCR: (8,), LAB: (8,),
    }[photometric]  # fmt: skip
    if depth not in allowed:
        raise _refusal(what)
    if planes and (photometric not in (RGB, CMYK) or (depth == 16 and raw)):
        raise _refusal(what)
    if photometric == YCBCR and tags.get(COMPRESSION) not in JPEG and _numbers(tags, SUBSAMPLING, (2, 2)) != (1, 1):
        raise _refusal(f"{what}, subsampled without JPEG")


def _check_whole(image: Image.Image, tags: Mapping[int, Any]) -> None:
    """Raw files begin with a preview; the picture of the camera lies in a directory that Pillow does not open."""
    size = f"{image.width} x {image.height}"
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(8)
    if DNG_VERSION in tags or file.read(4) == CANON:
        raise FormatError(f"a raw file; {RAW_ADVICE}")
    if int(tags.get(NEW_SUBFILE_TYPE, 0)) & REDUCED:
        raise FormatError(f"the first picture in the file is a preview of {size} pixels, as in raw files; {RAW_ADVICE}")
    order = "<" if image.tag_v2.prefix == b"II" else ">"  # type: ignore[attr-defined]
    for offset in _numbers(tags, SUB_IFDS, ())[:MAX_SUB_IFDS]:
        width, height = _size_at(file, offset, order)
        if width * height > image.width * image.height:
            raise FormatError(
                f"a picture of {size} pixels with one of {width} x {height} inside, as in raw files; {RAW_ADVICE}"
            )
    file.seek(place)


def _size_at(file: BinaryIO, offset: int, order: str) -> tuple[int, int]:
    """Width and height in a directory of a classic TIFF; 0 where it is damaged."""
    found = {WIDTH: 0, HEIGHT: 0}
    file.seek(offset)
    try:
        (count,) = struct.unpack(f"{order}H", file.read(2))
        for _ in range(count):
            entry = file.read(12)
            tag, kind = struct.unpack_from(f"{order}2H", entry)
            if tag in found:
                (found[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", entry, 8)
    except struct.error:
        return 0, 0
    return found[WIDTH], found[HEIGHT]


def _numbers(tags: Mapping[int, Any], tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return tuple(value) if isinstance(value, (tuple, list)) else (int(value),)


def _refusal(what: str) -> FormatError:
    return FormatError(f"this layout of TIFF is not read ({what}); {ADVICE}")

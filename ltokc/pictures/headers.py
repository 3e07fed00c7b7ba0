"""Sizes that a picture file names in its first bytes, read before a reader of Pillow allocates by them.

Some of Pillow's readers allocate while they open a file (GIF, APNG, WebP), others open a second picture inside the file
that may be larger than the header says (ICO, ICNS).  For these formats every size is read here first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from ltokc.geometry import Size
from ltokc.pictures import jxl

PNG = b"\x89PNG\r\n\x1a\n"
JP2, CODESTREAM = b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"  # JPEG 2000, in its box and bare
MAX_ENTRIES = 256  # pictures in an icon; files of today have about 10


def declared_sizes(file: BinaryIO) -> list[Size]:
    """The sizes in the headers of a file; none for other formats.  The file's position stays.

    A header that is cut or damaged gives the sizes before the damage.
    """
    start = file.tell()
    file.seek(0)
    head = file.read(32)
    sizes: list[Size] = []
    try:
        for magic, sizes_of in _READERS:
            if head.startswith(magic):
                sizes.extend(sizes_of(file, head))
    except (struct.error, IndexError):
        pass
    finally:
        file.seek(start)
    return sizes


def _png(file: BinaryIO, head: bytes) -> Iterator[Size]:
    yield _size_inside(head)


def _webp(file: BinaryIO, head: bytes) -> Iterator[Size]:
    kind = head[8:16]
    if kind == b"WEBPVP8X":
        yield Size(int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1)
    elif kind == b"WEBPVP8L":
        bits = int.from_bytes(head[21:25], "little")
        yield Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    elif kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<2H", head, 26)
        yield Size(width & 0x3FFF, height & 0x3FFF)


def _gif(file: BinaryIO, head: bytes) -> Iterator[Size]:
    """The screen, and the extent of the first frame, which may reach beyond it."""
    width, height, flags = struct.unpack_from("<2HB", head, 6)
    yield Size(width, height)
    file.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    while (kind := file.read(1)) == b"!":
        file.read(1)
        while length := file.read(1)[0]:
            file.seek(length, 1)
    if kind == b",":
        left, top, across, down = struct.unpack("<4H", file.read(8))
        yield Size(max(width, left + across), max(height, top + down))


def _ico(file: BinaryIO, head: bytes) -> Iterator[Size]:
    (count,) = struct.unpack_from("<H", head, 4)
    file.seek(6)
    for entry in struct.iter_unpack("<12xI", file.read(16 * min(count, MAX_ENTRIES))):
        file.seek(entry[0])
        inside = file.read(24)
        if inside.startswith(PNG):
            yield _size_inside(inside)
        else:  # a bitmap of twice the height: colours, then the mask
            width, height = struct.unpack_from("<2i", inside, 4)
            yield Size(abs(width), abs(height) // 2)


def _icns(file: BinaryIO, head: bytes) -> Iterator[Size]:
    place, end = 8, struct.unpack_from(">I", head, 4)[0]
    for _ in range(MAX_ENTRIES):
        if place >= end:
            return
        file.seek(place)
        (length,) = struct.unpack(">4xI", file.read(8))
        inside = file.read(80)
        if inside.startswith((PNG, JP2, CODESTREAM)):
            yield _size_inside(inside)
        place += max(8, length)


def _jxl(file: BinaryIO, head: bytes) -> Iterator[Size]:
    yield jxl.size_of(file)


def _size_inside(head: bytes) -> Size:
    """Size of a PNG or JPEG 2000 picture from its first bytes."""
    if head.startswith(PNG):
        return Size(*struct.unpack_from(">2I", head, 16))
    if head.startswith(CODESTREAM):
        return Size(*struct.unpack_from(">2I", head, 8))
    height, width = struct.unpack_from(">2I", head, head.index(b"ihdr") + 4 if b"ihdr" in head else len(head))
    return Size(width, height)


_READERS = (
    (PNG, _png),
    (b"RIFF", _webp),
    (b"GIF8", _gif),
    (b"\0\0\1\0", _ico),
    (b"icns", _icns),
    (jxl.CODESTREAM, _jxl),
    (jxl.CONTAINER, _jxl),
)

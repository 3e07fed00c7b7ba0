"""What kind of file it is, by its suffix or else by its first bytes.

A suffix is believed: a damaged `photo.jpg` is a picture that cannot be read, not a file to pass over.  What has another
suffix or none is looked into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

HEAD = 32  # bytes that are read of a file

_MAGIC = (  # of pictures that are told by a fixed text at the start
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"qoif", b"8BPS", b"icns", b"DDS ",
    b"\x01\xda", b"\x59\xa6\x6a\x95", b"/* XPM */", b"DanM", b"LinS",
    b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb",  # camera raw: named, and refused
)  # fmt: skip
_BRANDS = (  # of ISO media files that are pictures, not films: AVIF, HEIF and its relatives, Canon's raw
    b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"crx ",
)  # fmt: skip
_NETPBM = re.compile(rb"P[1-6]\s+[\d#]")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of the header that follows the first 14


def is_picture(head: bytes) -> bool:
    """Whether the first bytes are those of a picture's format, also of one that is not read here."""
    return (
        head.startswith(_MAGIC)
        or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or _NETPBM.match(head) is not None
        or (head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS)
        or (head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(head[4:6], "little") < 256)
        or (head[:1] == b"\x0a" and head[1:2] in (b"\0", b"\2", b"\3", b"\5") and head[2:3] == b"\1")
    )


def is_ltk(head: bytes) -> bool:
    """Whether a file is an .ltk file."""
    return head.startswith(b"\x89LTK")


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of one kind: their suffixes (lower case, with the dot), and how their first bytes are told from others'.

    name: one of them, several of them.  `suffix in kind` asks for a suffix.
    """

    name: tuple[str, str]
    suffixes: tuple[str, ...]
    told_by: Callable[[bytes], bool]

    def __contains__(self, suffix: object) -> bool:
        return suffix in self.suffixes

    def holds(self, path: str) -> bool:
        """Whether a file is of this kind; a file whose suffix says so is not opened.  OSError."""
        if os.path.splitext(path)[1].lower() in self.suffixes:
            return True
        with open(path, "rb") as file:
            return self.told_by(file.read(HEAD))


LTK = Kind((".ltk file", ".ltk files"), (".ltk",), is_ltk)
PICTURES = Kind(
    ("picture", "pictures"),
    (
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".webp", ".avif", ".avifs", ".heic",
        ".heif", ".hif", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".jp2",
        ".jpx", ".j2k", ".j2c", ".jpf", ".ico", ".icns", ".tga", ".qoi", ".psd", ".dds", ".sgi", ".pcx", ".xbm",
    ),
    is_picture,
)  # fmt: skip

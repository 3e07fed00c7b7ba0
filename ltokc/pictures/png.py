"""The chunks of a PNG file: which there are, what some of them say, which are damaged (PNG, 3rd edition, section 5)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB = 0, 2  # colour types that tRNS may be a colour of
SMALL = ("cICP", "gAMA", "cHRM", "sRGB", "tRNS")  # chunks that are held
TEXTS = ("tEXt", "zTXt", "iTXt")
MAX_SMALL, MAX_TEXT, MAX_TEXTS = 1 << 10, 1 << 20, 1 << 26  # bytes of a small chunk, of a text, of all texts
BLOCK = 1 << 16  # bytes that are read at a time
# What is kept, used, or says something of the PNG's own samples only; the others are named as left out.
USED = {"IHDR", "PLTE", "IDAT", "IEND", "iCCP", "pHYs", "eXIf", "acTL", "fcTL", "fdAT", "sBIT", "hIST", "sPLT", "mDCV",
        "cLLI", "mDCv", "cLLi", *SMALL, *TEXTS}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """A text chunk.  `language` is an RFC 5646 tag; `translated` the keyword in that language; both often empty."""

    keyword: str
    said: str
    language: str = ""
    translated: str = ""


@dataclass(slots=True)
class Chunks:
    """What the chunks of a file say.

    depth: bits a sample; kind: the colour type.  names: of all chunks, each once.  small: data of those in SMALL.
    unread: keywords of texts that are too long or damaged.  damaged: name, place and length of ancillary chunks with a
    wrong checksum.  end: first byte behind the file's last chunk; 0 where that is missing.
    """

    depth: int = 0
    kind: int = 0
    names: dict[str, None] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    texts: list[Text] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    damaged: list[tuple[str, int, int]] = field(default_factory=list)
    end: int = 0

    @property
    def others(self) -> list[str]:
        """Names of chunks that nothing is made of."""
        return [name for name in self.names if name not in USED]


def chunks_of(file: BinaryIO) -> Chunks:
    """Reads the chunks of a PNG from the start of the file up to its end or the first that is cut.

    Pixels are not read.  The file's position changes.
    """
    found, room = Chunks(), MAX_TEXTS
    file.seek(len(SIGNATURE))
    try:
        for name, place, length in _walk(file):
            if name == "IHDR":
                found.depth, found.kind = struct.unpack("8x2B", file.read(10))
            ancillary = name[0].islower()
            if ancillary and not _whole(file, place, length):
                found.damaged.append((name, place, length))
                continue
            found.names[name] = None
            if name in SMALL and length <= MAX_SMALL:
                file.seek(place + 8)
                found.small.setdefault(name, file.read(length))
            elif name in TEXTS:
                file.seek(place + 8)
                text = _text(name, file.read(min(length, MAX_TEXT + BLOCK)), min(room, MAX_TEXT))
                if text is None:
                    found.unread.append(name)
                else:
                    found.texts.append(text)
                    room -= len(text.said)
            elif name == "IEND":
                found.end = place + length + 12
                break
    except struct.error:
        pass
    return found


def _walk(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Name, place and length of the data, for each chunk; the file stands at its data."""
    place = file.tell()
    while len(head := file.read(8)) == 8:
        length, code = struct.unpack(">I4s", head)
        if not code.isalpha() or not code.isascii():
            return
        yield code.decode("ascii"), place, length
        place += length + 12
        file.seek(place)


def _whole(file: BinaryIO, place: int, length: int) -> bool:
    """Whether the checksum of a chunk is right; True for one that the file's end cuts, which is another damage."""
    file.seek(place + 4)
    left, crc = length + 4, 0
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            return True
        left, crc = left - len(block), zlib.crc32(block, crc)
    said = file.read(4)
    return len(said) < 4 or said == struct.pack(">I", crc)


def _text(name: str, data: bytes, room: int) -> Text | None:
    """None: damaged, or longer than `room`."""
    keyword, _, rest = data.partition(b"\0")
    language = translated = b""
    packed = name == "zTXt"
    if name == "iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:]
        language, _, rest = rest.partition(b"\0")
        translated, _, rest = rest.partition(b"\0")
    elif packed:
        rest = rest[1:]
    if packed:
        inflate = zlib.decompressobj()
        try:
            rest = inflate.decompress(rest, room + 1)
        except zlib.error:
            return None
    if not keyword or len(rest) > room:
        return None
    try:
        said = rest.decode("utf-8" if name == "iTXt" else "latin-1")
        return Text(keyword.decode("latin-1"), said, language.decode("ascii"), translated.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def without(file: BinaryIO, damaged: list[tuple[str, int, int]]) -> BinaryIO:
    """A copy of a PNG file in memory without these chunks, as libpng leaves them out."""
    out = io.BytesIO()
    file.seek(0)
    for _, place, length in damaged:
        out.write(file.read(place - file.tell()))
        file.seek(place + length + 12)
    out.write(file.read())
    out.seek(0)
    return out

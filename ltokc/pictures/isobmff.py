"""Boxes of an AVIF or HEIF file: how its primary picture is coded (ISO/IEC 14496-12, 23008-12, 23000-22)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_META = 1 << 24  # bytes of the box that describes the items
MAX_BOXES = 1 << 12  # at the top of a file
CODECS = ("av1C", "hvcC")
VIDEO = "mpvd"  # box of a motion photo's video
GAIN_MAP = b"tmap"  # type of the item that joins a picture and its gain map (ISO 21496-1)


@dataclass(slots=True)
class About:
    """What a file says of its primary picture.

    bits: a sample, 0 where it is not said.  nclx: numbers of primaries and transfer of ITU-T H.273.  gain_map, video:
    what hangs on the picture.  end: first byte behind the last box.
    """

    bits: int = 0
    nclx: tuple[int, int] | None = None
    gain_map: bool = False
    video: bool = False
    end: int = 0


def about(file: BinaryIO) -> About:
    """Reads the boxes of a file from its start; what is damaged is passed over.  The file's position changes."""
    found = About()
    place = 0
    for _ in range(MAX_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head[:8])
        skip = 8
        if size == 1 and len(head) == 16:
            (size,), skip = struct.unpack(">Q", head[8:]), 16
        if size == 0 or size < skip or not name.isalnum():
            break
        if name == b"meta" and size <= MAX_META:
            file.seek(place + skip)
            try:
                _read_meta(file.read(size - skip)[4:], found)
            except (struct.error, IndexError):
                pass
        found.video |= name == VIDEO.encode()
        place += size
        found.end = place
    return found


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        size = size or len(data) - place
        if size < 8:
            return
        yield name.decode("latin-1"), data[place + 8 : place + size]
        place += size


def _read_meta(data: bytes, found: About) -> None:
    parts = dict(_boxes(data))
    found.gain_map = GAIN_MAP in parts.get("iinf", b"")
    item = parts.get("pitm", b"")
    primary = struct.unpack_from(">H" if item[:1] == b"\0" else ">I", item, 4)[0] if item else None
    properties = list(_boxes(parts.get("iprp", b"")))
    held = [box for name, content in properties if name == "ipco" for box in _boxes(content)]
    links = [link for name, content in properties if name == "ipma" for link in _links(content, primary)]
    for name, content in [held[i - 1] for i in links if 0 < i <= len(held)] if links else held:
        if name == "colr" and content[:4] == b"nclx" and found.nclx is None:
            found.nclx = struct.unpack_from(">2H", content, 4)
        elif name == "av1C" and not found.bits:
            found.bits = (12 if content[2] & 0x20 else 10) if content[2] & 0x40 else 8
        elif name == "hvcC" and not found.bits:
            found.bits = 8 + (content[17] & 7)


def _links(content: bytes, primary: int | None) -> Iterator[int]:
    """Numbers, from 1, of the properties that the primary item has."""
    version, flags = content[0], content[3]
    (entries,), place = struct.unpack_from(">I", content, 4), 8
    for _ in range(min(entries, len(content))):
        (item,) = struct.unpack_from(">I" if version else ">H", content, place)
        place += 4 if version else 2
        count, place = content[place], place + 1
        for _ in range(count):
            if flags & 1:
                number = struct.unpack_from(">H", content, place)[0] & 0x7FFF
            else:
                number = content[place] & 0x7F
            place += 2 if flags & 1 else 1
            if item == primary:
                yield number

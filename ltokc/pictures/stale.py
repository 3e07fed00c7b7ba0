"""EXIF and XMP without what is no longer true of the pixels: thumbnail, size, colour space, what hung on the file.

Only values are patched and the end of EXIF is cut: a rewritten block would break the absolute offsets in maker notes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ltokc.geometry import Size

# Tags of EXIF 2.32
EXIF_IFD, INTEROPERABILITY, COLOUR_SPACE, WIDTH, HEIGHT = 0x8769, 0xA005, 0xA001, 0xA002, 0xA003
THUMBNAIL, THUMBNAIL_LENGTH, INDEX = 0x0201, 0x0202, 1
SHORT, LONG, ASCII, SRGB = 3, 4, 2, 1
ADOBE_INDEX, SRGB_INDEX = b"R03\0", b"R98\0"
JPEG = b"\xff\xd8"
MAX_ENTRIES = 1 << 12
GONE = (  # namespaces of XMP, and which of their names describe what is not kept; None: all of them
    (rb"http://ns\.google\.com/photos/1\.0/camera/", rb"(?:MotionPhoto|MicroVideo)\w*"),
    (rb"http://ns\.google\.com/photos/1\.0/container/", None),
    (rb"http://ns\.google\.com/photos/1\.0/(?:container/item|depthmap|image|audio)/", None),
    (rb"http://ns\.google\.com/photos/dd/1\.0/[\w/]*", None),
    (rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/", None),
    (rb"http://ns\.apple\.com/HDRGainMap/1\.0/", None),
    (rb"http://ns\.apple\.com/pixeldatainfo/1\.0/", None),
    (rb"http://ns\.adobe\.com/xmp/note/", rb"HasExtendedXMP"),
    (rb"http://ns\.adobe\.com/xap/1\.0/", rb"Thumbnails"),
)
PREFIX = rb"""xmlns:([\w.-]+)\s*=\s*["']%s["']"""
PROFILE = re.compile(rb"""(?<=\s)photoshop:ICCProfile\s*=\s*(?:"[^"]*"|'[^']*')|<photoshop:ICCProfile>[^<]*</[^>]*>""")
SPACE = re.compile(rb"""(exif:ColorSpace\s*(?:=\s*["']|>)\s*)\d+""")

Entry = tuple[int, int, int, int]  # tag, type, number of values, place of the value or of its offset


def true_exif(exif: bytes, size: Size) -> tuple[bytes, bool]:
    """EXIF of pixels in sRGB of this size, without a thumbnail; also whether there was one.

    exif: a TIFF structure.  A damaged part is left as it is.
    """
    block = bytearray(exif)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None:
        return exif, False
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        entries = list(_entries(block, start, order))
        _describe(block, entries, order, size)
        return _without_thumbnail(block, start + 2 + 12 * len(entries), order)
    except struct.error:
        return bytes(block), False


def _entries(block: bytearray, start: int, order: str) -> Iterator[Entry]:
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for place in range(start + 2, start + 2 + 12 * min(count, MAX_ENTRIES), 12):
        tag, kind, number = struct.unpack_from(f"{order}2HI", block, place)
        yield tag, kind, number, place + 8


def _describe(block: bytearray, first: list[Entry], order: str, size: Size) -> None:
    """Writes size and colour space into the Exif directory, sRGB into that of interoperability."""
    for at in (place for tag, _, _, place in first if tag == EXIF_IFD):
        (start,) = struct.unpack_from(f"{order}I", block, at)
        for tag, kind, number, place in list(_entries(block, start, order)):
            value = {COLOUR_SPACE: SRGB, WIDTH: size.width, HEIGHT: size.height}.get(tag)
            if value is not None and number == 1 and kind in (SHORT, LONG):
                struct.pack_into(f"{order}{'H' if kind == SHORT else 'I'}", block, place, value)
            elif tag == INTEROPERABILITY:
                _describe_index(block, place, order)


def _describe_index(block: bytearray, pointer: int, order: str) -> None:
    (start,) = struct.unpack_from(f"{order}I", block, pointer)
    for tag, kind, number, place in list(_entries(block, start, order)):
        if (tag, kind, number) == (INDEX, ASCII, 4) and block[place : place + 4] == ADOBE_INDEX:
            block[place : place + 4] = SRGB_INDEX


def _without_thumbnail(block: bytearray, link: int, order: str) -> tuple[bytes, bool]:
    """Unlinks the second directory; a JPEG that it points to is cut off at the block's end, or filled with zeros."""
    (second,) = struct.unpack_from(f"{order}I", block, link)
    if not second:
        return bytes(block), False
    struct.pack_into(f"{order}I", block, link, 0)
    found = {}
    try:
        for tag, _, _, place in _entries(block, second, order):
            if tag in (THUMBNAIL, THUMBNAIL_LENGTH):
                (found[tag],) = struct.unpack_from(f"{order}I", block, place)
    except struct.error:
        return bytes(block), True
    place, length = found.get(THUMBNAIL, 0), found.get(THUMBNAIL_LENGTH, 0)
    if place > link and length and block[place : place + len(JPEG)] == JPEG:
        if place + length >= len(block):
            del block[place:]
        else:
            block[place : place + length] = bytes(length)
    return bytes(block), True


def true_xmp(packet: bytes) -> bytes:
    """XMP of pixels in sRGB, without what describes a video, a gain map, depth or thumbnails in the file."""
    for namespace, names in GONE:
        for prefix in set(re.findall(PREFIX % namespace, packet)):
            name = re.escape(prefix) + b":" + (names or rb"[\w.-]+")
            packet = _without_elements(packet, name)
            packet = re.sub(rb"""\s+%s\s*=\s*(?:"[^"]*"|'[^']*')""" % name, b"", packet)
    packet = PROFILE.sub(lambda found: found[0] if b"sRGB" in found[0] else b"", packet)
    return SPACE.sub(rb"\g<1>1", packet)


def _without_elements(packet: bytes, name: bytes) -> bytes:
    """Without the elements of these names and what is in them; an element that is not closed stays."""
    opening = re.compile(rb"<(%s)(?=[\s/>])[^>]*?(/?)>" % name)
    kept, at, place = [], 0, 0  # `at`: the first byte that is not in `kept`
    open_ones: set[bytes] = set()  # of which no more is closed
    while found := opening.search(packet, place):
        place = found.end()
        if not found[2]:
            closing = None if found[1] in open_ones else packet.find(b"</" + found[1], place)
            if closing is None or closing < 0:
                open_ones.add(found[1])
                continue
            place = packet.find(b">", closing) + 1 or len(packet)
        kept.append(packet[at : found.start()])
        at = place
    return b"".join([*kept, packet[at:]])

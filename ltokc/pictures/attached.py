"""What hangs on a picture in its file and is not kept: a motion photo's video, a gain map, further pictures, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 1 << 20  # bytes that are looked at a time
EMPTY = b"\0 \t\r\n\xff"  # what fills a file up
JPEG, VIDEO = b"\xff\xd8\xff", b"ftyp"  # first bytes of a picture; the name of a video's first box
GAIN_MAPS = (b"hdrgm", b"hdr-gain-map", b"HDRGainMap", b"urn:iso:std:iso:ts:21496")  # what XMP and ISO 21496-1 call it


@dataclass(frozen=True, slots=True)
class Attached:
    """end: the first byte behind the picture, 0 where it is not known; gain_map, video: those inside of it."""

    end: int
    gain_map: bool = False
    video: bool = False


def behind(file: BinaryIO, attached: Attached, xmp: bytes | str | None = None) -> str:
    """What to say of a file: "video (1,032 bytes) behind the picture not kept", or "".

    xmp: the picture's.  The file's position changes.
    """
    things = ["gain map"] * attached.gain_map + ["video"] * attached.video
    length = 0
    if attached.end and not attached.video:
        packet = xmp.encode() if isinstance(xmp, str) else xmp or b""
        length, found = _looked_at(file, attached.end, any(word in packet for word in GAIN_MAPS))
        things += found
    if not things:
        return f"{length:,} bytes behind the picture's end not kept" if length else ""
    size = f" ({length:,} bytes behind the picture)" if length else ""
    return f"{' and '.join(things)}{size} not kept"


def _looked_at(file: BinaryIO, end: int, expected: bool) -> tuple[int, list[str]]:
    """Length of what follows a picture, 0 for filling, and what it holds; expected: whether a gain map is."""
    file.seek(end)
    first, length, tail, filling = b"", 0, b"", True
    video = gain_map = False
    while block := file.read(BLOCK):
        first = first or block[: len(JPEG)]
        filling = filling and not block.strip(EMPTY)
        seen = tail + block
        video |= VIDEO in seen
        gain_map |= any(word in seen for word in GAIN_MAPS)
        length, tail = length + len(block), seen[-32:]
    if filling:
        return 0, []
    picture = first == JPEG
    things = ["gain map"] if picture and (gain_map or expected) else ["another picture"] if picture else []
    return length, things + ["video"] * video

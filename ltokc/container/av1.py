"""A still picture of AV1 without its AVIF file: the two units that matter, and the file put around them again.

An AVIF file has some 270 bytes of boxes around a picture that may take as few.  All they say follows from the
sequence header.  Its bits are read here, so that the size is known before a decoder is asked; the frame header of a
still picture with a reduced header cannot say another.  Specification: AV1 Bitstream & Decoding Process, sections 5.3
and 5.5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SEQUENCE_HEADER, TEMPORAL_DELIMITER, FRAME = 1, 2, 6  # kinds of units ("OBU")
SRGB, BT601 = (1, 13), 6  # colour primaries and transfer; matrix, as ISO/IEC 23091-2 numbers them
PROFILES = 2  # 0: 4:2:0 and gray, 1: 4:4:4
MAX_UNIT_BYTES = 4  # of a length: units of a chunk stay below 2**28 bytes


@dataclass(frozen=True, slots=True)
class Sequence:
    """What the sequence header of a still picture says.

    Sides in pixels; level: seq_level_idx; scalable: whether frames may be of super-resolution.
    """

    profile: int
    level: int
    width: int
    height: int
    gray: bool
    chroma_position: int
    scalable: bool


def size(body: bytes) -> tuple[int, int] | None:
    """Width and height in pixels; None for what is not one sequence header, then one frame, of a picture as wanted."""
    found = _sequence_of(body)
    return None if found is None else (found.width, found.height)


def is_screen(body: bytes) -> bool:
    """Whether a bitstream that `size` takes may copy its own blocks (intra block copy, what screens are made of).

    That is a bit of the frame header (section 5.9.2).
    """
    units = _units(body)
    sequence = _sequence_of(body)
    if units is None or sequence is None:
        return False
    frame = _Bits(units[1][1])
    frame.take(1)  # whether probabilities stay as they are
    if not frame.take(1):  # tools for screens
        return False
    frame.take(1)  # whole motion vectors
    if sequence.scalable and frame.take(1):  # super-resolution: no copies
        return False
    if frame.take(1):  # another size is to be shown
        frame.take(32)
    return bool(frame.take(1))


def framed(body: bytes, width: int, height: int) -> bytes:
    """The AVIF file of a bitstream that `size` takes."""
    sequence = _sequence_of(body)
    assert sequence is not None
    subsampled = sequence.profile == 0
    config = bytes((0x81, sequence.profile << 5 | sequence.level,
                    sequence.gray << 4 | subsampled << 3 | subsampled << 2 | sequence.chroma_position, 0))  # fmt: skip
    planes = 1 if sequence.gray else 3
    properties = _box(b"ipco", _box(b"ispe", struct.pack(">III", 0, width, height)),
                      _box(b"pixi", struct.pack(">IB", 0, planes) + b"\x08" * planes), _box(b"av1C", config),
                      _box(b"colr", b"nclx" + struct.pack(">HHHB", *SRGB, BT601, 0x80)))  # fmt: skip
    uses = _box(b"ipma", struct.pack(">IIHB", 0, 1, 1, 4) + b"\x01\x02\x83\x04")  # item 1; av1C is essential
    kind = _box(b"hdlr", bytes(8) + b"pict" + bytes(13))
    item = _box(b"iinf", struct.pack(">IH", 0, 1), _box(b"infe", b"\x02\0\0\0\0\x01\0\0av01\0"))
    start = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")

    def meta(offset: int) -> bytes:
        place = _box(b"iloc", struct.pack(">IBBHHHHII", 0, 0x44, 0, 1, 1, 0, 1, offset, len(body)))
        return _box(b"meta", bytes(4), kind, _box(b"pitm", struct.pack(">IH", 0, 1)), place, item,
                    _box(b"iprp", properties, uses))  # fmt: skip

    return start + meta(len(start) + len(meta(0)) + 8) + _box(b"mdat", body)


def bare(avif: bytes) -> bytes:
    """The bitstream of an AVIF file that Pillow wrote of one picture: the data without temporal delimiters."""
    at = avif.index(b"mdat")
    units = _units(avif[at + 4 : at - 4 + int.from_bytes(avif[at - 4 : at], "big")])
    if units is None:
        raise AssertionError("libavif wrote no plain still picture")
    body = b"".join(whole for kind, _, whole in units if kind != TEMPORAL_DELIMITER)
    if size(body) is None:
        raise AssertionError("libavif wrote no plain still picture")
    return body


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def _units(body: bytes) -> list[tuple[int, bytes, bytes]] | None:
    """(kind, payload, whole) of every unit; None where the bytes cannot be followed to their end."""
    out, at = [], 0
    while at < len(body):
        begin, head = at, body[at]
        if head & 0x87 != 2:  # forbidden bit, extension, size missing, reserved bit
            return None
        at, length = at + 1, 0
        for i in range(MAX_UNIT_BYTES + 1):
            if at >= len(body) or i == MAX_UNIT_BYTES:
                return None
            byte, at = body[at], at + 1
            length |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                break
        if length > len(body) - at:
            return None
        out.append((head >> 3, body[at : at + length], body[begin : at + length]))
        at += length
    return out


class _Bits:
    """Bits of some bytes from the first on; 0 beyond the last, where `left` is negative."""

    def __init__(self, data: bytes):
        self.bits, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        return self.bits >> self.left & (1 << count) - 1 if self.left >= 0 else 0


def _sequence_of(body: bytes) -> Sequence | None:
    units = _units(body)
    if units is None or [kind for kind, _, _ in units] != [SEQUENCE_HEADER, FRAME]:
        return None
    return _sequence(units[0][1])


def _sequence(data: bytes) -> Sequence | None:
    """The sequence header; None unless of a still picture with a reduced header, 8 bits, sRGB, BT.601, full range."""
    bits = _Bits(data)
    take = bits.take
    profile, still, reduced, level = take(3), take(1), take(1), take(5)
    width_bits, height_bits = take(4) + 1, take(4) + 1
    width, height = take(width_bits) + 1, take(height_bits) + 1
    take(3)  # tools: 128x128 blocks, filter-intra, intra edges
    scalable = bool(take(1))
    take(2)  # CDEF, restoration
    deep = take(1)
    gray = bool(take(1)) if profile == 0 else False
    described = take(1)
    colour = (take(8), take(8), take(8)) if described else None
    full_range = take(1)
    position = take(2) if profile == 0 and not gray else 0
    if not gray:
        take(1)  # separate quantizers of the two chroma planes
    grain = take(1)
    good = profile < PROFILES and still and reduced and full_range and colour == (*SRGB, BT601)
    if bits.left < 0 or deep or grain or not good:
        return None
    return Sequence(profile, level, width, height, gray, position, scalable)

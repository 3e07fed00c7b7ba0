"""The first fields of a JPEG XL file (ISO/IEC 18181-1, annexes A and D), read before a decoder allocates by them."""

from __future__ import annotations

import struct
from typing import BinaryIO

from ltokc.errors import FormatError
from ltokc.geometry import Size

CODESTREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
SIDE_BITS = (9, 13, 18, 30)
HEADER = 64  # bytes of a codestream in which the fields lie
MOST_BOXES = 64


def is_jxl(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a JPEG XL file, bare or in boxes."""
    return head.startswith((CODESTREAM, CONTAINER))


def size_of(file: BinaryIO) -> Size:
    """Width and height as the header gives them.  Raises FormatError, struct.error, IndexError for a damaged one."""
    return _size(_Bits(_codestream(file)))


def is_animated(file: BinaryIO) -> bool:
    """Whether the header says that frames follow each other in time; False where a preview lies before that field."""
    bits = _Bits(_codestream(file))
    _size(bits)
    if bits.take(1) or not bits.take(1):  # all fields have their defaults, or those here
        return False
    bits.take(3)  # orientation
    if bits.take(1):  # an intrinsic size
        _size(bits)
    return not bits.take(1) and bool(bits.take(1))


class _Bits:
    """Fields of a codestream, the lowest bit of a byte first."""

    def __init__(self, data: bytes):
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise FormatError("the header of this JPEG XL file is cut")
        found = self.value & (1 << count) - 1
        self.value >>= count
        self.left -= count
        return found


def _size(bits: _Bits) -> Size:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        over, under = RATIOS[ratio - 1]
        return Size(height * over // under, height)
    return Size(_side(bits, small), height)


def _side(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(SIDE_BITS[bits.take(2)]) + 1


def _codestream(file: BinaryIO) -> bytes:
    """The first bytes of the codestream, without its signature."""
    file.seek(0)
    head = file.read(len(CONTAINER))
    if head.startswith(CODESTREAM):
        file.seek(len(CODESTREAM))
        return file.read(HEADER)
    for _ in range(MOST_BOXES):
        length, name = struct.unpack(">I4s", file.read(8))
        skipped = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            skipped = 16
        if name in (b"jxlc", b"jxlp"):
            found = file.read(HEADER + 6)
            found = found[4:] if name == b"jxlp" else found  # the number of the part
            if not found.startswith(CODESTREAM):
                raise FormatError("no JPEG XL codestream in this file")
            return found[len(CODESTREAM) :]
        if length < skipped:
            break
        file.seek(length - skipped, 1)
    raise FormatError("no JPEG XL codestream in this file")

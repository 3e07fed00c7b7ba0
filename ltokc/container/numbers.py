"""Numbers and checksums as bytes, and a place in bytes from which they are taken.  `formats/LTK.md`, section 1."""

from __future__ import annotations

import zlib

from ltokc.errors import FormatError, TruncatedError

MAX_VARINT_BYTES = 5


class Cut(FormatError):
    """The bytes ended inside something."""


class Cursor:
    """Takes bytes and numbers from the front.  Raises Cut at the end, FormatError for a misspelt number."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, length: int, what: str) -> bytes:
        if length > self.left:
            raise Cut(f"the file is cut inside {what}")
        self.position += length
        return self.data[self.position - length : self.position]

    def varint(self, what: str) -> int:
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.take(1, what)[0]
            if index == 0 and byte == 0x80:
                break
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise FormatError(f"{what} is not a number in its shortest form")

    def sealed(self, length: int, crc: int, what: str, allow_truncated: bool, check: bool = True) -> tuple[bytes, bool]:
        """`length` bytes, then their CRC-32 (continued from `crc`): the bytes that are there, whether all are.

        Raises FormatError, TruncatedError.
        """
        body = self.data[self.position : self.position + length]
        self.position += len(body)
        seal = self.data[self.position : self.position + 4]
        self.position += len(seal)
        if len(seal) < 4 and not allow_truncated:
            raise TruncatedError(f"the file is cut inside {what}")
        if check and len(body) == length and not crc32(body, crc).startswith(seal):
            raise FormatError(f"{what} is damaged: its checksum does not match")
        return body, len(seal) == 4


def varint(value: int) -> bytes:
    """Base 128, most significant group first, the high bit set on all bytes but the last; shortest form."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def crc32(data: bytes, start: int = 0) -> bytes:
    """CRC-32 of `data`, continued from `start`: 4 bytes, big-endian."""
    return zlib.crc32(data, start).to_bytes(4, "big")

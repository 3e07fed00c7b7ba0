"""The container of .ltk files read a second time, from formats/LTK.md alone: see `independent_reader`.

Imports nothing of the codec.  Pillow reads the VP8L bitstream of an alpha plane, which is RFC 9649's to specify.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

KNOWN = {b"ALPH", b"iCCP", b"eXIf", b"xMPt", b"nOTE"}
LIMIT_PIXELS = 89_478_485


class Refused(Exception):
    """The file breaks a rule."""


@dataclass
class Header:
    model: int
    hash: int
    width: int
    height: int
    side: int = 0  # of a segment in cells; 0: one segment
    cut: bool = False
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)


class Bytes:
    """Section 1: numbers."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            raise Refused("cut")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, n: int) -> int:
        return int.from_bytes(self.take(n), "big")

    def varint(self) -> int:
        value = 0
        for i in range(5):
            byte = self.number(1)
            if i == 0 and byte == 0x80:
                raise Refused("not the shortest form")
            value = value * 128 + byte % 128
            if byte < 128:
                return value
        raise Refused("varint of more than 5 bytes")


def boxes(h: Header) -> list[tuple[int, int, int, int]]:
    """Section 3: (top, left, rows, columns) in cells of every segment."""
    rows, columns = -(-h.height // 64), -(-h.width // 64)
    s = h.side or max(rows, columns)
    return [(y, x, min(s, rows - y), min(s, columns - x)) for y in range(0, rows, s) for x in range(0, columns, s)]


def parse(data: bytes, cut: bool, limit_pixels: int = LIMIT_PIXELS) -> tuple[Header, list[bytes]]:
    """Header and payloads; those of a file that was cut as long as the file lasts."""
    f = Bytes(data)
    if f.take(4) != b"\x89LTK":
        raise Refused("magic")
    version, flags = divmod(f.number(1), 16)
    if version != 1 or flags & 8 or flags & 5 == 4:
        raise Refused("version or flags")
    h = Header(f.varint(), f.number(2), f.varint() + 1, f.varint() + 1)
    if h.model >= 2**28 or max(h.width, h.height) > 65535 or h.width * h.height > limit_pixels:
        raise Refused("limits")
    chunks = f.number(1) if flags & 1 else 0
    if flags & 1 and not 1 <= chunks <= 64:
        raise Refused("number of chunks")
    if flags & 2:
        h.side = 2 ** f.number(1)
        if h.side not in (8, 16, 32):
            raise Refused("side of a segment")
    elif -(-h.width // 64) * -(-h.height // 64) > 1024:
        raise Refused("too many cells in one segment")
    if not flags & 3:
        body, seal = data[f.at : -4], data[-4:]
        if len(data) >= f.at + 4 and zlib.crc32(data[:-4]) == int.from_bytes(seal, "big"):
            return h, [body]
        if not cut:
            raise Refused("checksum")
        h.cut = True
        return h, [data[f.at :]]
    count = len(boxes(h)) if flags & 2 else 1
    lengths = [f.varint() for _ in range(count)]
    if 0 in lengths:
        raise Refused("empty payload")
    crc = zlib.crc32(data[: f.at])
    if flags & 2:
        if f.number(4) != crc:
            raise Refused("checksum of the header")
        crc = 0
    payloads = []
    for length in lengths:
        body = data[f.at : f.at + length]
        seal = data[f.at + length : f.at + length + 4]
        f.at = min(len(data), f.at + length + 4)
        if len(body) == length and zlib.crc32(body, crc).to_bytes(4, "big")[: len(seal)] != seal:
            raise Refused("checksum of a payload")
        h.cut |= len(seal) < 4
        payloads.append(body)
    if not h.cut:
        read_chunks(f, h, chunks, bool(flags & 4))
    if f.at != len(data) or (h.cut and not cut):
        raise Refused("cut, or bytes after the end")
    return h, payloads


def read_chunks(f: Bytes, h: Header, count: int, alpha: bool) -> None:
    for _ in range(count):
        try:
            name = f.take(4)
            if not (name.isascii() and name.isalpha()) or (name[:1].isupper() and name not in KNOWN):
                raise Refused("name of a chunk")
            if name in KNOWN and name in [known for known, _ in h.chunks]:
                raise Refused("a chunk twice")
            length = f.varint()
            if length > 64 << 20:
                raise Refused("length of a chunk")
            rest = f.data[f.at :]  # of a cut file as much of the checksum as is there must match
            if len(rest) >= length:
                crc = zlib.crc32(name + rest[:length]).to_bytes(4, "big")
                if not crc.startswith(rest[length : length + 4]):
                    raise Refused("checksum of a chunk")
            body, _ = f.take(length), f.take(4)
            h.chunks.append((name, body))
        except Refused as error:
            if str(error) != "cut":
                raise
            h.cut, f.at = True, len(f.data)
            return
    if alpha != (b"ALPH" in [name for name, _ in h.chunks]):
        raise Refused("flag and chunk of alpha")


def read_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """Section 2, "Alpha": (height, width) uint8."""
    coding, body = data[:1], data[1:]
    if coding == b"\0" and len(body) == 1:
        return np.full((height, width), body[0], np.uint8)
    if coding == b"\1":
        inflate = zlib.decompressobj()
        try:
            samples = inflate.decompress(body, width * height + 1)
        except zlib.error as error:
            raise Refused("zlib") from error
        if inflate.eof and not inflate.unused_data and len(samples) == width * height:
            return np.frombuffer(samples, np.uint8).reshape(height, width)
    if coding == b"\2" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        if (bits % 2**14 + 1, bits // 2**14 % 2**14 + 1, bits // 2**28) == (width, height, 0):
            riff = b"WEBPVP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
            try:
                image = Image.open(io.BytesIO(b"RIFF" + struct.pack("<I", len(riff)) + riff))
                red, green, blue = (np.asarray(plane) for plane in image.convert("RGB").split())
            except Exception as error:
                raise Refused("VP8L") from error
            if (red == green).all() and (red == blue).all():
                return red
    raise Refused("alpha")

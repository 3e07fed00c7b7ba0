"""The container of .ltk files read a second time, from formats/LTK.md alone: see `independent_reader`.

Imports nothing of the codec.  What chunks hold that is to be seen is read in `independent_picture`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

ORDER = [{b"cOLr"}, {b"pTCH"}, {b"ALPH"}, {b"iCCP", b"eXIf", b"xMPt", b"iPTC", b"pHYs", b"tEXt", b"nOTE"}]
KNOWN = set.union(*ORDER)
OFTEN = {b"pTCH", b"tEXt"}
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
    gray: bool = False
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
    if version != 1 or flags & 5 == 4:
        raise Refused("version or flags")
    h = Header(f.varint(), f.number(2), f.varint() + 1, f.varint() + 1, gray=bool(flags & 8))
    if h.model >= 2**28 or max(h.width, h.height) > 65535 or h.width * h.height > limit_pixels:
        raise Refused("limits")
    chunks = f.varint() if flags & 1 else 0
    if flags & 2:
        h.side = 2 ** f.number(1)
        if h.side not in (8, 16, 32):
            raise Refused("side of a segment")
    elif -(-h.width // 64) * -(-h.height // 64) > 1024:
        raise Refused("too many cells in one segment")
    if flags & 1 and not 1 <= chunks <= 64 + len(boxes(h)):
        raise Refused("number of chunks")
    if not flags & 3:
        body, seal = data[f.at : -4], data[-4:]
        if len(data) >= f.at + 4 and zlib.crc32(data[:-4]) == int.from_bytes(seal, "big"):
            return h, [body]
        if any(zlib.crc32(data[:k]).to_bytes(4, "big") == data[k : k + 4] for k in range(f.at + 1, len(data) - 4)):
            raise Refused("bytes after the end")
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
            check_name(name, [known for known, _ in h.chunks if known in KNOWN])
            length = f.varint()
            if length > 64 << 20:
                raise Refused("length of a chunk")
            rest = f.data[f.at :]  # of a cut file as much of the checksum as is there must match
            if len(rest) >= length:
                crc = zlib.crc32(name + rest[:length]).to_bytes(4, "big")
                if not crc.startswith(rest[length : length + 4]):
                    raise Refused("checksum of a chunk")
            body, _ = f.take(length), f.take(4)
        except Refused as error:
            if str(error) != "cut":
                raise
            h.cut, f.at = True, len(f.data)
            return
        if name == b"pHYs":
            check_resolution(body)
        if name == b"tEXt":
            check_text(body)
        h.chunks.append((name, body))
    if alpha != (b"ALPH" in [name for name, _ in h.chunks]):
        raise Refused("flag and chunk of alpha")


def check_name(name: bytes, before: list[bytes]) -> None:
    """A name of a chunk after those of the table that came before it."""
    if not (name.isascii() and name.isalpha()) or (name[:1].isupper() and name not in KNOWN):
        raise Refused("name of a chunk")
    if name in KNOWN:
        stages = [next(i for i, names in enumerate(ORDER) if known in names) for known in [*before, name]]
        if (name in before and name not in OFTEN) or stages != sorted(stages):
            raise Refused("a chunk twice, or out of order")


def check_resolution(body: bytes) -> None:
    sides = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    if len(body) != 9 or body[8] > 1 or min(sides) < 1 or max(sides) > 2**31 - 1:
        raise Refused("resolution")


def check_text(body: bytes) -> None:
    keyword, *texts = body.split(b"\0")
    try:
        name, _ = keyword.decode(), [text.decode() for text in texts]
    except UnicodeDecodeError as error:
        raise Refused("UTF-8") from error
    if len(texts) != 1 or not 1 <= len(name) <= 79 or {ord(c) for c in name} & {*range(32), *range(127, 160)}:
        raise Refused("keyword or text")

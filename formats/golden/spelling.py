"""Files spelled byte by byte, which the writer of the codec would refuse: see make_bad.py."""

from __future__ import annotations

import zlib

from ltokc.zoo import registry

MODEL = registry.find(6)
HASH = MODEL.bitstream_hash.to_bytes(2, "big")
CELL_TOKENS = 377  # of model 6
STREAM = bytes.fromhex("27 11 39 69 6f")  # some symbols, whatever they mean
PAYLOAD = b"\x06" + STREAM  # 3 tokens, no depth map
EXT, SEG, ALPHA, GRAY = 1, 2, 4, 8


def varint(value: int) -> bytes:
    groups = [value & 127]
    while value := value >> 7:
        groups.append(128 | value & 127)
    return bytes(reversed(groups))


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def seal(data: bytes) -> bytes:
    return data + crc(data)


def head(
    flags: int = 0, *, first: int | None = None, magic: bytes = b"\x89LTK", model: bytes = varint(MODEL.id),
    weights: bytes = HASH, width: bytes = varint(49), height: bytes = varint(39), rest: bytes = b"",
) -> bytes:  # fmt: skip
    """A header of 50x40 pixels where nothing else is said; sides are written less one."""
    return magic + bytes([0x10 | flags if first is None else first]) + model + weights + width + height + rest


def simple(payload: bytes = PAYLOAD, **header: bytes | int) -> bytes:
    return seal(head(**header) + payload)  # type: ignore[arg-type]


def chunk(name: bytes, data: bytes = b"", *, length: bytes | None = None, sum: bytes | None = None) -> bytes:
    return name + (varint(len(data)) if length is None else length) + data + (sum or crc(name + data))


def chunked(*chunks: bytes, flags: int = EXT, count: int | None = None, payload: bytes = PAYLOAD) -> bytes:
    rest = varint(len(chunks) if count is None else count) + varint(len(payload))
    return seal(head(flags, rest=rest) + payload) + b"".join(chunks)


def segmented(*payloads: bytes, side: int = 3, lengths: tuple[bytes, ...] | None = None, width: int = 513,
              table_sum: bytes | None = None, sums: tuple[bytes, ...] | None = None) -> bytes:  # fmt: skip
    table = lengths or tuple(varint(len(payload)) for payload in payloads)
    header = head(SEG, width=varint(width - 1), rest=bytes([side]) + b"".join(table))
    parts = [header, table_sum or crc(header)]
    for i, payload in enumerate(payloads):
        parts += [payload, sums[i] if sums else crc(payload)]
    return b"".join(parts)


def damaged(data: bytes, at: int, bits: int = 0x10) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]

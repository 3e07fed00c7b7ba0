"""ICC profiles for tests, written tag by tag (ICC.1:2001-04)."""

from __future__ import annotations

import struct

D50 = (0.9642, 1.0, 0.8249)  # XYZ of the white that every profile refers to


def gray_profile(gamma: float, name: str = "gray") -> bytes:
    """A profile of gray samples whose light is sample ** gamma, gamma in steps of 1/256."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + bytes(1 + 78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(D50),
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma)),
    }
    place, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    head[:4] = struct.pack(">I", place + len(body))
    head[8:24] = b"\x02\x40\0\0mntrGRAYXYZ "
    head[24:36] = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    head[36:40] = b"acsp"
    head[68:80] = _fixed(D50)
    return bytes(head) + table + body


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))

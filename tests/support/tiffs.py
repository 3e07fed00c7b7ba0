"""A writer of uncompressed and deflated TIFF with samples of any number of bits, for layouts that no library writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np


def packed(samples: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of (H, W, n) samples, each row to whole bytes; samples of 16 and 32 bits in the byte order of the file."""
    rows = samples.reshape(len(samples), -1)
    if bits % 8 == 0:
        return rows.astype(np.dtype(f"u{bits // 8}").newbyteorder(order)).tobytes()
    places = (rows[..., None].astype(np.int64) >> np.arange(bits)[::-1]) & 1
    return np.packbits(places.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def floating_point_differences(samples: np.ndarray) -> bytes:
    """Rows of (H, W) float32 under predictor 3: bytes in order of significance, then differences along the row."""
    out = b""
    for row in samples.astype(">f4"):
        planes = row.view(np.uint8).reshape(-1, 4).T.ravel()
        out += np.diff(planes, prepend=np.uint8(0)).astype(np.uint8).tobytes()
    return out


def tiff(
    width: int, height: int, strips: Sequence[bytes], tags: Mapping[int, Sequence[int]], order: str = "<",
    deflate: bool = False,
) -> bytes:  # fmt: skip
    """A file of one directory.  strips: their bytes, each plane or the whole picture; tags: as numbers of 16 bits."""
    strips = [zlib.compress(strip) for strip in strips] if deflate else list(strips)
    places = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    fields: dict[int, tuple[str, Sequence[int]]] = {tag: ("H", values) for tag, values in tags.items()}
    fields |= {256: ("H", [width]), 257: ("H", [height]), 259: ("H", [8 if deflate else 1]), 278: ("H", [height])}
    fields |= {273: ("I", places), 279: ("I", [len(strip) for strip in strips])}
    start = 8 + sum(map(len, strips))
    start += start % 2
    extra, entries = b"", b""
    behind = start + 2 + 12 * len(fields) + 4
    for tag, (kind, values) in sorted(fields.items()):
        data = struct.pack(f"{order}{len(values)}{kind}", *values)
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", behind + len(extra))
        extra += data if len(data) > 4 else b""
        entries += struct.pack(f"{order}2HI", tag, {"H": 3, "I": 4}[kind], len(values)) + place
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = (mark + struct.pack(f"{order}I", start) + b"".join(strips)).ljust(start, b"\0")
    return body + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + extra

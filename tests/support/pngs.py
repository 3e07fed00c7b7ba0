"""PNG files of any depth and chunks, written from the specification."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes, damaged: bool = False) -> bytes:
    """A chunk; damaged: with a wrong checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ damaged)


def png(samples: np.ndarray, depth: int = 8, before: bytes = b"", after: bytes = b"") -> bytes:
    """A file of (H, W) gray or (H, W, 3 or 4) samples of `depth` bits; before, after: chunks around the pixels."""
    height, width = samples.shape[:2]
    kind = 0 if samples.ndim == 2 else {3: 2, 4: 6}[samples.shape[2]]
    rows = samples.reshape(height, -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = [np.packbits(row).tobytes() for row in bits]
    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed)))
    return SIGNATURE + head + before + pixels + after + chunk(b"IEND", b"")


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100000 * value)))


def chromaticities(*pairs: tuple[float, float]) -> bytes:
    """cHRM of white, red, green, blue."""
    return chunk(b"cHRM", struct.pack(">8I", *(round(100000 * v) for pair in pairs for v in pair)))


def code_points(primaries: int, transfer: int, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, 0, full)))

"""Malformed files whose fault is in a chunk: see make_bad.py."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from spelling import ALPHA, EXT, PAYLOAD, chunk, chunked, crc, damaged, head, seal, varint

from ltokc.container import bitstreams

NOISY = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)


def alpha(data: bytes) -> bytes:
    return chunked(chunk(b"ALPH", data), flags=EXT | ALPHA)


def bitstream(coding: int, width: int, height: int) -> bytes:
    """A picture of one colour."""
    return bitstreams.encode(coding, Image.new("RGB", (width, height), (9, 9, 9)))


def vp8l(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    (size,) = struct.unpack_from("<I", out.getvalue(), 16)
    return b"\x02" + out.getvalue()[20 : 20 + size]


def encode_vp8l(width: int, height: int) -> bytes:
    return vp8l(Image.new("RGB", (width, height), (9, 9, 9)))


def zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


def noisy(coding: int) -> bytes:
    return bitstreams.encode(coding, Image.fromarray(NOISY), 90)


def patch(
    *numbers: int, segment: int = 0, coding: int = 2, feather: int = 0, count: int | None = None,
    picture: bytes | None = None,
) -> bytes:  # fmt: skip
    """Data of a pTCH; numbers: four for every rectangle, sides less one; none: the whole of the one cell."""
    numbers = numbers or (0, 0, 0, 0)
    picture = bitstream(coding, 50, 40) if picture is None else picture
    rectangles = b"".join(varint(number) for number in numbers)
    return varint(segment) + bytes((coding, feather)) + varint(len(numbers) // 4 if count is None else count) + (
        rectangles + picture)  # fmt: skip


def patched(data: bytes) -> bytes:
    return chunked(chunk(b"pTCH", data))


def wide(data: bytes) -> bytes:
    """Two patches' worth of cells: 150x100 pixels, 3x2 cells."""
    rest = b"\x01" + varint(len(PAYLOAD))
    start = head(EXT, width=varint(149), height=varint(99), rest=rest)
    return seal(start + PAYLOAD) + chunk(b"pTCH", data)


def unit(kind: int, data: bytes) -> bytes:
    return bytes((kind << 3 | 2, len(data))) + data


def two_sequence_headers() -> bytes:
    small, large = bitstream(4, 50, 40), bitstream(4, 2000, 2000)
    return large[: 2 + large[1]] + small


def short_frame() -> bytes:
    body = bitstream(4, 50, 40)
    at = 2 + body[1]
    return body[:at] + unit(6, body[at + 2 : at + 5])


def metadata(name: bytes, data: bytes) -> bytes:
    return chunked(chunk(name, data))


NOTE, COLOUR, ALPHA_CHUNK = chunk(b"nOTE", b"{}"), chunk(b"cOLr", bytes(4)), chunk(b"ALPH", b"\0\x80")
CHUNK_CASES: dict[str, Callable[[], bytes]] = {
    # --- chunks
    "chunk-count-0": lambda: chunked(count=0),
    "chunk-count-66": lambda: chunked(*[chunk(b"zzZz")] * 66),
    "chunks-bytes-after-end": lambda: chunked(chunk(b"zzZz")) + b"\0",
    "chunk-missing": lambda: chunked(chunk(b"zzZz"), count=2),
    "chunk-too-many": lambda: chunked(chunk(b"zzZz"), chunk(b"zzZz"), count=1),
    "chunk-payload-overrun": lambda: seal(head(EXT, rest=b"\x01" + varint(200)) + PAYLOAD) + chunk(b"zzZz"),
    "chunk-payload-crc-mismatch": lambda: head(EXT, rest=b"\x01\x06") + PAYLOAD + b"\0\0\0\0" + chunk(b"zzZz"),
    "chunk-crc-mismatch": lambda: chunked(chunk(b"nOTE", b"{}", sum=b"\0\0\0\0")),
    "chunk-name-flipped": lambda: chunked(chunk(b"nOTF", b"{}", sum=crc(b"nOTE{}"))),
    "chunk-name-not-letters": lambda: chunked(chunk(b"nOT3", b"{}")),
    "chunk-length-beyond-limit": lambda: chunked(chunk(b"zzZz", length=varint((64 << 20) + 1))),
    "chunk-length-overrun": lambda: chunked(chunk(b"zzZz", b"data", length=varint(64 << 20))),
    "chunk-length-nonminimal": lambda: chunked(chunk(b"zzZz", b"data", length=b"\x80\x04")),
    "chunk-length-of-6-bytes": lambda: chunked(chunk(b"zzZz", b"data", length=b"\x81\x80\x80\x80\x80\x04")),
    "unknown-critical-chunk": lambda: chunked(chunk(b"ZZZZ", b"data")),
    "chunk-twice": lambda: chunked(chunk(b"nOTE", b"{}"), chunk(b"nOTE", b"{}")),
    "alpha-chunk-without-flag": lambda: chunked(chunk(b"ALPH", b"\0\x80")),
    "alpha-flag-without-chunk": lambda: chunked(chunk(b"nOTE", b"{}"), flags=EXT | ALPHA),
    # --- alpha
    "alpha-empty": lambda: alpha(b""),
    "alpha-coding-alone": lambda: alpha(b"\1"),
    "alpha-coding-unknown": lambda: alpha(b"\5data"),
    "alpha-constant-of-2-bytes": lambda: alpha(b"\0\x80\x80"),
    "alpha-deflate-short": lambda: alpha(b"\1" + zeros(1999)),
    "alpha-deflate-long": lambda: alpha(b"\1" + zeros(2001)),
    "alpha-deflate-bomb": lambda: alpha(b"\1" + zeros(1 << 24)),
    "alpha-deflate-bytes-behind": lambda: alpha(b"\1" + zeros(2000) + b"\0"),
    "alpha-deflate-cut": lambda: alpha(b"\1" + zeros(2000)[:-3]),
    "alpha-deflate-damaged": lambda: alpha(b"\1" + damaged(zlib.compress(NOISY.tobytes()), 500)),
    "alpha-deflate-dictionary": lambda: alpha(b"\1\x78\xbb" + zeros(2000)[2:]),
    "alpha-vp8l-size": lambda: alpha(encode_vp8l(51, 40)),
    "alpha-vp8l-bomb": lambda: alpha(encode_vp8l(16383, 400)),
    "alpha-vp8l-signature": lambda: alpha(b"\2\x2e" + encode_vp8l(50, 40)[2:]),
    "alpha-vp8l-version": lambda: alpha(damaged(encode_vp8l(50, 40), 5)[:5] + b"\x20" + encode_vp8l(50, 40)[6:]),
    "alpha-vp8l-cut": lambda: alpha(vp8l(Image.fromarray(NOISY).convert("RGB"))[:900]),
    "alpha-vp8l-no-data": lambda: alpha(encode_vp8l(50, 40)[:6]),
    "alpha-vp8l-colour": lambda: alpha(vp8l(Image.merge("RGB", [Image.fromarray(NOISY >> i) for i in range(3)]))),
    "alpha-vp8-size": lambda: alpha(b"\3" + bitstream(3, 51, 40)),
    "alpha-vp8-bomb": lambda: alpha(b"\3" + bitstream(3, 16383, 300)),
    "alpha-vp8-inter-frame": lambda: alpha(damaged(b"\3" + bitstream(3, 50, 40), 1, 1)),
    "alpha-vp8-scaled": lambda: alpha(damaged(b"\3" + bitstream(3, 50, 40), 8, 0x40)),
    "alpha-vp8-start-code": lambda: alpha(damaged(b"\3" + bitstream(3, 50, 40), 4)),
    "alpha-vp8-partition-beyond": lambda: alpha(b"\3" + noisy(3)[:300]),
    "alpha-vp8-no-data": lambda: alpha(b"\3" + bitstream(3, 50, 40)[:10]),
    "alpha-vp8-colour": lambda: alpha(b"\3" + bitstreams.encode(3, Image.merge(
        "RGB", [Image.fromarray(NOISY >> i) for i in range(3)]), 90)),
    "alpha-av1": lambda: alpha(b"\4" + bitstream(4, 50, 40)),
    # --- order and metadata
    "chunk-order-alpha": lambda: chunked(NOTE, ALPHA_CHUNK, flags=EXT | ALPHA),
    "chunk-order-patch": lambda: chunked(ALPHA_CHUNK, chunk(b"pTCH", patch()), flags=EXT | ALPHA),
    "chunk-order-colour": lambda: chunked(chunk(b"pTCH", patch()), COLOUR),
    "chunk-resolution-short": lambda: metadata(b"pHYs", bytes(8)),
    "chunk-resolution-unit": lambda: metadata(b"pHYs", bytes.fromhex("00000b13 00000b13 02")),
    "chunk-resolution-zero": lambda: metadata(b"pHYs", bytes.fromhex("00000000 00000b13 01")),
    "chunk-resolution-beyond-limit": lambda: metadata(b"pHYs", bytes.fromhex("00000b13 80000000 01")),
    "chunk-text-no-zero": lambda: metadata(b"tEXt", b"parameters"),
    "chunk-text-two-zeros": lambda: metadata(b"tEXt", b"k\0a\0b"),
    "chunk-text-no-keyword": lambda: metadata(b"tEXt", b"\0words"),
    "chunk-text-keyword-beyond-limit": lambda: metadata(b"tEXt", b"k" * 80 + b"\0words"),
    "chunk-text-keyword-control": lambda: metadata(b"tEXt", b"k\x1b\0words"),
    "chunk-text-not-utf8": lambda: metadata(b"tEXt", b"k\0\xff"),
    # --- patches
    "patch-empty": lambda: patched(b""),
    "patch-numbers-cut": lambda: patched(patch()[:6]),
    "patch-number-nonminimal": lambda: patched(b"\x80" + patch()),
    "patch-segment-beyond": lambda: patched(patch(segment=1)),
    "patch-twice": lambda: chunked(chunk(b"pTCH", patch()), chunk(b"pTCH", patch())),
    "patch-coding-unknown": lambda: patched(damaged(patch(), 1, 7)),
    "patch-feather-beyond-limit": lambda: patched(patch(feather=33)),
    "patch-no-rectangle": lambda: patched(patch(count=0)),
    "patch-rectangles-beyond-cells": lambda: wide(patch(*[0] * 28)),
    "patch-outside": lambda: wide(patch(1, 0, 2, 0)),
    "patch-far-beyond": lambda: wide(patch(0, 0, 0, 2**35 - 1)),
    "patch-overlap": lambda: wide(patch(0, 0, 1, 1, 1, 1, 0, 0, picture=bitstream(2, 128, 100))),
    "patch-order": lambda: wide(patch(1, 0, 0, 0, 0, 0, 0, 0, picture=bitstream(2, 128, 64))),
    "patch-no-picture": lambda: patched(patch(picture=b"")),
    "patch-size": lambda: patched(patch(picture=bitstream(2, 64, 64))),
    "patch-vp8l-bomb": lambda: patched(patch(picture=bitstream(2, 16383, 400))),
    "patch-vp8l-cut": lambda: patched(patch(picture=noisy(2)[:600])),
    "patch-vp8-cut": lambda: patched(patch(coding=3, picture=noisy(3)[:300])),
    "patch-av1-bomb": lambda: patched(patch(coding=4, picture=bitstream(4, 2000, 2000))),
    "patch-av1-bomb-behind-header": lambda: patched(patch(coding=4, picture=two_sequence_headers())),
    "patch-av1-cut": lambda: patched(patch(coding=4, picture=noisy(4)[:300])),
    "patch-av1-unit-cut": lambda: patched(patch(coding=4, picture=bitstream(4, 50, 40)[:-1])),
    "patch-av1-delimiter": lambda: patched(patch(coding=4, picture=unit(2, b"") + bitstream(4, 50, 40))),
    "patch-av1-moving": lambda: patched(patch(coding=4, picture=damaged(bitstream(4, 50, 40), 2, 0x10))),
    "patch-av1-frame-short": lambda: patched(patch(coding=4, picture=short_frame())),
    # --- colour grid
    "colour-empty": lambda: chunked(chunk(b"cOLr", b"")),
    "colour-coding-unknown": lambda: chunked(chunk(b"cOLr", b"\2" + bytes(3))),
    "colour-short": lambda: chunked(chunk(b"cOLr", bytes(3))),
    "colour-long": lambda: chunked(chunk(b"cOLr", bytes(5))),
    "colour-deflate-short": lambda: chunked(chunk(b"cOLr", b"\1" + zeros(2))),
    "colour-deflate-bomb": lambda: chunked(chunk(b"cOLr", b"\1" + zeros(1 << 24))),
    "colour-deflate-bytes-behind": lambda: chunked(chunk(b"cOLr", b"\1" + zeros(3) + b"\0")),
    "colour-coding-3": lambda: chunked(chunk(b"cOLr", b"\3" + bytes(3))),
    "colour-coded-head-short": lambda: chunked(chunk(b"cOLr", b"\2\6\1\0\0")),
    "colour-coded-no-step": lambda: chunked(chunk(b"cOLr", b"\2\x40\1\0\0\0")),
    "colour-coded-no-symbol": lambda: chunked(chunk(b"cOLr", b"\2\6\x80\0\0\0")),
    "colour-coded-damaged": lambda: chunked(chunk(b"cOLr", b"\2\6\1\0\0\0" + b"\xff" * 8)),
    "colour-coded-out-of-range": lambda: chunked(chunk(b"cOLr", b"\2\x3f\x7f\0\0\0")),
}  # fmt: skip

"""Makes malformed files, formats/golden/bad, each named by its fault, and the error that each must give, manifest.json.

Spelled byte by byte, since the writer of the codec refuses to write such files.  Checksums are right unless they are
the fault, so that a reader gets as far as the fault.  Files that exist are never written again: see README.md.

    python formats/golden/make_bad.py
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from PIL import Image

import ltokc
from ltokc.errors import LtokcError
from ltokc.zoo import registry

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest.json"
MODEL = registry.find(6)
HASH = MODEL.bitstream_hash.to_bytes(2, "big")
CELL_TOKENS = 377  # of model 6
STREAM = bytes.fromhex("27 11 39 69 6f")  # some symbols, whatever they mean
PAYLOAD = b"\x06" + STREAM  # 3 tokens, no depth map
EXT, SEG, ALPHA = 1, 2, 4


# --- spelling --------------------------------------------------------------------------------------------------------
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
    rest = bytes([len(chunks) if count is None else count]) + varint(len(payload))
    return seal(head(flags, rest=rest) + payload) + b"".join(chunks)


def segmented(*payloads: bytes, side: int = 3, lengths: tuple[bytes, ...] | None = None, width: int = 513,
              table_sum: bytes | None = None, sums: tuple[bytes, ...] | None = None) -> bytes:  # fmt: skip
    table = lengths or tuple(varint(len(payload)) for payload in payloads)
    header = head(SEG, width=varint(width - 1), rest=bytes([side]) + b"".join(table))
    parts = [header, table_sum or crc(header)]
    for i, payload in enumerate(payloads):
        parts += [payload, sums[i] if sums else crc(payload)]
    return b"".join(parts)


def alpha(data: bytes) -> bytes:
    return chunked(chunk(b"ALPH", data), flags=EXT | ALPHA)


def vp8l(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    (size,) = struct.unpack_from("<I", out.getvalue(), 16)
    return b"\x02" + out.getvalue()[20 : 20 + size]


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


OTHER = (MODEL.bitstream_hash ^ 1).to_bytes(2, "big")
WHOLE = simple()
TWO = (PAYLOAD, PAYLOAD)
NOISY = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
CASES: dict[str, Callable[[], bytes]] = {
    # --- header
    "empty": lambda: b"",
    "bad-magic": lambda: simple(magic=b"\x88LTK"),
    "magic-of-png": lambda: b"\x89PNG\r\n\x1a\n" + WHOLE,
    "magic-alone": lambda: b"\x89LTK",
    "version-0": lambda: simple(first=0x00),
    "version-2": lambda: simple(first=0x20),
    "reserved-flag": lambda: simple(flags=8),
    "alpha-without-chunks": lambda: simple(flags=ALPHA),
    "model-unknown": lambda: simple(model=varint(2**28 - 2)),
    "model-id-beyond-limit": lambda: simple(model=varint(2**28)),
    "weights-mismatch": lambda: simple(weights=OTHER),
    "nonminimal-varint-model": lambda: simple(model=b"\x80\x01"),
    "nonminimal-varint-width": lambda: simple(width=b"\x80\x31"),
    "nonminimal-varint-height": lambda: simple(height=b"\x80\x80\x27"),
    "varint-of-6-bytes": lambda: simple(width=b"\x81\x80\x80\x80\x80\x00"),
    "width-beyond-limit": lambda: simple(width=varint(65535)),
    "height-beyond-limit": lambda: simple(height=varint(2**35 - 1)),
    "segment-beyond-limit": lambda: simple(width=varint(2048), height=varint(2047)),
    "pixels-beyond-limit": lambda: seal(
        head(SEG, width=varint(65534), height=varint(65534), rest=b"\x05" + b"\x01" * 1024)
    ) + seal(b"\x00") * 1024,
    "header-cut": lambda: WHOLE[:8],
    "header-cut-in-varint": lambda: head(width=b"\x81"),
    # --- one payload
    "crc-mismatch": lambda: WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
    "stream-flipped": lambda: damaged(WHOLE, -7),
    "width-flipped": lambda: damaged(WHOLE, 8),
    "cut-by-one-byte": lambda: WHOLE[:-1],
    "cut-in-stream": lambda: WHOLE[:-7],
    "cut-behind-header": lambda: head(),
    "bytes-after-end": lambda: WHOLE + b"\0",
    "payload-empty": lambda: simple(b""),
    "nonminimal-varint-tokens": lambda: simple(b"\x80\x06" + STREAM),
    "tokens-cut": lambda: simple(b"\x86"),
    "tokens-beyond-total": lambda: simple(varint((CELL_TOKENS + 1) << 1) + STREAM),
    "tokens-beyond-cells": lambda: simple(varint(4097 << 1) + STREAM),
    "tokens-beyond-depths": lambda: simple(varint(CELL_TOKENS << 1 | 1) + b"\0"),  # the first depth is 0: no token
    "stream-of-no-symbol": lambda: simple(b"\x06" + b"\xff" * 12),
    "depths-of-no-symbol": lambda: simple(b"\x07" + b"\xff" * 12),
    # --- segments
    "segment-side-4": lambda: segmented(*TWO, side=2),
    "segment-side-64": lambda: segmented(*TWO, side=6),
    "segment-length-0": lambda: segmented(b"", PAYLOAD),
    "segment-length-overrun": lambda: segmented(*TWO, lengths=(varint(6), varint(2**35 - 1))),
    "segment-length-short": lambda: segmented(*TWO, lengths=(varint(5), varint(6))),
    "segment-length-nonminimal": lambda: segmented(*TWO, lengths=(b"\x80\x06", b"\x06")),
    "segment-table-crc-mismatch": lambda: segmented(*TWO, table_sum=b"\0\0\0\0"),
    "segment-table-cut": lambda: segmented(*TWO)[:12],
    "segment-crc-mismatch": lambda: segmented(*TWO, sums=(crc(PAYLOAD), b"\0\0\0\0")),
    "segment-missing": lambda: segmented(PAYLOAD, lengths=(b"\x06", b"\x06")),
    "segment-tokens-beyond-total": lambda: segmented(PAYLOAD, varint((CELL_TOKENS + 1) << 1) + STREAM),
    "segments-bytes-after-end": lambda: segmented(*TWO) + b"\0",
    # --- chunks
    "chunk-count-0": lambda: chunked(count=0),
    "chunk-count-65": lambda: chunked(*[chunk(b"zzZz")] * 65),
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
    "alpha-coding-unknown": lambda: alpha(b"\3data"),
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
    # --- what only `ltokc verify` sees
    "verify-stream-not-shortest": lambda: longer(),
    "verify-alpha-wrong": lambda: chunked_good(b"ALPH", b"\1" + zeros(1999)),
}  # fmt: skip


def encode_vp8l(width: int, height: int) -> bytes:
    return vp8l(Image.new("RGB", (width, height), (9, 9, 9)))


def good() -> bytes:
    return ltokc.encode(Image.new("RGB", (50, 40), (90, 140, 40)), tokens=3, model=MODEL.id)


def longer() -> bytes:
    return seal(good()[:-4] + b"\0")


def chunked_good(name: bytes, data: bytes) -> bytes:
    return chunked(chunk(name, data), flags=EXT | ALPHA, payload=good()[len(head()) : -4])


def expected(name: str, data: bytes) -> dict[str, object]:
    """What the codec says today; the maker of a file looks at it before it is kept.

    `error` is how the line begins: what follows "; known" or a bracket depends on the machine.
    """
    verb = "verify" if name.startswith("verify-") else "decode"
    try:
        getattr(ltokc, verb)(data)
    except LtokcError as error:
        said = str(error).partition("; known")[0].partition(" (")[0]
        return {"bytes": len(data), "verb": verb, "kind": kind(error), "error": said}
    raise click.ClickException(f"{name}: no error")


def kind(error: LtokcError) -> str:
    """The public class: FormatError, LimitError or ModelError."""
    return next(cls.__name__ for cls in type(error).__mro__ if not cls.__name__.startswith("_"))


@click.command()
def main() -> None:
    """Makes the malformed files that do not exist yet, and their entries in the manifest."""
    folder = HERE / "bad"
    folder.mkdir(exist_ok=True)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name, build in CASES.items():
        target = folder / f"{name}.ltk"
        if target.exists() or target.name in manifest:
            continue
        data = build()
        manifest[target.name] = expected(name, data)
        with target.open("xb") as file:
            file.write(data)
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
        click.echo(f"{target.name:36} {manifest[target.name]['kind']:12} {manifest[target.name]['error']}")


if __name__ == "__main__":
    main()

"""Makes malformed files, formats/golden/bad, each named by its fault, and the error that each must give, manifest.json.

Spelled byte by byte, since the writer of the codec refuses to write such files.  Checksums are right unless they are
the fault, so that a reader gets as far as the fault.  Files that exist are never written again: see README.md.

    python formats/golden/make_bad.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
from bad_chunks import CHUNK_CASES, zeros
from PIL import Image
from spelling import (
    ALPHA,
    CELL_TOKENS,
    EXT,
    MODEL,
    PAYLOAD,
    SEG,
    STREAM,
    chunk,
    chunked,
    crc,
    damaged,
    head,
    seal,
    segmented,
    simple,
    varint,
)

import ltokc
from ltokc.errors import LtokcError

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest.json"
OTHER = (MODEL.bitstream_hash ^ 1).to_bytes(2, "big")
WHOLE = simple()
TWO = (PAYLOAD, PAYLOAD)
CASES: dict[str, Callable[[], bytes]] = {
    # --- header
    "empty": lambda: b"",
    "bad-magic": lambda: simple(magic=b"\x88LTK"),
    "magic-of-png": lambda: b"\x89PNG\r\n\x1a\n" + WHOLE,
    "magic-alone": lambda: b"\x89LTK",
    "version-0": lambda: simple(first=0x00),
    "version-2": lambda: simple(first=0x20),
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
    "newline-after-end": lambda: WHOLE + b"\n",
    "padding-after-end": lambda: WHOLE.ljust(2048, b"\0"),
    "file-after-end": lambda: WHOLE + WHOLE,
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
    **CHUNK_CASES,
    # --- what only `ltokc verify` sees
    "verify-stream-not-shortest": lambda: longer(),
    "verify-alpha-wrong": lambda: chunked_good(b"ALPH", b"\1" + zeros(1999)),
}  # fmt: skip


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
    return next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "ltokc.errors")


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

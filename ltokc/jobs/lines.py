"""Lines that survive a kill: each the CRC-32 of its JSON in eight hexadecimal digits, a space, the JSON."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

from ltokc.errors import Unwritable


def line_of(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def parse(data: bytes) -> Iterator[dict[str, Any]]:
    """The lines that are whole, whatever lies between them."""
    for line in data.split(b"\n"):
        seal, _, body = line.partition(b" ")
        if len(seal) != 8 or not body or seal != b"%08x" % zlib.crc32(body):
            continue
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            yield content


def append_line(path: str, line: bytes) -> None:
    """Adds a line to a file by one write, which no other appending process comes between.  OSError, Unwritable."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
    try:
        with named(path):
            if os.write(descriptor, line) != len(line):  # the disk is full: the stump fails its CRC
                raise Unwritable(f"{path}: cannot be written as a whole")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """The errors of writing, which do not name the file, as `Unwritable` that does."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({(error.strerror or str(error)).lower()})") from error

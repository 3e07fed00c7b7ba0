"""Reading and writing of files as a whole, in which the name `-` stands for standard input and output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ltokc.atomic import write_atomic
from ltokc.errors import LtokcError, UsageError

STDIO = "-"


def read(source: str) -> bytes:
    """All bytes of a file or of standard input.  OSError as of `open`; UsageError: standard input is a terminal."""
    if source != STDIO:
        return Path(source).read_bytes()
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; a file or a pipe is needed")
    return sys.stdin.buffer.read()


def write(target: str, data: bytes, mark: str = "") -> None:
    """Writes a file as a whole or not at all, making its folder; or standard output.  OSError, LtokcError.

    `mark`: goes into the name of the temporary file, so that its maker can know it again after being killed.
    """
    if target == STDIO:
        refuse_terminal()
        sys.stdout.flush()
        stream = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)  # unbuffered: nothing is left when it fails
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) or 0 :]
        stream.flush()
        return
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    try:
        write_atomic(target, data, mark)
    except LtokcError as error:
        raise LtokcError(f"{target}: {error}") from error


def refuse_terminal() -> None:
    """UsageError when standard output is a terminal, which binary data would upset."""
    if sys.stdout.isatty():
        raise UsageError("binary data is not written to a terminal; use -o FILE or a pipe")

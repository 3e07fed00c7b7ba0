"""Reading and writing of files as a whole, in which the name `-` stands for standard input and output."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ltokc.atomic import ANYWHERE, FULL, Exists, Placement, link_below, write_atomic
from ltokc.errors import LtokcError, Unwritable, UsageError

STDIO = "-"
_OUTPUTS = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_INPUTS = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def as_output(name: str) -> str:
    """The name of an output, `-` where a system's own name of standard output is meant."""
    return STDIO if name in _OUTPUTS else name


def as_input(name: str) -> str:
    """The name of an input, `-` where a system's own name of standard input is meant."""
    return STDIO if name in _INPUTS else name


@contextmanager
def opened(source: str) -> Iterator[BinaryIO]:
    """A file or standard input, to be read.

    OSError as of `open`; LtokcError: a device, which may never end; UsageError: standard input is a terminal.
    """
    if source != STDIO:
        with open(source, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise LtokcError("is a device, not a file")
            yield file
        return
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; a file or a pipe is needed")
    yield sys.stdin.buffer


def read(source: str) -> bytes:
    """All bytes of a file or of standard input.  Raises as `opened`."""
    with opened(source) as file:
        return file.read()


def write(target: str, data: bytes, placement: Placement = ANYWHERE) -> None:
    """Writes a file as a whole or not at all, making its folder; or standard output.  OSError, LtokcError."""
    if target == STDIO:
        refuse_terminal()
        try:
            _write_out(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise LtokcError(
                f"standard output: cannot be written ({(error.strerror or str(error)).lower()})"
            ) from error
        return
    folder = os.path.dirname(target)
    if placement.within is not None and (link := link_below(folder or ".", placement.within)):
        raise LtokcError(f"{target}: {link} is a link, and only -o follows links")
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Unwritable(f"{folder}: cannot be made ({(error.strerror or str(error)).lower()})") from error
    try:
        write_atomic(target, data, placement)
    except Exists as error:
        raise Exists(f"{target}: {error}") from error
    except LtokcError as error:
        raise type(error)(f"{target}: {error}") from error


def _write_out(data: bytes) -> None:
    sys.stdout.flush()
    stream = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)  # unbuffered: nothing is left when it fails
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) or 0 :]
    stream.flush()


def refuse_terminal() -> None:
    """UsageError when standard output is a terminal, which binary data would upset."""
    if sys.stdout.isatty():
        raise UsageError("binary data is not written to a terminal; use -o FILE or a pipe")

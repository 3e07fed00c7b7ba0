"""Reading of the .ltk files that a command line names."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from ltokc.container import MAGIC
from ltokc.container.extent import read_file
from ltokc.jobs import streams


def read_ltk(source: str) -> bytes:
    """All bytes of an .ltk file or of standard input; what is none is refused by its first bytes.

    Raises as `ltokc.jobs.streams.opened`, FormatError, LimitError.
    """
    with streams.opened(source) as file:
        return read_file(file, size=_size(file))


def read_any(source: str) -> bytes:
    """All bytes of a file: an .ltk file as by `read_ltk`, anything else as it is."""
    with streams.opened(source) as file:
        head = file.read(len(MAGIC))
        return read_file(file, head, _size(file)) if head == MAGIC else head + file.read()


def _size(file: BinaryIO) -> int:
    """The length of a regular file, 0 for what has none."""
    try:
        about = os.fstat(file.fileno())
    except OSError:  # no file of the system
        return 0
    return about.st_size if stat.S_ISREG(about.st_mode) else 0

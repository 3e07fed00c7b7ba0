"""How many bytes a file can have, by its header: the header is read first, and the rest only where it can be one file.

So what is no .ltk file is told by its first bytes, however long it is, and nothing is read without end.
"""

from __future__ import annotations

from typing import BinaryIO

from ltokc.container.reader import read_header
from ltokc.container.records import Header
from ltokc.errors import LimitError
from ltokc.geometry import Size

HEAD = 64  # bytes; no header is longer
MAX_CELL_BYTES = 1 << 14  # four a pixel, more than uncompressed RGB has
MAX_BYTES_BESIDE = 256 << 20  # of all chunks and of the table of segments
BLOCK = 1 << 20


def most_bytes(header: Header) -> int:
    """The most bytes that a file with this header may have for this program."""
    return Size(header.width, header.height).grid.cells * MAX_CELL_BYTES + MAX_BYTES_BESIDE


def read_file(stream: BinaryIO, head: bytes = b"", size: int = 0) -> bytes:
    """All bytes of an .ltk file, its header first.

    head: its first bytes that were read already; size: of the file in bytes, 0 where it is not known before its end.
    Raises FormatError, LimitError after the first 64 bytes for what is no .ltk file; LimitError for one that is longer
    than `most_bytes`; what `stream` raises.
    """
    while len(head) < HEAD and (block := stream.read(HEAD - len(head))):
        head += block
    most = most_bytes(read_header(head))
    parts, length = [head], len(head)
    while max(length, size) <= most:
        if not (block := stream.read(BLOCK)):
            return b"".join(parts)
        parts.append(block)
        length += len(block)
    raise LimitError(f"the file has more than the {most >> 20} MiB that a picture of this size can take")

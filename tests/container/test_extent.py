"""Files are read header first, and never without end (`ltokc.container.extent`)."""

from __future__ import annotations

import io

import pytest

from ltokc import container
from ltokc.container import MAGIC
from ltokc.container.extent import BLOCK, HEAD, most_bytes, read_file
from ltokc.errors import FormatError, LimitError


class Counted(io.RawIOBase):
    """Bytes, then zeros without end; counts what was read, and gives few bytes at a time, as pipes do."""

    def __init__(self, data: bytes, step: int):
        super().__init__()
        self.data, self.step, self.taken = data, step, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "all that there is was asked for"
        size = min(size, self.step)
        part = self.data[self.taken : self.taken + size].ljust(size, b"\0")
        self.taken += size
        return part


@pytest.mark.parametrize("size", [0, 1, HEAD - 1, HEAD, HEAD + 1, BLOCK + HEAD + 5])
def test_all_of_a_file_is_read(encoded: bytes, size: int) -> None:
    data = (encoded + bytes(BLOCK * 2))[: max(size, 20)]
    assert read_file(io.BytesIO(data)) == data
    assert read_file(io.BytesIO(data[4:]), data[:4], len(data)) == data


@pytest.mark.parametrize("data", [b"", b"GIF89a", MAGIC, MAGIC + b"\xff" * 80, b"\x89LTX" + bytes(70)])
def test_what_is_no_file_is_told_by_its_first_bytes(data: bytes) -> None:
    source = Counted(data, 7) if len(data) > 4 else io.BytesIO(data)
    with pytest.raises((FormatError, LimitError)):
        read_file(source)  # type: ignore[arg-type]
    assert source.tell() <= HEAD if isinstance(source, io.BytesIO) else source.taken < HEAD + 7


def test_a_file_without_end_is_refused(encoded: bytes) -> None:
    most = most_bytes(container.read_header(encoded))
    assert (256 << 20) < most < (257 << 20), "96x80 pixels"
    source = Counted(encoded, BLOCK)
    with pytest.raises(LimitError, match="256 MiB"):
        read_file(source)  # type: ignore[arg-type]
    assert source.taken <= most + 2 * BLOCK
    source = Counted(encoded, BLOCK)
    with pytest.raises(LimitError, match="256 MiB"):
        read_file(source, size=most + 1)  # type: ignore[arg-type]
    assert source.taken == HEAD, "refused unread where the length is known"

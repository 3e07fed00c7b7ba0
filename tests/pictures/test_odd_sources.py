"""Files that are odd to read from: cut ones that Pillow would take, ones at another place, ones that can only read."""

from __future__ import annotations

import io
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from ltokc.errors import FormatError, UsageError
from ltokc.pictures.load import load
from tests.support.pictures import grainy

CUT = "the file is cut, as LOAD_TRUNCATED_IMAGES allows: what is missing of the picture is blank"
KINDS = ("PNG", "GIF", "BMP", "TIFF", "PPM", "TGA", "SGI", "JPEG2000", "PCX")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(grainy(120, 90))
    (image.quantize() if kind == "GIF" else image).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("opened", [False, True], ids=["file", "Pillow's picture"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_told_where_pillow_would_not(kind: str, opened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(kind)
    for part, losses in ((data, []), (data[: len(data) * 6 // 10], [CUT])):
        file = io.BytesIO(part)
        assert load(Image.open(file) if opened else file).losses == losses


@pytest.mark.parametrize("at", [1, 8, 50, -1])
def test_a_file_is_read_from_its_start(at: int) -> None:
    """As Pillow does it."""
    data = encoded("PNG")
    file = io.BytesIO(data)
    file.seek(at, io.SEEK_SET if at > 0 else io.SEEK_END)
    assert np.array_equal(load(file).rgb, load(io.BytesIO(data)).rgb)


class OnlyReads:
    """Has `read` and nothing else."""

    def __init__(self, data: bytes):
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


def test_what_can_only_read_is_read(tmp_path: Path) -> None:
    data = encoded("PNG")
    (tmp_path / "a.png").write_bytes(data)
    only: Any = OnlyReads(data)
    assert np.array_equal(load(only).rgb, load(io.BytesIO(data)).rgb)
    with open(tmp_path / "a.png", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        whole: Any = mapped
        assert np.array_equal(load(whole).rgb, load(io.BytesIO(data)).rgb)


def test_a_file_that_is_open_for_writing(tmp_path: Path) -> None:
    with open(tmp_path / "a.png", "wb") as file, pytest.raises(UsageError, match="not open for reading"):
        load(file)  # type: ignore[arg-type]


def test_a_disk_that_fails_is_no_damaged_picture() -> None:
    class Fails(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FormatError, match=r"cannot be read \(input/output error\)"):
        load(Fails(b"x"))


def test_a_matrix_is_a_gray_picture() -> None:
    gray = grainy(40, 30)[..., 0]
    assert np.array_equal(load(gray.view(np.matrix)).rgb, load(gray).rgb)


def test_texts_are_no_range() -> None:
    texts: Any = ("0", "1")
    with pytest.raises(UsageError, match="value_range"):
        load(grainy(40, 30).astype(np.float32), value_range=texts)


@pytest.mark.parametrize("length", range(1, 17))
@pytest.mark.parametrize("byte", [b"x", b"\0", b"\x0c"])
def test_a_file_of_few_bytes_is_no_picture(byte: bytes, length: int) -> None:
    with pytest.raises(FormatError) as told:
        load(io.BytesIO(byte * length))
    assert "unpack" not in str(told.value) and "index" not in str(told.value)

"""HEIC and JPEG XL by packages beside Pillow: named where they are missing, asked only for their own formats."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile

from ltokc.errors import FormatError, LimitError
from ltokc.pictures import jxl
from ltokc.pictures.load import load
from tests.support.pictures import smooth
from tests.support.pngs import code_points, png

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
# the first bytes of files that libjxl wrote of our own pictures, and the same fields written bit by bit
JXL = {
    (192, 128): bytes.fromhex("ff0a1f070013880200a1a2b59f200000152aa38c1bbc9cebf9f24387c5b48deb"),
    (640, 427): bytes.fromhex("ff0a50cd01001388020098961609dded7be97f792625395d3c6912b59f200000"),
    (1000, 400): bytes.fromhex("ff0a788cce07880408020100f50d000000c6bf0182ea018ee9019e3c01e65200"),
}
BOXES = bytes.fromhex("0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20")


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, name, None)  # its import fails
        for inner in [m for m in sys.modules if m.startswith(f"{name}.")]:
            monkeypatch.delitem(sys.modules, inner)


@pytest.mark.parametrize(("data", "package"), [
    (HEIC, "pillow-heif"), (HEIC.replace(b"ftypheic", b"ftyphevx"), "pillow-heif"),
    (JXL[192, 128], "pillow-jxl-plugin"), (BOXES + b"\0\0\0\x50jxlc" + JXL[640, 427] + bytes(64), "pillow-jxl-plugin"),
])  # fmt: skip
def test_the_package_that_is_missing_is_named(without_packages: None, data: bytes, package: str) -> None:
    with pytest.raises(FormatError, match=f"{package}, which is not installed: pip install {package}"):
        load(io.BytesIO(data))


@pytest.mark.parametrize("size", JXL)
@pytest.mark.parametrize("boxed", ["bare", "jxlc", "jxlp"])
def test_the_size_of_a_jxl_file_is_read_from_its_header(size: tuple[int, int], boxed: str) -> None:
    data = JXL[size] + bytes(64)
    if boxed != "bare":
        part = b"\0\0\0\0" if boxed == "jxlp" else b""
        length = (8 + len(part) + len(data)).to_bytes(4, "big")
        data = BOXES + b"\0\0\0\x0cExif\0\0\0\0" + length + boxed.encode() + part + data
    assert jxl.size_of(io.BytesIO(data)) == size
    assert not jxl.is_animated(io.BytesIO(data))
    with pytest.raises(LimitError, match=f"{size[0]} x {size[1]}"):
        load(io.BytesIO(data), limit_pixels=1000)


def bits(*fields: tuple[int, int]) -> bytes:
    """A codestream of (value, number of bits), the lowest first."""
    value = place = 0
    for field, count in fields:
        value |= field << place
        place += count
    return jxl.CODESTREAM + value.to_bytes(40, "little")


@pytest.mark.parametrize(("fields", "size"), [
    ([(1, 1), (4, 5), (0, 3), (9, 5)], (80, 40)),
    ([(1, 1), (4, 5), (5, 3)], (71, 40)),
    ([(0, 1), (3, 2), (65534, 30), (0, 3), (3, 2), (99, 30)], (100, 65535)),
    ([(0, 1), (3, 2), (2**30 - 1, 30), (7, 3)], (2**31, 2**30)),
])  # fmt: skip
def test_sizes_of_every_coding(fields: list[tuple[int, int]], size: tuple[int, int]) -> None:
    assert jxl.size_of(io.BytesIO(bits(*fields))) == size


def test_an_animation_is_refused_not_cut_to_a_frame_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "pillow_jxl", "JpegXLImagePlugin", "JXLImageFile")
    head = [(1, 1), (4, 5), (1, 3)]
    moving = bits(*head, (0, 1), (1, 1), (0, 3), (0, 1), (0, 1), (1, 1))
    with pytest.raises(FormatError, match="animated"):
        load(io.BytesIO(moving))
    assert load(io.BytesIO(bits(*head, (1, 1)))).rgb.shape == (40, 40, 3)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_cut_header_is_an_error_of_one_line(cut: int) -> None:
    for data in (HEIC, JXL[192, 128], BOXES + b"\0\0\0\x50jxlc" + JXL[640, 427]):
        with pytest.raises(FormatError) as error:
            load(io.BytesIO(data[:cut]))
        assert "\n" not in str(error.value)


def pretend(monkeypatch: pytest.MonkeyPatch, package: str, module: str, reader: str) -> None:
    """Installs a package of this name whose reader makes a red picture of 40x40."""

    class Red(ImageFile.ImageFile):
        format = "RED"

        def _open(self) -> None:
            self._size, self._mode = (40, 40), "RGB"
            self.tile = []

        def load(self) -> None:  # type: ignore[override]
            self.im = Image.new("RGB", self.size, (255, 0, 0)).im

    outer, inner = ModuleType(package), ModuleType(f"{package}.{module}")
    outer.__path__ = []
    setattr(inner, reader, Red)
    monkeypatch.setitem(sys.modules, package, outer)
    monkeypatch.setitem(sys.modules, f"{package}.{module}", inner)


@pytest.fixture
def registered() -> Iterator[None]:
    """Pillow's readers are afterwards as they were."""
    before = dict(Image.OPEN), list(Image.ID)
    yield
    Image.OPEN.clear()
    Image.OPEN.update(before[0])
    Image.ID[:] = before[1]


def test_an_installed_package_reads_its_format_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "pillow_heif", "as_plugin", "HeifImageFile")
    assert load(io.BytesIO(HEIC)).rgb[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(LimitError):
        load(io.BytesIO(HEIC), limit_pixels=100)
    with pytest.raises(FormatError, match="not a picture"):
        load(io.BytesIO(b"nothing of that kind"))


def test_a_heic_file_by_pillow_heif(registered: None, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    rgb = smooth(96, 64)
    heif.from_pillow(Image.fromarray(rgb)).save(tmp_path / "photo.heic", quality=95)
    assert np.abs(load(tmp_path / "photo.heic").rgb.astype(int) - rgb).mean() < 3
    with pytest.raises(LimitError):
        load(tmp_path / "photo.heic", limit_pixels=1000)


@pytest.mark.parametrize(("primaries", "transfer", "said"), [
    (9, 16, "colours converted from BT.2020 PQ to sRGB, tone-mapped"),
    (9, 18, "colours converted from BT.2020 HLG to sRGB, tone-mapped"),
    (12, 13, "colours converted from Display P3 to sRGB"),
    (1, 13, ""),
])  # fmt: skip
@pytest.mark.parametrize("bits", [10, 12])
def test_a_deep_heic_is_converted_as_a_png_of_its_samples(
    registered: None, monkeypatch: pytest.MonkeyPatch, primaries: int, transfer: int, said: str, bits: int
) -> None:
    """The file is coded at the best quality, in which samples move by some of 65535."""
    heif = pytest.importorskip("pillow_heif")
    monkeypatch.setattr(heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    samples = np.arange(64, dtype=np.uint16)[None, :, None] * np.array([1000, 900, 800], np.uint16)
    samples = samples.repeat(64, 0)
    out = io.BytesIO()
    heif.from_bytes(mode="RGB;16", size=(64, 64), data=samples.tobytes()).save(
        out, quality=-1, chroma=444, save_nclx_profile=True, full_range_flag=1, matrix_coefficients=1,
        color_primaries=primaries, transfer_characteristics=transfer,
    )  # fmt: skip
    picture = load(io.BytesIO(out.getvalue()))
    same = load(io.BytesIO(png(samples, 16, code_points(primaries, transfer))))
    assert np.abs(picture.rgb.astype(int) - same.rgb).mean() < 3
    assert f"{bits} bits per sample reduced to 8" in picture.notes
    assert picture.losses == same.losses and said in [*picture.notes, *picture.losses, ""]


def test_a_jxl_file_by_pillow_jxl_plugin(registered: None, tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    rgb = smooth(96, 64)
    Image.fromarray(rgb).save(tmp_path / "photo.jxl", lossless=True)
    assert np.array_equal(load(tmp_path / "photo.jxl").rgb, rgb)

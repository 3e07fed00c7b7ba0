"""Pictures made to harm: readers that are not to run, sizes that are not to be allocated."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc import codec
from ltokc.errors import FormatError, LimitError, LtokcError, UsageError
from ltokc.pictures.formats import FORMATS, pillow_limit
from ltokc.pictures.headers import declared_sizes
from ltokc.pictures.load import load

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n" + (
    b"0 0 moveto 40 30 lineto stroke\nshowpage\n%%EOF\n"
)


def iptc(content: bytes, width: int, height: int) -> bytes:
    """An IPTC/NAA container (record 8) of a picture in another format."""

    def field(record: int, number: int, data: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data

    head = field(3, 60, b"\3\1") + field(3, 65, b"\0") + field(3, 20, struct.pack(">H", width))
    return head + field(3, 30, struct.pack(">H", height)) + field(3, 120, b"\1") + field(8, 10, content)


def png(width: int, height: int, *chunks: tuple[bytes, bytes], kind: int = 0, bits: int = 1) -> bytes:
    """A PNG with this header and these chunks, of which none need be pixels."""
    listed = [(b"IHDR", struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)), *chunks, (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in listed)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def black(width: int, height: int) -> bytes:
    """A black PNG of 1 bit a pixel."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    return png(width, height, (b"IDAT", b"".join(packer.compress(row) for _ in range(height)) + packer.flush()))


def gif(side: int) -> bytes:
    """A screen of one pixel; the frame reaches over it, and is to be disposed of to the background."""
    control = b"!\xf9\x04\x08\0\0\0\0"
    return b"GIF89a\1\0\1\0\0\0\0" + control + b"," + struct.pack("<4H", 0, 0, side, side) + b"\0\2\0;"


def ico(inside: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<4B2H2I", 64, 64, 0, 0, 1, 32, len(inside), 22) + inside


def icns(inside: bytes) -> bytes:
    return b"icns" + struct.pack(">I", len(inside) + 16) + b"ic07" + struct.pack(">I", len(inside) + 8) + inside


def apng(side: int) -> bytes:
    frame = struct.pack(">5I2H2B", 0, side, side, 0, 0, 1, 10, 1, 0)
    return png(side, side, (b"acTL", struct.pack(">2I", 1, 0)), (b"fcTL", frame), (b"IDAT", b""), kind=6, bits=8)


def webp(side: int) -> bytes:
    size = (side - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size + size


def test_ghostscript_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap, mark = tmp_path / "gs", tmp_path / "started"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # looked for anew
    monkeypatch.setattr(EpsImagePlugin, "gs_windows_binary", None)
    with pytest.raises(FormatError):
        load(io.BytesIO(iptc(EPS, 40, 30)))
    with pytest.raises(FormatError, match="PostScript"):
        load(io.BytesIO(EPS))
    with pytest.raises(FormatError, match="PostScript"):
        load(io.BytesIO(b"\xc5\xd0\xd3\xc6" + struct.pack("<6IH", 30, len(EPS), 0, 0, 0, 0, 0xFFFF) + EPS))
    assert not mark.exists()


def test_containers_that_open_any_format_are_not_listed() -> None:
    assert not {"EPS", "IPTC", "WMF", "FITS", "MIC", "FPX", "BUFR", "GRIB", "HDF5", "MPEG", "LTK"} & set(FORMATS)
    inside = io.BytesIO()
    Image.new("RGB", (80, 60)).save(inside, "PNG")
    with pytest.raises(FormatError, match="known format"):
        load(io.BytesIO(iptc(inside.getvalue(), 40, 30)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_listed_format_is_there(name: str) -> None:
    if name in ("PSD", "SUN", "XPM"):  # Pillow reads them and writes none
        return
    image, out = Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)).convert("RGB"), io.BytesIO()
    image = image.convert("1") if name in ("XBM", "MSP") else image
    if name == "ICNS":
        image = image.resize((128, 128))
    try:
        image.save(out, name)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow does not write it: {error}")
    assert load(io.BytesIO(out.getvalue())).rgb.shape[2] == 3


SMALL = {"GIF": gif(3000), "ICO": ico(black(3000, 3000)), "ICNS": icns(black(3000, 3000)), "APNG": apng(3000),
         "WebP": webp(3000)}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_sizes_are_read_before_pillow_opens_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(declared_sizes(io.BytesIO(SMALL[name]))) == (3000, 3000)
    monkeypatch.setattr(Image, "OPEN", {})
    with pytest.raises(LimitError):
        load(io.BytesIO(SMALL[name]), limit_pixels=8_999_999)


@pytest.mark.parametrize("cut", range(0, 60, 3))
@pytest.mark.parametrize("name", SMALL)
def test_sizes_of_cut_headers(name: str, cut: int) -> None:
    file = io.BytesIO(SMALL[name][:cut])
    assert len(declared_sizes(file)) <= 2 and file.tell() == 0


def test_a_picture_larger_than_its_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the format: here a reader that finds out while it loads."""
    image = Image.new("RGB", (40, 30))
    monkeypatch.setattr(image, "load", lambda: setattr(image, "_size", (800, 600)))
    with pytest.raises(LimitError):
        load(image, limit_pixels=5000)


CHILD = """
import json, sys
from ltokc.errors import LtokcError
from ltokc.pictures.load import load
from tests.support.memory import peak_mb
try:
    outcome = str(load(sys.argv[1]).rgb.shape)
except LtokcError as error:
    outcome = f"{type(error).__name__}: {error}"
print(json.dumps([outcome, peak_mb()]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory there")
@pytest.mark.parametrize("name, most", [("GIF", 300), ("ICO", 250), ("ICNS", 250), ("APNG", 250), ("WebP", 250)])
def test_memory_of_a_refusal(name: str, most: int, tmp_path: Path) -> None:
    make: dict[str, Callable[[], bytes]] = {
        "GIF": lambda: gif(65535), "ICO": lambda: ico(black(20007, 20007)), "ICNS": lambda: icns(black(20007, 20007)),
        "APNG": lambda: apng(10034), "WebP": lambda: webp(16383),
    }  # fmt: skip
    path = tmp_path / "picture"
    path.write_bytes(make[name]())
    found = subprocess.run([sys.executable, "-c", CHILD, path], check=True, capture_output=True, text=True)
    outcome, peak = json.loads(found.stdout)
    assert outcome.startswith("LimitError") and peak < most, (outcome, peak)


def test_pillows_limit_is_lifted_and_never_away() -> None:
    before = Image.MAX_IMAGE_PIXELS
    assert before is not None
    for limit in (5, before, 10 * before, None):
        with pillow_limit(limit):
            assert Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS >= before
        assert before == Image.MAX_IMAGE_PIXELS


def test_other_threads_keep_pillows_limit() -> None:
    """While files are identified under the default limit nothing of Pillow changes."""
    seen: list[int | None] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(Image.MAX_IMAGE_PIXELS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(200):
        with pytest.raises(LtokcError):
            load(io.BytesIO(SMALL["GIF"]))
    done.set()
    watcher.join()
    assert set(seen) == {Image.MAX_IMAGE_PIXELS}


def test_pillows_own_refusal_is_a_limit_error(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (40, 30))

    def bomb() -> None:
        raise Image.DecompressionBombError("too many pixels")

    monkeypatch.setattr(image, "load", bomb)
    with pytest.raises(LimitError, match="too many"):
        load(image)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1, 2.5, "9", True, b"9", object(), [9]])
def test_limits_that_are_no_numbers(limit: object) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    data = codec.encode(picture, tokens=1)
    calls: list[Callable[..., object]] = [
        lambda **k: load(picture, **k), lambda **k: codec.encode(picture, **k), lambda **k: codec.decode(data, **k),
        lambda **k: codec.decode(data, crop=(0, 0, 4, 4), **k), lambda **k: codec.tokens(data, **k),
        lambda **k: codec.verify(data, **k), lambda **k: codec.trim(data, tokens=0, **k),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(UsageError, match="limit_pixels"):
            call(limit_pixels=limit)

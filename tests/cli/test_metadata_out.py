"""Metadata that the format of a decoded picture cannot hold is dropped with a word, and --metadata chooses."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

import ltokc
from ltokc import container
from tests.support.cli_runner import run
from tests.support.pictures import smooth

MAKE = 0x010F


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source(size: int) -> None:
    """source.png with EXIF of that many bytes, XMP and 300 dpi; x.ltk of it."""
    exif = Image.Exif()
    exif[MAKE], exif[0x9286] = "a camera", "n" * size
    Image.fromarray(smooth(60, 40)).save("source.png", exif=exif, dpi=(300, 300))
    assert run("encode", "source.png", "--metadata", "all", "-o", "x.ltk").exit_code == 0


def test_exif_too_large_for_jpeg_is_dropped_with_a_word() -> None:
    source(70000)
    result = run("decode", "x.ltk", "-o", "back.jpg")
    assert result.exit_code == 0
    assert "x.ltk: EXIF left out: it cannot be written as JPEG (70," in result.stderr
    with Image.open("back.jpg") as back:
        assert back.size == (60, 40) and "exif" not in back.info and back.info["dpi"] == (300, 300)
    assert "left out" not in run("decode", "x.ltk", "-o", "back.png").stderr
    with Image.open("back.png") as back:
        assert back.getexif()[MAKE] == "a camera"
    result = run("batch", "--decode", "x.ltk", "-d", "out", "-f", "jpg", "-j", "1")
    assert result.exit_code == 0 and "x.ltk: EXIF left out" in result.stderr


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "avif", "ppm", "npy"])
def test_foreign_metadata_ends_no_decoding(format: str) -> None:
    """Chunks as another encoder may have written them: EXIF that is no TIFF, XMP and captions beyond what fits."""
    ltk = container.read(ltokc.encode(smooth(40, 30), tokens=20))
    chunks = (
        container.Chunk(container.EXIF, b"no TIFF at all"), container.Chunk(container.XMP, b"\xff<x>" + b"x" * 70000),
        container.Chunk(container.IPTC, b"\x1c" + b"c" * 70000),
        container.Chunk(container.RESOLUTION, struct.pack(">IIB", 1, 2**31 - 1, 1)),
        container.Chunk(container.TEXT, "Größe Ω\0said".encode()),
        container.Chunk(container.TEXT, b"Comment\0" + b"c" * 70000),
    )  # fmt: skip
    Path("x.ltk").write_bytes(container.write(ltk.with_chunks(chunks)))
    result = run("decode", "x.ltk", "-o", f"back.{format}")
    assert result.exit_code == 0 and Path(f"back.{format}").stat().st_size > 0, result.stderr
    said = {"jpg": 5, "png": 1, "webp": 3, "avif": 4, "ppm": 5, "npy": 5}[format]
    assert result.stderr.count("left out") >= said, result.stderr
    assert run("decode", "x.ltk", "-o", f"bare.{format}", "--metadata", "none").stderr.count("left out") == 0


def test_metadata_of_decode_chooses() -> None:
    source(100)
    for asked, wanted in (("none", set()), ("dpi", {"dpi"}), ("all", {"dpi", "exif"}), ("exif,xmp", {"exif"})):
        assert run("decode", "x.ltk", "--metadata", asked, "-o", f"{asked}.png").exit_code == 0
        with Image.open(f"{asked}.png") as back:
            back.load()
            assert {"dpi", "exif"} & set(back.info) == wanted
    assert run("batch", "--decode", "x.ltk", "--metadata", "none", "-d", "out", "-j", "1").exit_code == 0
    assert run("batch", "--decode", "x.ltk", "-d", "whole", "-j", "1").exit_code == 0
    with Image.open("out/x.png") as bare, Image.open("whole/x.png") as whole:
        assert "exif" not in bare.info and whole.getexif()[MAKE] == "a camera"
    result = run("decode", "x.ltk", "--metadata", "gps", "-o", "y.png")
    assert result.exit_code == 2 and "none, all, or some of exif" in result.stderr


def test_alpha_that_a_format_has_no_place_for_is_said() -> None:
    image = Image.fromarray(smooth(60, 40))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 20, 40))
    image.putalpha(alpha)
    Path("x.ltk").write_bytes(ltokc.encode(image, effort=0))
    for format, name in (("jpg", "JPEG"), ("ppm", "ppm")):
        said = f"x.ltk: alpha blended with white: {name} has no place for it"
        assert run("decode", "x.ltk", "-o", f"back.{format}").stderr.splitlines().count(said) == 1
        result = run("batch", "--decode", "x.ltk", "-d", "out", "-f", format, "-j", "1", "--report", f"{format}.csv")
        assert said in result.stderr.splitlines()
        assert "alpha blended" in Path(f"{format}.csv").read_text()
    result = run("thumbnail", "x.ltk", "small.jpg", "--json")
    assert "x.ltk: alpha blended with white: JPEG has no place for it" in result.stderr.splitlines()
    assert "alpha blended" in result.stdout
    for line in ("decode x.ltk -o a.png", "decode x.ltk -o opaque.jpg --crop 30,0,20,20", "thumbnail x.ltk small.webp"):
        assert "alpha" not in run(*line.split()).stderr

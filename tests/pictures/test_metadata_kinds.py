"""`--metadata all` means all: captions, texts, comments and resolution go in and come back, or are named."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, PngImagePlugin, TiffImagePlugin

import ltokc
from ltokc.errors import LossWarning, UsageError
from ltokc.pictures import png as png_chunks
from ltokc.pictures.load import load
from tests.support.cli_runner import run
from tests.support.pictures import smooth
from tests.support.pngs import chunk, png

RECORDS = b"\x1c\x02x\x00\x06A disc\x1c\x02t\x00\x0b(c) Example"
PROMPT = {"parameters": "a disc and a square, steps: 20", "Größe": "groß"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture() -> Image.Image:
    return Image.fromarray(smooth(60, 40))


def iptc_segment(records: bytes) -> bytes:
    block = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(records)) + records
    block += bytes(len(records) & 1)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


def text_png(texts: dict[str, str], name: str = "source.png", **options: object) -> None:
    info = PngImagePlugin.PngInfo()
    for keyword, said in texts.items():
        info.add_itxt(keyword, said)
    picture().save(name, pnginfo=info, **options)


def through(source: str, back: str, *options: str) -> str:
    """source -> x.ltk -> back, everything kept; what both commands said."""
    for name in ("x.ltk", back):
        Path(name).unlink(missing_ok=True)
    first = run("encode", source, "--metadata", "all", "-o", "x.ltk", *options)
    second = run("decode", "x.ltk", "-o", back)
    Path("x.ltk").unlink()
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    return first.stderr + second.stderr


def iptc_of(name: str) -> dict:
    with Image.open(name) as image:
        return IptcImagePlugin.getiptcinfo(image) or {}


def test_captions_of_a_jpeg_come_back() -> None:
    picture().save("source.jpg", extra=iptc_segment(RECORDS))
    said = through("source.jpg", "back.jpg")
    assert iptc_of("back.jpg") == iptc_of("source.jpg") == {(2, 120): b"A disc", (2, 116): b"(c) Example"}
    assert "left out" not in said
    through("source.jpg", "back.png")
    through("back.png", "again.jpg")
    assert iptc_of("again.jpg") == iptc_of("source.jpg")
    assert "IPTC captions left out: WebP has no place for it" in through("source.jpg", "back.webp")


def test_captions_of_a_tiff_come_back() -> None:
    """As bytes, or as 32-bit numbers, which some programs call them."""
    padded = RECORDS + bytes(-len(RECORDS) % 4)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[33723] = 7
    tags[33723] = padded
    picture().save("bytes.tif", tiffinfo=tags)
    entry, data = struct.pack("<HHI", 33723, 7, len(padded)), Path("bytes.tif").read_bytes()
    assert entry in data
    Path("numbers.tif").write_bytes(data.replace(entry, struct.pack("<HHI", 33723, 4, len(padded) // 4)))
    for source in ("bytes.tif", "numbers.tif"):
        through(source, "back.jpg")
        assert iptc_of("back.jpg")[(2, 120)] == b"A disc"


def test_texts_of_a_png_come_back() -> None:
    text_png(PROMPT)
    said = through("source.png", "back.png")
    with Image.open("back.png") as back:
        assert dict(back.text) == PROMPT and "left out" not in said
    said = through("source.png", "back.jpg")
    assert "text left out: JPEG has no place for 'parameters'" in said


def test_comments_of_a_jpeg_come_back() -> None:
    picture().save("source.jpg", comment="größer".encode())
    through("source.jpg", "back.jpg")
    with Image.open("back.jpg") as back:
        assert back.info["comment"] == "größer".encode()
    through("source.jpg", "back.png")
    with Image.open("back.png") as back:
        assert back.text["Comment"] == "größer"
    picture().convert("P").save("source.gif", comment=b"drawn")
    through("source.gif", "back.png")
    with Image.open("back.png") as back:
        assert back.text["Comment"] == "drawn"


@pytest.mark.parametrize("source", ["source.jpg", "source.png", "source.tif", "source.bmp"])
def test_resolution_comes_back(source: str) -> None:
    picture().save(source, dpi=(300, 300))
    for back in ("back.jpg", "back.png"):
        assert "left out" not in through(source, back)
        with Image.open(back) as image:
            assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-5)
    assert "resolution left out: WebP has no place for it" in through(source, "back.webp")
    assert run("encode", source, "-o", "x.ltk").exit_code == 0
    assert "dpi" not in ltokc.decode(Path("x.ltk").read_bytes()).info, "only on request"


@pytest.mark.parametrize("source", ["source.jpg", "source.tif"])
def test_no_resolution_is_invented(source: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    picture().save(source, exif=exif)
    assert "dpi" not in ltokc.decode(ltokc.encode(source, metadata="all")).info


def test_a_picture_that_is_turned_turns_its_resolution() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save("source.png", exif=exif, dpi=(204, 98))
    with pytest.warns(LossWarning, match="98 x 204 dpi"):
        data = ltokc.encode("source.png", metadata=("dpi",))
    assert ltokc.decode(data).info["dpi"] == pytest.approx((98, 204), rel=1e-3)


def test_pixels_that_are_not_square_are_said() -> None:
    picture().save("fax.png", dpi=(204, 98))
    said = run("encode", "fax.png", "-o", "x.ltk").stderr
    assert "pixels are not square (204 x 98 dpi); --metadata dpi keeps that" in said
    assert "not square" not in run("encode", "fax.png", "-o", "y.ltk", "--quiet").stderr
    through("fax.png", "back.jpg")
    with Image.open("back.jpg") as back:
        assert back.info["dpi"] == (204, 98)
    data = bytearray(Path("fax.png").read_bytes())
    at = data.index(b"pHYs")  # unit unknown: only the ratio counts
    data[at + 4 : at + 13] = struct.pack(">IIB", 2, 1, 0)
    data[at + 13 : at + 17] = struct.pack(">I", zlib.crc32(data[at : at + 13]))
    Path("ratio.png").write_bytes(data)
    assert "not square (2 to 1)" in through("ratio.png", "back.png")
    with Image.open("back.png") as back:
        back.load()
        assert back.info["aspect"] == (2, 1)
    through("ratio.png", "back.jpg")
    with Image.open("back.jpg") as back:
        back.load()
        assert (back.info["jfif_unit"], back.info["jfif_density"]) == (0, (2, 1))


def test_what_no_chunk_holds_is_named_when_all_is_asked_for() -> None:
    app = b"\xff\xeb" + struct.pack(">H", 12) + b"JP\0\0jumbf\0"
    picture().save("source.jpg", extra=app)
    assert "metadata left out: APP11 JP" in through("source.jpg", "back.jpg")
    assert "left out" not in run("encode", "source.jpg", "--metadata", "exif", "-o", "x.ltk").stderr
    info = PngImagePlugin.PngInfo()
    info.add(b"caBX", b"claims")
    for number in range(70):
        info.add_text(f"key {number}", "said")
    picture().save("source.png", pnginfo=info)
    said = through("source.png", "back.png")
    assert "PNG chunk caBX" in said and "texts more" in said
    with Image.open("back.png") as back:
        assert len(back.text) > 50


def test_exif_of_imagemagick_is_no_text() -> None:
    """Its orientation is applied; a reader of the text would turn the picture once more."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    text_png({"Raw profile type exif": f"\nexif\n{len(block):8}\n{block.hex()}\n"})
    back = ltokc.decode(ltokc.encode("source.png", metadata="all"))
    assert back.size == (40, 60) and "text" not in back.info
    assert back.getexif()[0x010F] == "a camera" and back.getexif().get(0x0112, 1) == 1


def test_texts_of_one_keyword_all_come_back() -> None:
    """Pillow has the last of each."""
    pairs = [("Comment", "first"), ("Title", "a disc"), ("Comment", "second"), ("Comment", "first")]
    chunks = b"".join(chunk(b"tEXt", f"{keyword}\0{said}".encode()) for keyword, said in pairs)
    packed = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"third"))
    Path("source.png").write_bytes(png(smooth(60, 40), before=chunks, after=packed))
    assert "left out" not in through("source.png", "back.png")
    want = [*(f"{keyword}\0{said}".encode() for keyword, said in pairs), b"Comment\0third"]
    assert list(load("back.png").texts) == list(load("source.png").texts) == want


def test_languages_and_chunks_without_a_place_are_named() -> None:
    text = chunk(b"iTXt", b"Title\0\0\0de\0Titel\0eine Scheibe")
    others = chunk(b"tIME", struct.pack(">H5B", 2026, 5, 4, 3, 2, 1)) + chunk(b"bKGD", bytes(6))
    Path("source.png").write_bytes(png(smooth(60, 40), before=text, after=others))
    said = through("source.png", "back.png")
    assert "language of text 'Title' (de)" in said and "PNG chunk tIME" in said and "PNG chunk bKGD" in said
    assert load("back.png").texts == (b"Title\0eine Scheibe",)


def test_texts_that_are_too_long_or_damaged_are_named() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 21)))
    for bad in (bomb, chunk(b"zTXt", b"Comment\0\0no zlib stream"), chunk(b"tEXt", b"\0no keyword")):
        found = png_chunks.chunks_of(io.BytesIO(png(smooth(60, 40), before=bad)))
        assert not found.texts and len(found.unread) == 1


def test_kinds_by_name_in_python_and_by_the_plug_in() -> None:
    text_png(PROMPT, dpi=(300, 300))
    data = ltokc.encode("source.png", metadata="text,dpi")
    assert ltokc.decode(data).info["text"] == tuple(PROMPT.items())
    assert set(ltokc.decode(data, metadata=("dpi",)).info) == {"dpi"}
    with pytest.raises(UsageError, match="none, all, or some of"):
        ltokc.encode("source.png", metadata="gps")
    ltokc.register_pillow()
    out = io.BytesIO()
    with Image.open("source.png") as image:
        image.save(out, "LTK", metadata="all", xmp=b"<x/>")
    out.seek(0)
    with Image.open(out) as back:
        assert back.info["text"] == tuple(PROMPT.items()) and back.info["xmp"] == b"<x/>"
        assert back.info["dpi"] == pytest.approx((300, 300), rel=1e-5)
        again = io.BytesIO()
        back.save(again, "LTK", metadata="all")
    kept = [[each for each in ltokc.info(file.getvalue()).chunks if each[0] != "cOLr"] for file in (again, out)]
    assert kept[0] == kept[1] and len(kept[0]) > 2  # what is said of colours is of another picture


def test_arrays_have_none() -> None:
    assert ltokc.info(ltokc.encode(np.zeros((8, 8, 3), np.uint8), metadata="all", patches="off")).chunks == []


@pytest.mark.parametrize("made", [lambda i: i.copy(), lambda i: i.resize((20, 10)), lambda i: i.convert("L")],
                         ids=["copy", "resize", "convert"])  # fmt: skip
def test_texts_outlive_what_pillow_does_to_a_picture(made: Callable[[Image.Image], Image.Image]) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a slope")
    texts.add_itxt("Comment", "größer", lang="de")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    Image.fromarray(smooth(60, 40)).save("t.png", pnginfo=texts)
    with Image.open("t.png") as image, pytest.warns(LossWarning, match=r"language of text 'Comment' \(de\)"):
        back = ltokc.decode(ltokc.encode(made(image), effort=0, metadata="all"))
    assert back.info["text"] == (("Title", "a slope"), ("Comment", "größer"))
    tiff = io.BytesIO()
    Image.fromarray(smooth(60, 40)).save(tiff, "TIFF", compression="tiff_lzw")
    with Image.open(tiff) as image:
        assert "text" not in ltokc.decode(ltokc.encode(image.copy(), effort=0, metadata="all")).info


def test_a_shape_that_had_no_room_is_not_said_to_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "fax.png"
    Image.fromarray(smooth(60, 40)).save(path, dpi=(204, 98))
    for size, kept in ((2000, True), (40, False)):
        said: list[str] = []
        data = ltokc.encode(path, target_size=size, metadata="dpi", effort=0, say=said.append)
        shape = [each for each in said if "not square" in each]
        assert len(shape) == 1 and ("PNG and JPEG made of it will say" in shape[0]) == kept
        assert any(name == "pHYs" for name, _ in ltokc.info(data).chunks) == kept

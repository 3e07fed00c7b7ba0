"""What hangs on a picture in its file is said when it is left behind, and so are metadata that describe it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import ltokc
from ltokc.geometry import Size
from ltokc.pictures.load import Picture, load
from ltokc.pictures.stale import true_exif, true_xmp
from tests.support.cli_runner import run
from tests.support.pictures import smooth
from tests.support.pngs import png

VIDEO = struct.pack(">I", 24) + b"ftypmp42\0\0\0\0isommp42" + struct.pack(">I", 1008) + b"mdat" + bytes(1000)
RDF = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF></x:xmpmeta>'
MOTION = RDF % (
    b'<rdf:Description rdf:about="" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
    b'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" GCamera:BurstID="b7" GCamera:MicroVideoOffset="1032">'
    b"<dc:title>A disc</dc:title><Container:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'>"
    b'<Container:Item Item:Mime="video/mp4" Item:Length="1032"/></rdf:li></rdf:Seq></Container:Directory>'
    b"<GCamera:MicroVideo>1</GCamera:MicroVideo></rdf:Description>"
)
GAIN = RDF % (
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="2" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmpNote:HasExtendedXMP="0123"/>'
)


def jpeg(xmp: bytes = b"", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(smooth(60, 40)).save(out, "JPEG", **options, **({"xmp": xmp} if xmp else {}))
    return out.getvalue()


def loaded(data: bytes, **options: object) -> Picture:
    return load(io.BytesIO(data), **options)  # type: ignore[arg-type]


BEHIND = {
    "motion photo": (jpeg(MOTION) + VIDEO, "video (1,032 bytes behind the picture) not kept"),
    "video without XMP": (jpeg() + VIDEO, "video (1,032 bytes behind the picture) not kept"),
    "video behind a maker's header": (jpeg() + b"MotionPhoto_Data" + VIDEO, "video (1,048 bytes behind"),
    "gain map": (jpeg(GAIN) + jpeg(), "gain map ("),
    "gain map that says so itself": (jpeg() + jpeg(GAIN), "gain map ("),
    "gain map and video": (jpeg(GAIN) + jpeg() + VIDEO, "gain map and video ("),
    "another picture": (jpeg() + jpeg(), "another picture ("),
    "bytes": (jpeg() + b"some words", "10 bytes behind the picture's end not kept"),
    "progressive": (jpeg(progressive=True) + VIDEO, "video ("),
    "PNG": (png(smooth(60, 40)) + VIDEO, "video (1,032 bytes behind"),
}


@pytest.mark.parametrize("case", BEHIND)
def test_what_hangs_on_a_picture_is_said(case: str) -> None:
    data, words = BEHIND[case]
    (loss,) = loaded(data).losses
    assert loss.startswith(words)
    (loss,) = load(Image.open(io.BytesIO(data))).losses
    assert loss.startswith(words)


@pytest.mark.parametrize("filling", [b"", b"\0" * 700, b"\r\n", b"\xff" * 9])
def test_filling_is_nothing(filling: bytes) -> None:
    assert loaded(jpeg() + filling).losses == loaded(png(smooth(60, 40)) + filling).losses == []


def test_webp_and_avif() -> None:
    out = io.BytesIO()
    Image.fromarray(smooth(61, 41)).save(out, "WEBP")
    assert loaded(out.getvalue()).losses == [] and "video" in loaded(out.getvalue() + VIDEO).losses[0]
    out = io.BytesIO()
    Image.fromarray(smooth(60, 40)).save(out, "AVIF")
    box = struct.pack(">I4s", 8 + len(VIDEO), b"mpvd") + VIDEO
    assert loaded(out.getvalue()).losses == [] and loaded(out.getvalue() + box).losses == ["video not kept"]


def test_several_pictures_in_one_file() -> None:
    out = io.BytesIO()
    Image.fromarray(smooth(60, 40)).save(out, "MPO", save_all=True, append_images=[Image.new("RGB", (30, 20))])
    assert "another picture" in loaded(out.getvalue()).losses[0]


def test_it_is_said_whatever_is_kept_and_xmp_forgets_it(tmp_path: Path) -> None:
    path = tmp_path / "IMG.jpg"
    path.write_bytes(jpeg(MOTION) + VIDEO)
    for kinds in ("none", "all"):
        result = run("encode", str(path), "--metadata", kinds, "--overwrite")
        assert result.exit_code == 0 and result.stderr.count("video (1,032 bytes") == 1
    back = ltokc.decode(path.with_suffix(".ltk").read_bytes()).info["xmp"]
    assert not any(name in back for name in (b"MotionPhoto", b"MicroVideo", b"<Container:", b"Item:Length"))
    assert b'GCamera:BurstID="b7"' in back and b"<dc:title>A disc</dc:title>" in back


def test_xmp_forgets_gain_maps_and_its_own_second_part() -> None:
    out = true_xmp(GAIN)
    assert b"hdrgm:V" not in out and b"hdrgm:G" not in out and b"HasExtendedXMP" not in out
    assert b'xmp:Rating="4"' in out


@pytest.mark.parametrize("packet", [MOTION, GAIN])
def test_xmp_stays_well_formed(packet: bytes) -> None:
    from xml.etree import ElementTree

    ElementTree.fromstring(packet)
    ElementTree.fromstring(true_xmp(packet))


def test_xmp_of_other_things_is_left_alone() -> None:
    packet = RDF % b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="GCamera:MotionPhoto"/>'
    assert true_xmp(packet) == packet
    assert true_xmp(b'xmlns:G="http://ns.google.com/photos/1.0/container/" <G:Directory> never closed') is not None


def test_elements_that_are_never_closed() -> None:
    """Many of a name that is looked for: the packet is not searched to its end for each."""
    packet = b'xmlns:G="http://ns.google.com/photos/1.0/container/" ' + b"<G:a>" * 100000
    assert len(true_xmp(packet)) == len(packet)
    assert len(true_xmp(packet + b"</G:a>" * 100000)) < len(packet) + 600000


# ---- EXIF ------------------------------------------------------------------------------------------------------------


def exif_with_thumbnail(order: str = "<", behind: bytes = b"", space: int = 65535) -> bytes:
    """EXIF as cameras write it: maker, orientation 6, size 90x60, a colour space; a thumbnail of 16x12 last."""
    out = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 20, 20)).save(out, "JPEG")
    small = out.getvalue()
    pack = lambda *v: struct.pack(order + v[0], *v[1:])
    make = b"a camera\0"
    first = 8 + 2 + 3 * 12 + 4
    inner = first + len(make) + 1
    second = inner + 2 + 3 * 12 + 4
    data = second + 2 + 2 * 12 + 4
    return (
        (b"II*\0" if order == "<" else b"MM\0*") + pack("I", 8) + pack("H", 3)
        + pack("2HII", 0x10F, 2, len(make), first) + pack("2HIHH", 0x112, 3, 1, 6, 0)
        + pack("2HII", 0x8769, 4, 1, inner) + pack("I", second) + make + b"\0"
        + pack("H", 3) + pack("2HIHH", 0xA001, 3, 1, space, 0)
        + pack("2HII", 0xA002, 4, 1, 90) + pack("2HIHH", 0xA003, 3, 1, 60, 0) + pack("I", 0) + pack("H", 2)
        + pack("2HII", 0x201, 4, 1, data) + pack("2HII", 0x202, 4, 1, len(small)) + pack("I", 0) + small + behind
    )  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("behind", [b"", b"maker's notes, which stay where they are"])
def test_a_thumbnail_goes_and_what_it_was_made_of_is_told_anew(order: str, behind: bytes) -> None:
    before = exif_with_thumbnail(order, behind)
    after, had = true_exif(before, Size(60, 90))
    assert had and b"\xff\xd8" not in after and after.endswith(behind)
    assert len(after) == len(before) if behind else len(after) < len(before) - 300
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert not exif.get_ifd(ExifTags.IFD.IFD1)
    assert exif[0x10F] == "a camera"
    assert exif.get_ifd(0x8769) == {0xA001: 1, 0xA002: 60, 0xA003: 90}
    assert true_exif(after, Size(60, 90)) == (after, False)


def test_a_thumbnail_is_said_where_exif_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(exif=b"Exif\0\0" + exif_with_thumbnail()))
    assert "EXIF thumbnail" in run("encode", str(path), "--metadata", "exif").stderr
    assert "EXIF thumbnail" not in run("encode", str(path), "--overwrite").stderr
    back = ltokc.decode(ltokc.encode(load(path), metadata="exif", effort=0, say=lambda told: None))
    assert back.getexif().get_ifd(0x8769)[0xA002] == 40  # turned


def test_damaged_exif_never_raises() -> None:
    whole = exif_with_thumbnail()
    rng = np.random.default_rng(0)
    for length in range(0, len(whole), 7):
        true_exif(whole[:length], Size(1, 1))
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, 160, 4):
            data[place] = rng.integers(0, 256)
        true_exif(bytes(data), Size(1, 1))

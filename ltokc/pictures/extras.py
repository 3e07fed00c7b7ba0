"""What a picture's file says beside EXIF, XMP and ICC profile: captions (IPTC), texts and comments, resolution.

Every kind is kept as the data of its chunk (`formats/LTK.md`, "Chunks"): records of IPTC-IIM, keyword and text in
UTF-8, the 9 bytes of PNG's pHYs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image, PngImagePlugin, TiffTags

from ltokc.container.chunks import MAX_RESOLUTION, text
from ltokc.errors import FormatError
from ltokc.pictures.png import Text

IPTC_RECORD, IPTC_RESOURCE = b"\x1c", 0x0404  # first byte of a record; number of the resource in a Photoshop block
SIGNATURE = b"8BIM"  # of such a resource
METRE = 1 / 0.0254  # inches
COMMENT = "Comment"  # PNG's keyword
RAW_PROFILE = "Raw profile type "  # ImageMagick's keyword of metadata as hexadecimal digits in a PNG
SQUARE = 0.01  # share by which the two resolutions of square pixels may differ
X_RESOLUTION, Y_RESOLUTION, UNIT, TIFF_IPTC = 282, 283, 296, 33723
PRIVATE_TAGS = 32768  # from here on a tag of TIFF is not of the picture's layout
KNOWN_TAGS = {33432, TIFF_IPTC, 34665, 34675, 34853}  # copyright, EXIF, ICC profile, GPS
NO_TEXTS = ("comment", "compression", "xmp")  # in `Image.info`, texts that no text of a PNG is
JPEG_MARKS = (  # segments that are kept in another way or describe the JPEG file alone
    ("APP0", b"JF"), ("APP14", b"Adobe"), ("APP1", b"Exif\0"), ("APP1", b"http://ns.adobe.com/xap/1.0/\0"),
    ("APP2", b"ICC_PROFILE\0"), ("APP13", b"Photoshop 3.0\0"),
    ("APP2", b"MPF\0"), ("APP2", b"urn:iso:std:iso:ts:21496:-1\0"),  # of what hangs on the picture, told with it
)  # fmt: skip


def raw_profile(image: Image.Image, kind: str) -> bytes | None:
    """EXIF ("exif", "APP1"), "xmp" or "iptc" that ImageMagick put into a text of a PNG; None where there is none."""
    said = image.info.get(RAW_PROFILE + kind)
    if not isinstance(said, str):
        return None
    try:
        return bytes.fromhex("".join(said.split("\n")[3:]))  # an empty line, the kind, the length
    except ValueError:
        return None


def captions(image: Image.Image) -> bytes | None:
    """The IPTC records of a JPEG, TIFF or PNG, or of a decoded .ltk file; None where there are none."""
    photoshop = image.info.get("photoshop")
    found: Any = image.info.get("iptc")
    if isinstance(photoshop, dict) and not found:
        found = photoshop.get(IPTC_RESOURCE)
    if image.format == "TIFF" and not found:
        # Often called 32-bit numbers, of which Pillow's public interface gives the first alone.
        found = getattr(image.tag_v2, "_tagdata", {}).get(TIFF_IPTC)  # type: ignore[attr-defined]
    if not found and (raw := raw_profile(image, "iptc")):
        found = raw if raw.startswith(IPTC_RECORD) else _of_photoshop(raw)
    return bytes(found) if isinstance(found, bytes) and found.startswith(IPTC_RECORD) else None


def photoshop_block(records: bytes) -> bytes:
    """IPTC records as the resource of a Photoshop block, as JPEG and ImageMagick's PNG have it."""
    head = SIGNATURE + struct.pack(">HHI", IPTC_RESOURCE, 0, len(records))
    return head + records + bytes(len(records) & 1)


def _of_photoshop(block: bytes) -> bytes | None:
    at = 0
    while block[at : at + 4] == SIGNATURE and at + 7 <= len(block):
        (number,), name = struct.unpack_from(">H", block, at + 4), block[at + 6]
        at += 6 + (name + 2) // 2 * 2
        if at + 4 > len(block):
            break
        (length,) = struct.unpack_from(">I", block, at)
        if number == IPTC_RESOURCE:
            return block[at + 4 : at + 4 + length]
        at += 4 + (length + 1) // 2 * 2
    return None


def texts(image: Image.Image, left_out: list[str], of_png: list[Text] | None = None) -> tuple[bytes, ...]:
    """The texts of a PNG, also of a copy of one, the comments of a JPEG or GIF.

    What no chunk can hold is added to `left_out`.

    of_png: all texts of the file, of which Pillow has the last of each keyword; None: they are not known.
    """
    out = []
    for text_ in of_png if of_png is not None else _with_language(image):
        if text_.language or text_.translated:
            left_out.append(f"language of text {text_.keyword[:40]!r} ({(text_.language or text_.translated)[:40]})")
    found = _said(image) if of_png is None else ((text_.keyword, text_.said) for text_ in of_png)
    for keyword, said in found:
        if keyword == "XML:com.adobe.xmp" or keyword.removeprefix(RAW_PROFILE) in ("exif", "APP1", "xmp", "iptc"):
            continue
        try:
            data = f"{keyword}\0{said}".encode()
            text(data)
        except (FormatError, UnicodeEncodeError):
            left_out.append(f"text {keyword[:40]!r}")
        else:
            out.append(data)
    return tuple(out)


def _with_language(image: Image.Image) -> Iterator[Text]:
    """Texts of a PNG that Pillow hands on with a language or a translated keyword, also in a copy."""
    for keyword, said in image.info.items():
        if isinstance(said, PngImagePlugin.iTXt):
            yield Text(str(keyword), str(said), str(said.lang or ""), str(said.tkey or ""))


def _said(image: Image.Image) -> Iterator[tuple[str, str]]:
    known = image.info.get("text")
    if isinstance(known, tuple):  # of a decoded .ltk file
        yield from known
        return
    if image.format == "PNG":
        yield from ((str(keyword), str(said)) for keyword, said in image.text.items())  # type: ignore[attr-defined]
        return
    applist = getattr(image, "applist", None)
    found = image.info.get("comment")
    comments = [data for name, data in applist if name == "COM"] if applist else [found]
    for comment in comments:
        if isinstance(comment, str):
            yield COMMENT, comment
        elif isinstance(comment, bytes) and (comment := comment.rstrip(b"\0")):
            try:
                yield COMMENT, comment.decode("utf-8")
            except UnicodeDecodeError:
                yield COMMENT, comment.decode("latin-1")
    if image.format is None:  # a copy of an opened file: a PNG's texts lie among what else was known of it
        for keyword, said in image.info.items():
            if isinstance(keyword, str) and isinstance(said, str) and keyword not in NO_TEXTS:
                yield keyword, str(said)


def as_info(image: Image.Image) -> dict[str, Any]:
    """Captions and texts of an opened file under the names of a decoded .ltk file, for a copy that forgets its kind."""
    found = {"iptc": captions(image), "text": tuple(_said(image))}
    return {name: value for name, value in found.items() if value}


def resolution(image: Image.Image) -> bytes | None:
    """Data of a pHYs chunk; None where the file says nothing of its resolution."""
    if image.format in ("JPEG", "MPO"):
        unit, density = image.info.get("jfif_unit"), image.info.get("jfif_density")
        if unit == 0 and density not in (None, (1, 1), (0, 0)):
            return pixels_per_unit(density, None)
        # Pillow says 72 dpi where there is EXIF without a resolution.
        exif = image.getexif()
        found = image.info.get("dpi") if unit in (1, 2) else (exif.get(X_RESOLUTION), exif.get(Y_RESOLUTION))
        return pixels_per_unit(found, METRE if unit in (1, 2) or exif.get(UNIT, 2) == 2 else 100.0)
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        unit = {2: METRE, 3: 100.0}.get(tags.get(UNIT, 2))
        data = pixels_per_unit((tags.get(X_RESOLUTION), tags.get(Y_RESOLUTION)), unit)
        return None if data is None or (unit is None and data[:4] == data[4:8]) else data
    if "aspect" in image.info:
        return pixels_per_unit(image.info["aspect"], None)
    return pixels_per_unit(image.info.get("dpi"), METRE)


def pixels_per_unit(values: Any, unit: float | None) -> bytes | None:
    """Data of pHYs from the resolutions across and down, `unit` of which make a metre; None: only the ratio counts.

    None for what is no resolution.
    """
    try:
        across, down = (float(value) * (unit or 1.0) for value in values)
        pair = round(across), round(down)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= MAX_RESOLUTION for value in pair):
        return None
    return struct.pack(">IIB", *pair, unit is not None)


def shape_of_pixels(data: bytes) -> str:
    """What to say of the pixels of a pHYs: "204 x 98 dpi" where they are not square, else ""."""
    across, down, metres = struct.unpack(">IIB", data)
    if abs(across / down - 1) <= SQUARE:
        return ""
    return f"{across / METRE:.0f} x {down / METRE:.0f} dpi" if metres else f"{across} to {down}"


def unknown(image: Image.Image) -> list[str]:
    """Names of what the file has and no chunk of an .ltk file holds."""
    out = []
    for name, data in getattr(image, "applist", None) or ():
        if name != "COM" and not any(name == mark and data.startswith(start) for mark, start in JPEG_MARKS):
            out.append(f"{name} {_first_word(data)}".strip())
    photoshop = image.info.get("photoshop")
    if isinstance(photoshop, dict) and (others := set(photoshop) - {IPTC_RESOURCE}):
        out.append(f"{len(others)} Photoshop resources")
    out += [f"PNG chunk {chunk[0].decode('latin-1')}" for chunk in getattr(image, "private_chunks", ())]
    if image.format == "TIFF":
        tags: Iterable[int] = image.tag_v2  # type: ignore[attr-defined]
        private = sorted(tag for tag in tags if tag >= PRIVATE_TAGS and tag not in KNOWN_TAGS)
        out += [f"TIFF tag {tag} {TiffTags.lookup(tag).name}".removesuffix(" unknown") for tag in private]
    return list(dict.fromkeys(out))


def _first_word(data: bytes) -> str:
    word = data.split(b"\0")[0][:24]
    return word.decode("ascii") if word.isascii() and word.decode("ascii").isprintable() else ""

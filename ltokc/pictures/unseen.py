"""What a file says of its samples and Pillow does not hand on: depth, colour other than by a profile, clear values."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from ltokc.pictures import isobmff, jpeg, png, signals
from ltokc.pictures.attached import Attached, behind
from ltokc.pictures.signals import Colour, Signal

ISOBMFF = ("AVIF", "HEIF")
DEEP = re.compile(r"(?!(RGB|BGR);16$).*;16")  # Pillow's raw modes of 16 bits a sample; those two have 16 bits a pixel
WHITE_POINT, PRIMARIES, TRANSFER_FUNCTION = 318, 319, 301  # tags of TIFF
LINEAR = b"\1"  # QOI's colour space, its byte 13


@dataclass(slots=True)
class Unseen:
    """What is known of an opened, not yet loaded picture.

    sixteen: samples have 16 bits, of which Pillow keeps the upper 8 unless the mode says otherwise.  colour: how they
    make light, None for sRGB or by the profile.  settled: the file says its colour beside EXIF; instead_of_profile: in
    a way that stands over a profile.  clear: of a PNG, the gray or red, green and blue that are transparent, as samples
    of 8 bits, or of 16 where the file has these.  low: the lower bytes of 16-bit RGB, (H, W, 3) uint8, where they are
    needed.  texts: a PNG's.  notes, losses, left_out: to be told.
    """

    sixteen: bool = False
    colour: Colour | None = None
    settled: bool = False
    instead_of_profile: bool = False
    clear: int | tuple[int, ...] | None = None
    low: np.ndarray | None = None
    texts: list[png.Text] | None = None
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def unseen(image: Image.Image, file: BinaryIO | None = None) -> Unseen:
    """Looks at a picture before it is loaded, and at its file where that is open.  The file's position stays."""
    found = Unseen(sixteen=reads_16_bits(image), notes=_depth(image))
    place = file.tell() if file else 0
    try:
        if image.format == "PNG" and file:
            _of_png(file, image, found)
        elif image.format in ISOBMFF and file:
            _of_isobmff(file, image, found)
        elif image.format in ("JPEG", "MPO") and file:
            _hangs(found, file, image, Attached(jpeg.about(file).end))
        elif image.format == "WEBP" and file:
            file.seek(4)
            (size,) = struct.unpack("<I", file.read(4))
            _hangs(found, file, image, Attached(8 + (size + 1) // 2 * 2))
        elif image.format == "TIFF":
            _of_tiff(image, found)
        elif image.format == "QOI" and file:
            file.seek(13)
            if file.read(1) == LINEAR:
                _take(found, Signal(Colour("linear", transfer=signals.POWER, exponent=1.0)))
        if not file:
            _take(found, signals.of_info(image.info))
            found.settled = any(image.info.get(name) is not None for name in ("srgb", "gamma", "chromaticity"))
    except (struct.error, IndexError, ValueError, TypeError, KeyError, SyntaxError, OSError):
        pass
    finally:
        if file:
            file.seek(place)
    return found


def ask_exif(found: Unseen, image: Image.Image) -> None:
    """The colour that the EXIF of a loaded picture says, where nothing else says one."""
    if found.settled or found.colour or image.info.get("icc_profile"):
        return
    try:
        _take(found, signals.of_exif(image.getexif()))
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged EXIF blocks; they are told where EXIF is kept)
        return


def reads_16_bits(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded, picture stores 16 bits per sample of which Pillow will keep the upper 8."""
    tiles = getattr(image, "tile", None) or ()
    return any(DEEP.match(str(mode)) for tile in tiles for mode in _raw_modes(tile)) or (
        image.format == "PPM" and image.mode == "I"  # samples up to any number, which Pillow scales to 65535
    )


def low_bytes(file: BinaryIO, image: Image.Image) -> np.ndarray:
    """The lower bytes of a 16-bit RGB PNG, (H, W, 3) uint8, of which Pillow gives the upper ones.

    The file is decoded once more, its samples being taken for those of the other byte order.  The position stays.
    """
    from PIL.PngImagePlugin import PngImageFile

    from ltokc.pictures.planes import samples_of

    place = file.tell()
    file.seek(0)
    try:
        other = PngImageFile(file)
        other.tile = [tile._replace(args=f"{other.mode};16L") for tile in other.tile]
        other.info.pop("transparency", None)
        other.load()
        return samples_of(other)[..., :3]
    finally:
        file.seek(place)


def _raw_modes(tile: tuple) -> tuple:
    arguments = tile[3]
    return arguments[:1] if isinstance(arguments, tuple) else (arguments,)


def _depth(image: Image.Image) -> list[str]:
    """A note on the samples of a PPM that has neither 8 nor 16 bits."""
    if image.format != "PPM":
        return []
    for tile in getattr(image, "tile", None) or ():
        if isinstance(tile[3], tuple) and len(tile[3]) == 2 and isinstance(tile[3][1], int) and tile[3][1] > 255:
            return [f"samples of 0 to {tile[3][1]} reduced to 8 bits"]
    return []


def _take(found: Unseen, signal: Signal) -> None:
    found.colour = signal.colour
    found.losses += [signal.trouble] if signal.trouble else []


def _hangs(found: Unseen, file: BinaryIO, image: Image.Image, attached: Attached) -> None:
    if said := behind(file, attached, image.info.get("xmp")):
        found.losses.append(said)


def _of_png(file: BinaryIO, image: Image.Image, found: Unseen) -> None:
    chunks = png.chunks_of(file)
    profile = bool(image.info.get("icc_profile"))
    if "iCCP" in chunks.names and not profile:
        found.losses.append("embedded colour profile unreadable, colour taken as sRGB")
    _take(found, signals.of_png(chunks, profile))
    found.instead_of_profile = chunks.small.get("cICP", b"")[2:3] == b"\0"
    found.settled = any(name in chunks.small for name in ("cICP", "sRGB", "gAMA", "cHRM"))
    found.texts = chunks.texts
    found.left_out += [f"PNG chunk {name}" for name in chunks.others if not name[1].islower()]
    found.left_out += [f"{name} that is damaged or too long" for name in chunks.unread]
    key = chunks.small.get("tRNS", b"")
    most = (1 << chunks.depth) - 1
    if chunks.kind == png.GRAY and len(key) >= 2:
        value = struct.unpack(">H", key[:2])[0] & most
        found.clear = value if chunks.depth == 16 else value * (255 // most)
    elif chunks.kind == png.RGB and len(key) >= 6:
        found.clear = tuple(value & most for value in struct.unpack(">3H", key[:6]))
    wide = chunks.depth == 16 and image.mode in ("RGB", "RGBA") and getattr(image, "n_frames", 1) == 1
    if wide and (found.colour or found.clear is not None):
        found.low = low_bytes(file, image)
    _hangs(found, file, image, Attached(chunks.end))


def _of_isobmff(file: BinaryIO, image: Image.Image, found: Unseen) -> None:
    about = isobmff.about(file)
    if about.bits > 8:
        found.notes.append(f"{about.bits} bits per sample reduced to 8")
    if about.nclx and not image.info.get("icc_profile"):
        _take(found, signals.coded(*about.nclx))
        found.settled = about.nclx[0] != signals.UNSAID
    _hangs(found, file, image, Attached(about.end, about.gain_map, about.video))


def _of_tiff(image: Image.Image, found: Unseen) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    if image.info.get("icc_profile"):
        return
    if WHITE_POINT in tags and PRIMARIES in tags and image.mode == "RGB":
        _take(found, signals.of_numbers(None, tuple(float(v) for v in (*tags[WHITE_POINT], *tags[PRIMARIES]))))
        found.settled = True
    if TRANSFER_FUNCTION in tags:
        found.losses.append("transfer function of the TIFF not applied, taken as that of sRGB")

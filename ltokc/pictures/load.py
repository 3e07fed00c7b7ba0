"""Anything that Pillow reads, or an array, as upright 8-bit sRGB, alpha apart and metadata as bytes.

All trouble with the input is one FormatError or LimitError of one line, without the path (the caller has it).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from ltokc.arguments import shown, whole
from ltokc.container import DEFAULT_LIMIT_PIXELS, MAX_SIDE, check_limit
from ltokc.errors import FormatError, LimitError, LtokcError, UsageError, one_line
from ltokc.geometry import Size
from ltokc.pictures import extras, frames, png, srgb
from ltokc.pictures.damaged import Damage, load_pixels, opened_jpeg, without_bad_chunks
from ltokc.pictures.damaged import damaged as damaged_picture
from ltokc.pictures.formats import open_listed, pillow_limit
from ltokc.pictures.headers import declared_sizes
from ltokc.pictures.metadata import ORIENTATION, upright_exif, upright_xmp
from ltokc.pictures.samples import ValueRange, check_range
from ltokc.pictures.stale import true_exif, true_xmp
from ltokc.pictures.tiff import check_tiff
from ltokc.pictures.unseen import Unseen, ask_exif, unseen

Source = str | os.PathLike[str] | BinaryIO | Image.Image | np.ndarray

TIFF_KEPT = tuple(  # of a TIFF's own directory; EXIF 2.32 has them in its first one
    getattr(ExifTags.Base, name).value
    for name in ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright")
)
SIDEWAYS = 5  # of EXIF's orientations, the first of those that exchange width and height
JPEG = b"\xff\xd8\xff"
_HINTS = ((0, b"\x89LTK", "already a .ltk file"),)  # files that users have: (offset, bytes, reason)


@dataclass
class Picture:
    """An upright picture: `rgb` (H, W, 3) uint8 sRGB, `alpha` (H, W) uint8 straight, None when opaque everywhere.

    `metadata` has the keys "exif" (TIFF structure, orientation reset), "xmp" (orientation reset) and "icc" (only a
    profile that describes `rgb`, so none where colours were converted), "iptc" and "dpi" (see `ltokc.pictures.extras`);
    `texts` is the data of chunks tEXt; `left_out` names what the file has and no chunk holds.  `notes` tell the user
    what was changed, `losses` what else of the file is not kept whatever is asked for; `thumbnail`: EXIF had one, which
    is not kept.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    metadata: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    texts: tuple[bytes, ...] = ()
    left_out: list[str] = field(default_factory=list)
    thumbnail: bool = False


def load(
    source: Source | Picture, *, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    value_range: ValueRange | None = None, frame: int | None = None, allow_damaged: bool = False,
) -> Picture:  # fmt: skip
    """Reads a path, a binary file, a Pillow picture or an array (see `srgb.from_array`); a Picture is handed back.

    `limit_pixels`: width * height allowed, checked before any pixel is decoded; None: no limit.  `value_range`: the
    samples that become black and white, for floats that are not in 0 to 1 and integers of other types than uint8 and
    uint16; samples outside are clipped.  `frame`: which of an animation's frames or a file's pages, from 1; None: the
    first, and of a Pillow picture the one it shows.  `allow_damaged`: what can be decoded of a damaged file is taken.
    Raises FormatError (no readable picture), LimitError (too large) and UsageError (no limit, no range, no such frame).
    """
    check_limit(limit_pixels)
    check_range(value_range)
    if isinstance(source, Picture):
        _check_size(source.rgb.shape[1], source.rgb.shape[0], limit_pixels)
        return source
    if frame is not None:
        whole("frame", frame, 1)
    if isinstance(source, np.ndarray):
        source = np.asarray(source)  # a matrix keeps two dimensions, whatever is asked of it
        if (frame or 1) > 1:
            raise UsageError(f"there is no frame {shown(frame)} in an array")
        if source.ndim >= 2:
            _check_size(source.shape[1], source.shape[0], limit_pixels)
        found = srgb.from_array(source, value_range)
        return Picture(found.rgb, found.alpha, {}, found.notes)
    damage = Damage(allow_damaged)
    with _input_errors():
        if isinstance(source, Image.Image):
            _refuse_closed(source)
            with frames.shown(source, frame):
                _check_size(*source.size, limit_pixels)
                known = unseen(source, _file_of(source))
                known.losses += [] if frame else frames.others(source)
                return _from_image(source, limit_pixels, value_range, known, damage)
        with _opened(source) as file, pillow_limit(limit_pixels):
            file, opened = _identify(file, limit_pixels, damage)
            with opened as image:
                _check_size(*image.size, limit_pixels)
                known = unseen(image, file)
                known.losses += frames.choose(image, frame)
                return _from_image(image, limit_pixels, value_range, known, damage)


def _refuse_closed(image: Image.Image) -> None:
    """UsageError: the pixels of a caller's picture cannot be had any more."""
    file = getattr(image, "fp", None)
    closed = bool(getattr(image, "tile", None)) and (file is None or getattr(file, "closed", False))
    try:
        _ = image.im
    except ValueError:  # what Pillow says of it
        closed = True
    except AssertionError:  # not loaded yet
        pass
    if closed:
        raise UsageError("the PIL image is closed: encode it before that, or a copy() of it")


def _is_text(source: object) -> bool:
    return isinstance(source, io.TextIOBase)


def _file_of(image: Image.Image) -> BinaryIO | None:
    """The file of a caller's picture that is not loaded yet."""
    file = getattr(image, "fp", None)
    return file if getattr(image, "tile", None) and file is not None and file.seekable() else None


@contextlib.contextmanager
def _input_errors() -> Iterator[None]:
    """Pillow's readers raise nearly anything on damaged files; the user gets one line."""
    try:
        yield
    except LtokcError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # a warning made an error
        raise LimitError(one_line(error)) from error
    except MemoryError as error:
        raise LimitError("not enough memory for this picture") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the system, not Pillow's
            raise FormatError(f"cannot be read ({(error.strerror or str(error)).lower()})") from error
        raise damaged_picture(one_line(error)) from error


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """A seekable, not empty binary file at its start; closes only what it opened."""
    if isinstance(source, (str, os.PathLike)):
        if not os.fspath(source):
            raise UsageError("the name of the picture is empty")
        if Path(source).is_dir():
            raise FormatError("is a directory, not a picture")
        try:
            file: BinaryIO = open(source, "rb")
        except FileNotFoundError:
            raise FormatError("no such file") from None
        except OSError as error:
            raise FormatError(f"cannot be read ({(error.strerror or str(error)).lower()})") from error
        except ValueError as error:  # a zero byte in the name
            raise FormatError(f"cannot be read ({error})") from error
    elif _is_text(source):
        raise UsageError('the file is open as text; a picture needs open(..., "rb")')
    elif hasattr(source, "read"):
        if getattr(source, "closed", False):
            raise UsageError("the file is closed")
        if not getattr(source, "readable", lambda: True)():
            raise UsageError('the file is not open for reading; a picture needs open(..., "rb")')
        file = source
    else:
        kind = type(source).__name__ + (" (.numpy() gives one)" if hasattr(source, "numpy") else "")
        raise UsageError(f"a picture is a path, a binary file (io.BytesIO), a PIL image or an array, not {kind}")
    try:
        seekable = getattr(file, "seekable", lambda: False)  # objects that can do nothing but read have none
        yield file if seekable() else io.BytesIO(file.read())
    finally:
        if file is not source:
            file.close()


def _identify(file: BinaryIO, limit_pixels: int | None, damage: Damage) -> tuple[BinaryIO, Image.Image]:
    """Opens the header, after the sizes by which Pillow would allocate on the way; also the file that is read."""
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if not head:
        raise FormatError("the file is empty")
    for offset, magic, reason in _HINTS:
        if head[offset:].startswith(magic):
            raise FormatError(reason)
    for size in declared_sizes(file):
        _check_size(*size, limit_pixels)
    if head.startswith(png.SIGNATURE):
        file = without_bad_chunks(file, damage)
    if head.startswith(JPEG):
        return opened_jpeg(file, damage, lambda size: _check_size(*size, limit_pixels))
    image = open_listed(file)
    if image.format == "TIFF":
        check_tiff(image)
    return file, image


def _check_size(width: int, height: int, limit_pixels: int | None) -> None:
    if width < 1 or height < 1:
        raise FormatError("the picture has no pixels")
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"{width} x {height}: a side may have at most {MAX_SIDE:,} pixels")
    if limit_pixels is not None and width * height > limit_pixels:
        pixels = f"{width} x {height} = {width * height:,} pixels"
        raise LimitError(f"{pixels}, over the limit of {limit_pixels:,} (limit_pixels)")


def _from_image(
    image: Image.Image, limit_pixels: int | None, value_range: ValueRange | None, known: Unseen, damage: Damage
) -> Picture:
    load_pixels(image, damage)  # the first frame
    _check_size(*image.size, limit_pixels)  # a container may hold a larger picture than its header says
    ask_exif(known, image)
    found = srgb.from_image(image, value_range, known)
    notes = [*known.notes, *found.notes]
    unread: list[str] = []
    metadata = _metadata(image, unread)
    if found.icc is not None:
        metadata["icc"] = found.icc
    turn = _orientation(image, unread)
    alpha = None if found.alpha is None else _upright(found.alpha, turn)
    picture = Picture(_upright(found.rgb, turn), alpha, metadata, notes)
    picture.losses = [*damage.losses, *known.losses, *found.losses, *unread]
    if "exif" in metadata:
        metadata["exif"], picture.thumbnail = true_exif(metadata["exif"], Size.of(picture.rgb))
    _add_extras(picture, image, known, turned=turn >= SIDEWAYS)
    return picture


def _add_extras(picture: Picture, image: Image.Image, known: Unseen, turned: bool) -> None:
    """Captions, texts and resolution; turned: width and height have changed places."""
    try:
        if records := extras.captions(image):
            picture.metadata["iptc"] = records
        if density := extras.resolution(image):
            picture.metadata["dpi"] = density[4:8] + density[:4] + density[8:] if turned else density
        picture.left_out += [*known.left_out, *extras.unknown(image)]
        picture.texts = extras.texts(image, picture.left_out, known.texts)
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged directories)
        picture.left_out.append("captions, texts or resolution that are unreadable")


def _orientation(image: Image.Image, losses: list[str]) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged EXIF blocks)
        losses.append("EXIF unreadable, orientation taken as upright")
        return 1
    return value if value in range(1, 9) else 1


def _upright(plane: np.ndarray, orientation: int) -> np.ndarray:
    """Applies an EXIF orientation 1..8 to (H, W) or (H, W, 3); contiguous."""
    if orientation >= SIDEWAYS:  # 5..8 are 1, 4, 2, 3 after a transposition
        plane, orientation = plane.swapaxes(0, 1), {5: 1, 6: 2, 7: 3, 8: 4}[orientation]
    rows = slice(None, None, -1 if orientation in (3, 4) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3) else 1)
    return np.ascontiguousarray(plane[rows, columns])


def _metadata(image: Image.Image, losses: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        exif = image.info.get("exif") or (_tiff_exif(image) if image.format == "TIFF" else None)
        exif = exif or extras.raw_profile(image, "exif") or extras.raw_profile(image, "APP1")
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged directories)
        losses.append("EXIF unreadable, not kept")
        exif = None
    if exif:
        try:
            found["exif"] = upright_exif(exif)
        except (ValueError, TypeError, AttributeError):
            losses.append("EXIF unreadable, not kept")
    if isinstance(xmp := image.info.get("xmp") or extras.raw_profile(image, "xmp"), (bytes, str)) and xmp:
        found["xmp"] = true_xmp(upright_xmp(xmp))
    return found


def _tiff_exif(image: Image.Image) -> bytes | None:
    """EXIF of a TIFF file, whose own directory it is: without what describes that file's strips and samples."""
    tags = image.getexif()
    exif = Image.Exif()
    for tag in TIFF_KEPT:
        if tag in tags:
            exif[tag] = tags[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if inner := tags.get_ifd(directory):
            exif[directory] = dict(inner)
    return exif.tobytes() if len(exif) else None

"""Pictures in and out through Pillow.

`load` gives upright 8-bit sRGB from anything Pillow reads, alpha apart and metadata as bytes; all trouble with the
input is one FormatError or LimitError of one line, without the path (the caller has it).  `save` writes a decoded
picture, `write_atomic` any file: complete or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from ltokc.container import DEFAULT_LIMIT_PIXELS, MAX_SIDE
from ltokc.errors import FormatError, LimitError, LtokcError, UsageError
from ltokc.pictures import srgb
from ltokc.pictures.metadata import ORIENTATION, upright_exif, upright_xmp

SAVE_FORMATS = ("png", "jpg", "webp", "avif", "ppm", "npy")
Source = str | os.PathLike[str] | BinaryIO | Image.Image | np.ndarray

TIFF_KEPT = tuple(  # of a TIFF's own directory; EXIF 2.32 has them in its first one
    getattr(ExifTags.Base, name).value
    for name in ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright")
)
_HINTS = (  # files that Pillow does not know and users do have: (offset, bytes, reason)
    (0, b"\x89LTK", "already a .ltk file"),
    (4, b"ftyphei", "HEIC is not supported; export it as JPEG, PNG or AVIF"),
    (4, b"ftypmif1", "HEIF is not supported; export it as JPEG, PNG or AVIF"),
    (0, b"\xff\x0a", "JPEG XL is not supported; export it as PNG"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL is not supported; export it as PNG"),
)
_open_lock = threading.Lock()  # Image.MAX_IMAGE_PIXELS is one global of Pillow


@dataclass
class Picture:
    """An upright picture: `rgb` (H, W, 3) uint8 sRGB, `alpha` (H, W) uint8 straight, None when opaque everywhere.

    `metadata` has the keys "exif" (TIFF structure, orientation reset), "xmp" (orientation reset) and "icc" (only a
    profile that describes `rgb`, so none where colours were converted).  `notes` tell the user what was changed.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    metadata: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def load(source: Source | Picture, *, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS) -> Picture:
    """Reads a path, a binary file, a Pillow picture or an array (see `pixels.from_array`); a Picture is handed back.

    `limit_pixels`: width * height allowed, checked before any pixel is decoded; None: no limit.
    Raises FormatError (no readable picture) and LimitError (too large).
    """
    if isinstance(source, Picture):
        _check_size(source.rgb.shape[1], source.rgb.shape[0], limit_pixels)
        return source
    if isinstance(source, np.ndarray):
        if source.ndim >= 2:
            _check_size(source.shape[1], source.shape[0], limit_pixels)
        found = srgb.from_array(source)
        return Picture(found.rgb, found.alpha, {}, found.notes)
    with _input_errors():
        if isinstance(source, Image.Image):
            return _from_image(source, limit_pixels)
        with _opened(source) as file, _identify(file) as image:
            if image.format == "EPS":  # Pillow would start Ghostscript
                raise FormatError("PostScript is not read, since it would have to be run")
            return _from_image(image, limit_pixels)


@contextlib.contextmanager
def _input_errors() -> Iterator[None]:
    """Pillow's readers raise nearly anything on damaged files; the user gets one line."""
    try:
        yield
    except LtokcError:
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(_one_line(error)) from error
    except MemoryError as error:
        raise LimitError("not enough memory for this picture") from error
    except Exception as error:
        raise FormatError(f"truncated or damaged picture ({_one_line(error)})") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """A seekable, not empty binary file at its start; closes only what it opened."""
    if isinstance(source, (str, os.PathLike)):
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
    else:
        file = source
    try:
        yield file if file.seekable() else io.BytesIO(file.read())
    finally:
        if file is not source:
            file.close()


def _identify(file: BinaryIO) -> Image.Image:
    """Opens the header.  Pillow's own size check is switched off here, since `_check_size` follows."""
    start = file.tell()
    head = file.read(16)
    file.seek(start)
    if not head:
        raise FormatError("the file is empty")
    for offset, magic, reason in _HINTS:
        if head[offset:].startswith(magic):
            raise FormatError(reason)
    with _open_lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file)
        except UnidentifiedImageError:
            raise FormatError("not a picture of a known format") from None
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(width: int, height: int, limit_pixels: int | None) -> None:
    if width < 1 or height < 1:
        raise FormatError("the picture has no pixels")
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"{width} x {height}: a side may have at most {MAX_SIDE:,} pixels")
    if limit_pixels is not None and width * height > limit_pixels:
        raise LimitError(f"{width} x {height} = {width * height:,} pixels, over the limit of {limit_pixels:,}")


def _from_image(image: Image.Image, limit_pixels: int | None) -> Picture:
    _check_size(*image.size, limit_pixels)
    found = srgb.from_image(image)  # loads the first frame
    notes = found.notes
    frames = _frames(image)
    if frames > 1:
        notes.append(f"first of {frames} frames taken")
    metadata = _metadata(image, notes)
    if found.icc is not None:
        metadata["icc"] = found.icc
    turn = _orientation(image, notes)
    alpha = None if found.alpha is None else _upright(found.alpha, turn)
    return Picture(_upright(found.rgb, turn), alpha, metadata, notes)


def _frames(image: Image.Image) -> int:
    if image.format == "MPO":  # a photograph with a preview or a gain map, no animation
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 (counting walks the file: the first frame is whole, a later one may be damaged)
        return 1


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged EXIF blocks)
        notes.append("EXIF unreadable, orientation taken as upright")
        return 1
    return value if value in range(1, 9) else 1


def _upright(plane: np.ndarray, orientation: int) -> np.ndarray:
    """Applies an EXIF orientation 1..8 to (H, W) or (H, W, 3); contiguous."""
    if orientation >= 5:  # 5..8 are 1, 4, 2, 3 after a transposition
        plane, orientation = plane.swapaxes(0, 1), {5: 1, 6: 2, 7: 3, 8: 4}[orientation]
    rows = slice(None, None, -1 if orientation in (3, 4) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3) else 1)
    return np.ascontiguousarray(plane[rows, columns])


def _metadata(image: Image.Image, notes: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        exif = image.info.get("exif") or (_tiff_exif(image) if image.format == "TIFF" else None)
    except Exception:  # noqa: BLE001 (as many kinds as there are damaged directories)
        notes.append("EXIF unreadable, not kept")
        exif = None
    if exif:
        try:
            found["exif"] = upright_exif(exif)
        except (ValueError, TypeError, AttributeError):
            notes.append("EXIF unreadable, not kept")
    if isinstance(xmp := image.info.get("xmp"), (bytes, str)) and xmp:
        found["xmp"] = upright_xmp(xmp)
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


def save(image: Image.Image, target: str | os.PathLike[str] | BinaryIO, format: str) -> None:
    """Writes RGB, RGBA, L or LA as one of SAVE_FORMATS, atomically where `target` is a path.

    PNG, lossless WebP and PPM keep every pixel; JPEG is quality 95 at 4:4:4, AVIF quality 90; npy is uint8
    (H, W, 3 or 4).  Alpha is blended on white for jpg and ppm.  `info` of the picture may hold "exif", "icc_profile"
    and "xmp", which go along where the format has a place.  Raises UsageError (unknown format), LtokcError (not
    writable, or beyond what the format holds).
    """
    data = render(image, format)
    if isinstance(target, (str, os.PathLike)):
        write_atomic(target, data)
    else:
        target.write(data)


def render(image: Image.Image, format: str) -> bytes:
    """The bytes that `save` writes."""
    format = {"jpeg": "jpg"}.get(format.lower(), format.lower())
    if format not in SAVE_FORMATS:
        raise UsageError(f"unknown picture format {format!r}; known: {', '.join(SAVE_FORMATS)}")
    image = srgb.in_mode(image, "RGBA" if image.has_transparency_data else "RGB")  # keeps `info`
    if image.mode == "RGBA" and format in ("jpg", "ppm"):
        image = on_white(image)
    out = io.BytesIO()
    if format == "npy":
        np.save(out, srgb.samples_of(image), allow_pickle=False)
        return out.getvalue()
    try:
        image.save(out, {"jpg": "JPEG"}.get(format, format.upper()), **_save_options(image, format))
    except (OSError, ValueError, KeyError) as error:
        raise LtokcError(f"cannot be written as {format} ({_one_line(error)})") from error
    return out.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """RGBA blended on white: RGB, `info` kept."""
    blended = Image.new("RGB", image.size, "white")
    blended.paste(image, mask=image.getchannel("A"))
    blended.info = dict(image.info)
    return blended


def _save_options(image: Image.Image, format: str) -> dict[str, object]:
    if format == "ppm":
        return {}
    choices: dict[str, dict[str, object]] = {
        "png": {"compress_level": 6},
        "jpg": {"quality": 95, "subsampling": 0, "optimize": True},
        "webp": {"lossless": True, "quality": 50, "exact": True},
        "avif": {"quality": 90, "subsampling": "4:4:4"},
    }
    options = choices[format]
    for key in ("exif", "icc_profile", "xmp"):
        if image.info.get(key):
            options[key] = image.info[key]
    if format == "jpg" and isinstance(exif := options.get("exif"), bytes) and not exif.startswith(b"Exif"):
        options["exif"] = b"Exif\x00\x00" + exif  # the one format whose writer wants the prefix
    if format == "png" and (packet := options.pop("xmp", None)):
        text = PngImagePlugin.PngInfo()
        assert isinstance(packet, (bytes, str))
        text.add_itxt("XML:com.adobe.xmp", packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet)
        options["pnginfo"] = text
    return options


def write_atomic(path: str | os.PathLike[str], data: bytes, mark: str = "") -> None:
    """Writes a file whole or not at all: a temporary file beside it, then os.replace; the mode is the umask's.

    A symbolic link stays and its target is replaced; a device or pipe is written directly; a file that may not be
    written is not replaced either.  Whatever goes wrong (also KeyboardInterrupt) no temporary file stays behind, except
    after a kill: then one whose name ends in `mark`, 12 hexadecimal digits and .tmp.  Raises LtokcError.
    """
    final = os.path.realpath(path)
    try:
        if os.path.exists(final) and not stat.S_ISREG(os.stat(final).st_mode):
            with open(final, "wb") as device:
                device.write(data)
            return
        if os.path.exists(final) and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        folder, name = os.path.split(final)
        temporary = os.path.join(folder, f".{name[:48]}.{mark}{secrets.token_hex(6)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise LtokcError(f"cannot be written ({(error.strerror or str(error)).lower()})") from error

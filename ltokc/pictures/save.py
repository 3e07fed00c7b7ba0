"""A picture as the bytes of a file: PNG, JPEG, WebP, AVIF, PPM or npy, with metadata where the format has a place."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, PngImagePlugin

from ltokc.errors import LtokcError, UsageError
from ltokc.pictures import srgb
from ltokc.pictures.load import one_line
from ltokc.pictures.options import FORMAT_ALIASES, SAVE_FORMATS

METADATA = ("exif", "icc_profile", "xmp")  # in `info` of a picture


def render(image: Image.Image, format: str) -> bytes:
    """The file of an RGB, RGBA, L or LA picture in one of SAVE_FORMATS.

    PNG, lossless WebP and PPM keep every pixel.  JPEG is quality 95 at 4:4:4, AVIF quality 90.  npy is uint8
    (H, W, 3 or 4).  PNG and JPEG of a gray picture are gray, and so is an AVIF without alpha.  Alpha is blended on
    white for jpg and ppm.  `info` of the picture may hold "exif", "icc_profile" and "xmp", which go along where the
    format has a place; what it cannot hold is left out with a warning.  Raises UsageError (unknown format) and
    LtokcError (beyond what the format holds).
    """
    format = FORMAT_ALIASES.get(format.lower(), format.lower())
    if format not in SAVE_FORMATS:
        raise UsageError(f"unknown picture format {format!r}; known: {', '.join(SAVE_FORMATS)}")
    gray = image.mode in ("L", "LA")
    image = srgb.in_mode(image, "RGBA" if image.has_transparency_data else "RGB")  # keeps `info`
    if format in ("jpg", "ppm"):
        image = on_white(image)
    if gray and (format in ("png", "jpg") or (format, image.mode) == ("avif", "RGB")):
        image = image.convert("LA" if image.mode == "RGBA" else "L")
    out = io.BytesIO()
    if format == "npy":
        np.save(out, srgb.samples_of(image), allow_pickle=False)
        return out.getvalue()
    try:
        return _saved(image, format)
    except Exception as error:  # what Pillow makes of foreign metadata is of any kind
        refused = [key for key in METADATA if key in image.info and not _fits(key, image.info[key], format)]
        if not refused:
            if isinstance(error, (OSError, ValueError, KeyError)):
                raise LtokcError(f"cannot be written as {format} ({one_line(error)})") from error
            raise
        warnings.warn(f"{' and '.join(refused)} left out: {format} cannot hold it ({one_line(error)})", stacklevel=2)
    without = image.copy()
    without.info = {key: value for key, value in image.info.items() if key not in refused}
    return render(without, format)


def on_white(image: Image.Image) -> Image.Image:
    """A picture of any mode that `render` takes, what is clear being white: RGB, `info` kept."""
    if not image.has_transparency_data:
        return srgb.in_mode(image, "RGB")
    image = srgb.in_mode(image, "RGBA")
    blended = Image.new("RGB", image.size, "white")
    blended.paste(image, mask=image.getchannel("A"))
    blended.info = dict(image.info)
    return blended


def _saved(image: Image.Image, format: str) -> bytes:
    """Raises what Pillow raises."""
    out = io.BytesIO()
    image.save(out, {"jpg": "JPEG"}.get(format, format.upper()), **_save_options(image, format))
    return out.getvalue()


def _fits(key: str, value: object, format: str) -> bool:
    """Whether a picture of one pixel can be written with this entry of `info`."""
    pixel = Image.new("RGB", (1, 1))
    pixel.info[key] = value
    try:
        _saved(pixel, format)
    except Exception:  # noqa: BLE001 (of any kind, see above)
        return False
    return True


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
    if image.mode == "L":
        options.pop("subsampling", None)  # it has no chroma
    for key in METADATA:
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

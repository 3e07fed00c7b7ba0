"""A picture as the bytes of a file: PNG, JPEG, WebP, AVIF, PPM or npy, with metadata where the format has a place."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ltokc.errors import LtokcError, Say, UsageError, one_line
from ltokc.pictures.options import FORMAT_ALIASES, SAVE_FORMATS
from ltokc.pictures.places import NAMES, options_of, with_aspect
from ltokc.pictures.planes import in_mode, samples_of

OPAQUE = ("jpg", "ppm")  # formats without alpha


def render(image: Image.Image, format: str, say: Say = lambda told: None) -> bytes:
    """The file of an RGB, RGBA, L or LA picture in one of SAVE_FORMATS.

    PNG, lossless WebP and PPM keep every pixel.  JPEG is quality 95 at 4:4:4, AVIF quality 90.  npy is uint8
    (H, W, 3 or 4).  PNG and JPEG of a gray picture are gray, and so is an AVIF without alpha.  Alpha is blended with
    white for jpg and ppm.  `info` of the picture may hold what `ltokc.pictures.chunks.metadata_of` gives, which goes
    along where the format has a place; `say` is told of each thing that has none, alpha too.  Raises UsageError
    (unknown format) and LtokcError (beyond what the format holds).
    """
    format = FORMAT_ALIASES.get(format.lower(), format.lower())
    if format not in SAVE_FORMATS:
        raise UsageError(f"unknown picture format {format!r}; known: {', '.join(SAVE_FORMATS)}")
    gray = image.mode in ("L", "LA")
    image = in_mode(image, "RGBA" if image.has_transparency_data else "RGB")  # keeps `info`
    if format in OPAQUE and image.mode == "RGBA":
        if image.getchannel("A").getextrema() != (255, 255):
            say(f"alpha blended with white: {NAMES.get(format, format)} has no place for it")
        image = on_white(image)
    if gray and (format in ("png", "jpg") or (format, image.mode) == ("avif", "RGB")):
        image = image.convert("LA" if image.mode == "RGBA" else "L")
    out, options = io.BytesIO(), _save_options(image, format, say)
    if format == "npy":
        np.save(out, samples_of(image), allow_pickle=False)
        return out.getvalue()
    try:
        image.save(out, {"jpg": "JPEG"}.get(format, format.upper()), **options)
    except (OSError, ValueError, KeyError) as error:
        raise LtokcError(f"cannot be written as {format} ({one_line(error)})") from error
    aspect = image.info.get("aspect")
    return with_aspect(out.getvalue(), format, aspect) if aspect else out.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """A picture of any mode that `render` takes, what is clear being white: RGB, `info` kept."""
    if not image.has_transparency_data:
        return in_mode(image, "RGB")
    image = in_mode(image, "RGBA")
    blended = Image.new("RGB", image.size, "white")
    blended.paste(image, mask=image.getchannel("A"))
    blended.info = dict(image.info)
    return blended


def _save_options(image: Image.Image, format: str, say: Say) -> dict[str, object]:
    choices: dict[str, dict[str, object]] = {
        "png": {"compress_level": 4},  # half the time of 6, under 1 % more bytes
        "jpg": {"quality": 95, "subsampling": 0, "optimize": True},
        "webp": {"lossless": True, "quality": 50, "exact": True},
        "avif": {"quality": 90, "subsampling": "4:4:4"},
    }
    options = choices.get(format, {})
    if image.mode == "L":
        options.pop("subsampling", None)  # it has no chroma
    return options | options_of(image.info, format, say)

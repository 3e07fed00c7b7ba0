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
PNG_LEVEL = 4  # of zlib: half the time of 6, under 1 % more bytes
RUNS = 3  # zlib's Z_RLE, which looks for no strings: on decoded photographs half of Pillow's time, 2 % fewer bytes
TRIED_ROWS, TRIED_PLACES = 8, 6  # of a picture, that show whether it has strings worth looking for
WORTH = 0.97  # of the bytes, that strings may leave


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


def _png_options(image: Image.Image) -> dict[str, object]:
    """How zlib shall look at a picture: by what it makes of a few rows.  Drawings repeat, photographs do not."""
    height = min(TRIED_ROWS, image.height)
    sample = Image.new(image.mode, (image.width, height * TRIED_PLACES))
    for i in range(TRIED_PLACES):
        top = (image.height - height) * (2 * i + 1) // (2 * TRIED_PLACES)
        sample.paste(image.crop((0, top, image.width, top + height)), (0, i * height))
    sizes = []
    for strategy in (0, RUNS):
        out = io.BytesIO()
        sample.save(out, "PNG", compress_level=PNG_LEVEL, compress_type=strategy)
        sizes.append(out.tell())
    return {"compress_level": PNG_LEVEL, "compress_type": RUNS if sizes[0] > WORTH * sizes[1] else 0}


def _save_options(image: Image.Image, format: str, say: Say) -> dict[str, object]:
    choices: dict[str, dict[str, object]] = {
        "png": _png_options(image) if format == "png" else {},
        "jpg": {"quality": 95, "subsampling": 0, "optimize": True},
        "webp": {"lossless": True, "quality": 50, "exact": True},
        "avif": {"quality": 90, "subsampling": "4:4:4"},
    }
    options = choices.get(format, {})
    if image.mode == "L":
        options.pop("subsampling", None)  # it has no chroma
    return options | options_of(image.info, format, say)

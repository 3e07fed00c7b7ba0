"""Colours by an embedded ICC profile to sRGB: littleCMS, through `PIL.ImageCms`.

Relative colorimetric with black point compensation, done only where the profile differs from sRGB by more than
`SAME_AS_SRGB`, so that ordinary photographs keep their exact samples.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from ltokc.pictures.planes import in_mode

SAME_AS_SRGB = 1  # largest difference (of 255) at which a profile counts as sRGB itself
SRGB = ImageCms.createProfile("sRGB")


def from_lab(base: Image.Image) -> Image.Image:
    """Mode LAB to RGB in sRGB."""
    converted = ImageCms.profileToProfile(base, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB")
    return converted or base


def to_srgb(
    base: Image.Image, profile: bytes, notes: list[str], losses: list[str]
) -> tuple[Image.Image, bytes | None]:  # fmt: skip
    """Colour of mode L, RGB or CMYK to RGB in sRGB; also the profile where it still describes the result.

    What was done is added to `notes`, a profile that cannot be used to `losses`.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if base.mode == "RGB" and _same_as_srgb(source):
            return base, profile
        result = _gray(base, source) if base.mode == "L" else _convert(base, source)
        notes.append(f"colour converted to sRGB from {name!r}")
        return result, None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # what PIL.ImageCms raises, by version
        told = notes if describes_srgb(profile) else losses  # sRGB's own, on gray, is no loss
        told.append("embedded colour profile unusable, colour taken as sRGB")
    return in_mode(base, "RGB"), None


def _convert(base: Image.Image, source: ImageCms.ImageCmsProfile, exact: bool = False) -> Image.Image:
    """exact: every sample is computed by itself, at many times the time, instead of by a table of a few dozen nodes."""
    converted = ImageCms.profileToProfile(
        base,
        source,
        SRGB,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if exact else 0),
    )
    assert converted is not None  # None only with inPlace
    return converted


def _gray(base: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """Mode L by a gray profile to RGB, through the 256 grays there are; the table in littleCMS is off by up to 10."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    return base.point(_convert(ramp, source, exact=True).getchannel("G").tobytes()).convert("RGB")


def describes_srgb(profile: bytes) -> bool:
    """Whether an ICC profile says of RGB samples what sRGB says; False for one that cannot be used."""
    try:
        return _same_as_srgb(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


def _same_as_srgb(source: ImageCms.ImageCmsProfile) -> bool:
    """Whether the profile moves no colour of a test chart by more than `SAME_AS_SRGB`."""
    steps = np.linspace(0, 255, 11).round().astype(np.uint8)
    chart = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(11, -1, 3)
    moved = np.asarray(_convert(Image.fromarray(chart), source), np.int16) - chart
    return int(np.abs(moved).max()) <= SAME_AS_SRGB

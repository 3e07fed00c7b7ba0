"""Any Pillow mode to 8-bit sRGB and alpha: bit depth, palettes, gray, CMYK, embedded ICC profiles.

Everything that changes more than the layout of the samples leaves a note for the user.  Colour conversion is
littleCMS's (through `PIL.ImageCms`), relative colorimetric with black point compensation, done only where the
profile differs from sRGB by more than `SAME_AS_SRGB`, so that ordinary photographs keep their exact samples.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageCms

from ltokc.errors import FormatError
from ltokc.pictures.samples import ValueRange, to_8_bit

SAME_AS_SRGB = 1  # largest difference (of 255) at which a profile counts as sRGB itself
GRAY_MODES = ("1", "L", "LA", "La")
STRIP = 256  # rows
SRGB = ImageCms.createProfile("sRGB")


@dataclass
class Pixels:
    """8-bit samples: `rgb` (H, W, 3) uint8 sRGB, `alpha` (H, W) uint8 or None when opaque everywhere.

    `icc` is the embedded profile where it still describes `rgb`, None where there was none or `rgb` was converted.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    notes: list[str] = field(default_factory=list)


def from_image(image: Image.Image, value_range: ValueRange | None = None, *, sixteen: bool | None = None) -> Pixels:
    """Pixels of a Pillow picture of any mode.

    value_range: of floats and 32-bit integers, see `samples.to_8_bit`; sixteen: whether the file has 16 bits a sample
    (None: see for yourself, before it is loaded).  Raises FormatError for values that are no picture (NaN).
    """
    sixteen = reads_16_bits(image) if sixteen is None else sixteen
    notes: list[str] = []
    profile: bytes | None = image.info.get("icc_profile") or None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        base, alpha = _deep_gray(image, value_range, notes, sixteen)
    else:
        if sixteen:
            notes.append("16 bits per sample reduced to 8")
        base, alpha = _split(image)
    base, icc = _to_srgb(base, profile, notes)
    return Pixels(samples_of(base), _drop_opaque(alpha), icc, notes)


def samples_of(image: Image.Image) -> np.ndarray:
    """(H, W) or (H, W, bands) uint8 of a picture of 8 bits.

    A strip at a time, since Pillow's own way makes two more copies on the way.
    """
    bands = len(image.getbands())
    out = np.empty((image.height, image.width, bands) if bands > 1 else (image.height, image.width), np.uint8)
    for top in range(0, image.height, STRIP):
        out[top : top + STRIP] = np.asarray(image.crop((0, top, image.width, min(image.height, top + STRIP))))
    return out


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture itself where it has the mode (`convert` would copy it), else converted."""
    return image if image.mode == mode else image.convert(mode)


def from_array(array: np.ndarray, value_range: ValueRange | None = None) -> Pixels:
    """Pixels of an array (H, W) or (H, W, 1..4): gray, gray + alpha, RGB, RGBA; bool, 8 or 16 bit, or float in 0..1.

    value_range: of other samples, see `samples.to_8_bit`.  Raises FormatError for other shapes and types and for values
    that are not finite.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise FormatError(f"an array of shape {array.shape} is no picture; expected (H, W) or (H, W, 1 to 4)")
    notes: list[str] = []
    samples = to_8_bit(array, notes, value_range)
    channels = samples.shape[2]
    alpha = np.ascontiguousarray(samples[:, :, -1]) if channels in (2, 4) else None
    colour = samples[:, :, :3] if channels >= 3 else np.repeat(samples[:, :, :1], 3, axis=2)
    own = np.array(colour, order="C") if np.shares_memory(colour, array) else np.ascontiguousarray(colour)
    return Pixels(own, _drop_opaque(alpha), None, notes)


def reads_16_bits(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded, picture stores 16 bits per sample of which Pillow will keep the upper 8."""
    tiles = getattr(image, "tile", None) or ()
    return any("16" in str(mode) for tile in tiles for mode in _raw_modes(tile))


def _raw_modes(tile: tuple) -> tuple:
    arguments = tile[3]
    return arguments[:1] if isinstance(arguments, tuple) else (arguments,)


def _drop_opaque(alpha: np.ndarray | None) -> np.ndarray | None:
    return None if alpha is None or bool((alpha == 255).all()) else alpha


def _deep_gray(
    image: Image.Image, value_range: ValueRange | None, notes: list[str], sixteen: bool
) -> tuple[Image.Image, np.ndarray | None]:
    """16-bit, 32-bit and float gray to mode L; a transparent gray value (PNG's tRNS) to alpha."""
    sixteen = image.mode.startswith("I;16") or sixteen
    samples = np.asarray(image)
    clear = image.info.get("transparency")
    alpha = (samples != clear) * np.uint8(255) if isinstance(clear, int) else None
    return Image.fromarray(to_8_bit(samples, notes, value_range, sixteen=sixteen)), alpha


def _split(image: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """Colour (mode L, RGB, CMYK or LAB) and alpha (H, W) uint8 of an 8-bit picture."""
    gray = image.mode in GRAY_MODES
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        if image.mode == "La":
            image = image.convert("LA")
        rgba = in_mode(image, "RGBA")
        return (rgba.getchannel("R") if gray else rgba.convert("RGB")), samples_of(rgba.getchannel("A"))
    if image.mode in ("CMYK", "LAB"):
        return image, None
    return in_mode(image, "L" if gray else "RGB"), None


def _to_srgb(base: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """Colour of mode L, RGB, CMYK or LAB to RGB in sRGB; also the profile where it still describes the result."""
    if base.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(base, lab, SRGB, outputMode="RGB")
        return (converted or base), None
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()
            if base.mode != "CMYK" and _same_as_srgb(source, base.mode):
                return in_mode(base, "RGB"), profile
            result = _convert(base, source)
            notes.append(f"colour converted to sRGB from {name!r}")
            return result, None
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # what PIL.ImageCms raises, by version
            notes.append("embedded colour profile unusable, colour taken as sRGB")
    elif base.mode == "CMYK":
        notes.append("CMYK without a colour profile, converted by the plain formula")
    return in_mode(base, "RGB"), None


def _convert(base: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        base,
        source,
        SRGB,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # None only with inPlace
    return converted


def describes_srgb(profile: bytes) -> bool:
    """Whether an ICC profile says of RGB samples what sRGB says; False for one that cannot be used."""
    try:
        return _same_as_srgb(ImageCms.ImageCmsProfile(io.BytesIO(profile)), "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


def _same_as_srgb(source: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether the profile moves no colour of a test chart by more than `SAME_AS_SRGB`."""
    if mode == "L":
        chart = np.arange(256, dtype=np.uint8)[None]
    else:
        steps = np.linspace(0, 255, 11).round().astype(np.uint8)
        chart = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(11, -1, 3)
    picture = Image.fromarray(chart)
    moved = np.asarray(_convert(picture, source), np.int16) - np.asarray(picture.convert("RGB"), np.int16)
    return int(np.abs(moved).max()) <= SAME_AS_SRGB

"""Any Pillow mode to 8-bit sRGB and alpha: bit depth, palettes, gray, CMYK, embedded ICC profiles.

Everything that changes more than the layout of the samples leaves a note for the user.  Colour conversion is
littleCMS's (`ltokc.pictures.icc`), loaded only for pictures that need it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ltokc.errors import FormatError
from ltokc.pictures import light
from ltokc.pictures.planes import STRIP, in_mode, samples_of
from ltokc.pictures.samples import ValueRange, to_8_bit
from ltokc.pictures.signals import Colour
from ltokc.pictures.unseen import Unseen, unseen

GRAY_MODES = ("1", "L", "LA", "La")


@dataclass
class Pixels:
    """8-bit samples: `rgb` (H, W, 3) uint8 sRGB, `alpha` (H, W) uint8 or None when opaque everywhere.

    `icc` is the embedded profile where it still describes `rgb`, None where there was none or `rgb` was converted.
    `notes` and `losses`: as of `ltokc.pictures.load.Picture`.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


def from_image(image: Image.Image, value_range: ValueRange | None = None, known: Unseen | None = None) -> Pixels:
    """Pixels of a Pillow picture of any mode.

    value_range: of floats and 32-bit integers, see `samples.to_8_bit`; known: what the file says beside (None: see for
    yourself, before it is loaded).  Raises FormatError for values that are no picture (NaN).
    """
    known = unseen(image) if known is None else known
    notes: list[str] = []
    losses: list[str] = []
    profile: bytes | None = None if known.instead_of_profile else image.info.get("icc_profile") or None
    colour = None if profile else known.colour
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        samples, alpha = _deep_gray(image, value_range, notes, known)
        if colour and samples.dtype == np.uint16:
            return _shown(samples, _drop_opaque(alpha), colour, known, notes)
        base = Image.fromarray(samples)
    else:
        if known.sixteen:
            notes.append("16 bits per sample reduced to 8")
        base, alpha = _split(image, known)
        if colour and base.mode in ("L", "RGB"):
            return _shown(samples_of(base), _drop_opaque(alpha), colour, known, notes)
    base, icc = _to_srgb(base, profile, notes, losses)
    return Pixels(samples_of(base), _drop_opaque(alpha), icc, notes, losses)


def _shown(samples: np.ndarray, alpha: np.ndarray | None, colour: Colour, known: Unseen, notes: list[str]) -> Pixels:
    """Samples (H, W) or (H, W, 3), uint8 or uint16, of another colour than sRGB's."""
    found, toned = light.to_srgb(samples, colour, known.low)
    rgb = found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=2)
    said = f"colours converted from {colour.name} to sRGB"
    return Pixels(rgb, alpha, None, notes + [said] * (not toned), [f"{said}, tone-mapped"] if toned else [])


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


def _drop_opaque(alpha: np.ndarray | None) -> np.ndarray | None:
    return None if alpha is None or bool((alpha == 255).all()) else alpha


def _deep_gray(
    image: Image.Image, value_range: ValueRange | None, notes: list[str], known: Unseen
) -> tuple[np.ndarray, np.ndarray | None]:
    """16-bit, 32-bit and float gray to uint8, (H, W); a transparent gray value (PNG's tRNS) to alpha.

    Where the colour is not sRGB's, integers stay uint16, since their shadows need all bits.
    """
    sixteen = image.mode.startswith("I;16") or known.sixteen
    samples = np.asarray(image)
    clear = image.info.get("transparency")
    alpha = (samples != clear) * np.uint8(255) if isinstance(clear, int) else None
    if known.colour and sixteen and value_range is None and samples.dtype.kind in "iu":
        notes.append("16 bits per sample reduced to 8")
        return samples.clip(0, 65535).astype(np.uint16), alpha
    found: list[str] = []
    out = to_8_bit(samples, found, value_range, sixteen=sixteen)
    notes += [note for note in found if not (known.notes and "16 bits" in note)]  # the file's own number is told
    return out, alpha


def _split(image: Image.Image, known: Unseen) -> tuple[Image.Image, np.ndarray | None]:
    """Colour (mode L, RGB, CMYK or LAB) and alpha (H, W) uint8 of an 8-bit picture."""
    gray = image.mode in GRAY_MODES
    if known.clear is not None and image.mode in ("1", "L", "RGB"):
        samples = samples_of(image)
        return Image.fromarray(samples), _opaque(samples, known.low, known.clear)
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        if image.mode == "La":
            image = image.convert("LA")
        rgba = in_mode(image, "RGBA")
        return (rgba.getchannel("R") if gray else rgba.convert("RGB")), samples_of(rgba.getchannel("A"))
    if image.mode in ("CMYK", "LAB"):
        return image, None
    return in_mode(image, "L" if gray else "RGB"), None


def _opaque(samples: np.ndarray, low: np.ndarray | None, clear: int | tuple[int, ...]) -> np.ndarray:
    """Alpha (H, W) of samples of which one gray or colour is clear; low: the lower bytes of 16-bit samples."""
    alpha = np.empty(samples.shape[:2], np.uint8)
    for top in range(0, len(samples), STRIP):
        rows = slice(top, top + STRIP)
        part = samples[rows] if low is None else samples[rows].astype(np.uint16) << 8 | low[rows]
        hidden = part == np.array(clear, part.dtype)
        alpha[rows] = np.where(hidden if hidden.ndim == 2 else hidden.all(-1), 0, 255)
    return alpha


def _to_srgb(
    base: Image.Image, profile: bytes | None, notes: list[str], losses: list[str]
) -> tuple[Image.Image, bytes | None]:  # fmt: skip
    """Colour of mode L, RGB, CMYK or LAB to RGB in sRGB; also the profile where it still describes the result."""
    if base.mode == "LAB":
        from ltokc.pictures import icc

        return icc.from_lab(base), None
    if profile is not None:
        from ltokc.pictures import icc

        return icc.to_srgb(base, profile, notes, losses)
    if base.mode == "CMYK":
        notes.append("CMYK without a colour profile, converted by the plain formula")
    return in_mode(base, "RGB"), None

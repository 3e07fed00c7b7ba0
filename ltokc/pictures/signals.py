"""What files say of their colours in other words than an ICC profile: primaries, white point, transfer function.

Numbers of primaries and transfer are those of ITU-T H.273, as PNG's cICP and the nclx of AVIF and HEIF have them.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltokc.pictures.png import Chunks

XY = tuple[float, float]
Primaries = tuple[XY, XY, XY, XY]  # CIE 1931 x, y of white, red, green, blue

D65, C, E = (0.3127, 0.3290), (0.3100, 0.3160), (1 / 3, 1 / 3)
SRGB: Primaries = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE: Primaries = (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PRIMARIES: dict[int, tuple[str, Primaries]] = {
    1: ("BT.709", SRGB),
    4: ("BT.470 M", (C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08))),
    5: ("BT.601 (625 lines)", (D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06))),
    6: ("BT.601 (525 lines)", (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))),
    7: ("SMPTE 240M", (D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))),
    8: ("film", (C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049))),
    9: ("BT.2020", (D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    10: ("XYZ", (E, (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))),
    11: ("DCI P3", ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    12: ("Display P3", (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    22: ("EBU 3213", (D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077))),
}
CURVE, POWER, PQ, HLG = "sRGB", "power", "PQ", "HLG"  # kinds of transfer
TRANSFERS: dict[int, tuple[str, float]] = {  # kind, and the exponent of a power
    **dict.fromkeys((1, 6, 11, 13, 14, 15), (CURVE, 0.0)),  # cameras' curves are shown as sRGB, as browsers do
    4: (POWER, 2.2), 5: (POWER, 2.8), 8: (POWER, 1.0), 16: (PQ, 0.0), 18: (HLG, 0.0),
}  # fmt: skip
UNSAID = 2
GAMMA = 0.45455  # of sRGB, as PNG says it
NEAR = 0.05  # share by which a gamma may differ and still be taken for it
NEAR_XY = 0.002  # by which coordinates may differ and still be taken for sRGB's
ADOBE_GAMMA = 563 / 256
STRANGE = "whose numbers make no sense"
COLOUR_SPACE, INTEROPERABILITY, INDEX = 0xA001, 0xA005, 1  # of EXIF
UNCALIBRATED, OF_ADOBE = 65535, "R03"


@dataclass(frozen=True, slots=True)
class Colour:
    """How samples make light.

    transfer: CURVE, POWER (with `exponent`), PQ or HLG; full: samples use all of their range, not 16 to 235 of 255.
    name: for people.
    """

    name: str
    primaries: Primaries = SRGB
    transfer: str = CURVE
    exponent: float = 0.0
    full: bool = True

    @property
    def is_srgb(self) -> bool:
        return self.transfer == CURVE and self.full and _like(self.primaries, SRGB)


@dataclass(frozen=True, slots=True)
class Signal:
    """The colour that a file says, None for sRGB or where nothing is said, and what cannot be made of it (or "")."""

    colour: Colour | None = None
    trouble: str = ""


def coded(primaries: int, transfer: int, full: bool = True) -> Signal:
    """The signal of numbers of H.273."""
    name, of_primaries = PRIMARIES.get(primaries, PRIMARIES[1])
    kind, exponent = TRANSFERS.get(transfer, (CURVE, 0.0))
    unknown = [
        f"{what} number {value}"
        for what, value, known in (("primaries", primaries, PRIMARIES), ("transfer", transfer, TRANSFERS))
        if value not in (*known, UNSAID)
    ]
    words = [name] if primaries in PRIMARIES and primaries != 1 else []
    words += [{POWER: "linear" if exponent == 1 else f"gamma {exponent:g}"}.get(kind, kind)] if kind != CURVE else []
    words += [] if full else ["narrow range"]
    colour = Colour(" ".join(words), of_primaries, kind, exponent, full)
    trouble = f"colour coded with {' and '.join(unknown)} is unknown, taken as sRGB" if unknown else ""
    return Signal(None if colour.is_srgb else colour, trouble)


def of_png(chunks: Chunks, profile: bool) -> Signal:
    """The signal of a PNG: cICP stands over a profile (iCCP), that over sRGB, that over gAMA and cHRM.

    profile: whether there is one that can be used.
    """
    small = chunks.small
    if len(code := small.get("cICP", b"")) == 4:
        primaries, transfer, matrix, full = code
        if matrix == 0:
            return coded(primaries, transfer, bool(full))
    if profile or "sRGB" in small:
        return Signal()
    try:
        (gamma,) = struct.unpack(">I", small["gAMA"]) if "gAMA" in small else (0,)
        values = struct.unpack(">8I", small["cHRM"]) if "cHRM" in small else ()
    except struct.error:
        return Signal(None, "colour of the PNG (gAMA or cHRM) is damaged, taken as sRGB")
    return of_numbers(gamma / 100000 if "gAMA" in small else None, tuple(v / 100000 for v in values) or None)


def of_info(info: dict[Any, Any]) -> Signal:
    """The signal that Pillow hands on of a PNG, for a picture whose file is gone."""
    if info.get("icc_profile") or isinstance(info.get("srgb"), int):
        return Signal()
    gamma, values = info.get("gamma"), info.get("chromaticity")
    well = isinstance(values, tuple) and len(values) == 8 and all(isinstance(v, float) for v in values)
    return of_numbers(gamma if isinstance(gamma, float) else None, values if well else None)


def of_numbers(gamma: float | None, values: tuple[float, ...] | None) -> Signal:
    """The signal of a gamma (sample = light ** gamma) and of 8 coordinates, each None where it is not said."""
    trouble = []
    kind, exponent = CURVE, 0.0
    if gamma is not None and not 0.1 <= gamma <= 10:
        trouble.append(f"gamma of {gamma:g}")
    elif gamma is not None:
        kind, exponent = POWER, 1 / gamma
    primaries = SRGB
    if values is not None:
        pairs = [(values[i], values[i + 1]) for i in (0, 2, 4, 6)]
        if usable(tuple(pairs)):  # type: ignore[arg-type]
            primaries = tuple(pairs)  # type: ignore[assignment]
        else:
            trouble.append("primaries")
    if gamma is not None and abs(gamma / GAMMA - 1) <= NEAR and _like(primaries, SRGB):
        kind, exponent = CURVE, 0.0
    names = [name for name, known in PRIMARIES.values() if _like(primaries, known)]
    names += ["Adobe RGB"] if _like(primaries, ADOBE) else []
    words = [] if _like(primaries, SRGB) else [names[0] if names else "primaries of its own"]
    words += [] if kind == CURVE else ["linear" if exponent == 1 else f"gamma {exponent:.3g}"]
    colour = Colour(" with ".join(words), primaries, kind, exponent)
    said = f"{' and '.join(trouble)} in the file {STRANGE}, colour taken as sRGB" if trouble else ""
    return Signal(None if colour.is_srgb else colour, said)


def of_exif(exif: Any) -> Signal:
    """The signal of EXIF, an `Image.Exif`: Adobe RGB, or a colour space that it does not name."""
    inner = exif.get_ifd(0x8769)
    space = inner.get(COLOUR_SPACE)
    index = exif.get_ifd(INTEROPERABILITY).get(INDEX) if INTEROPERABILITY in inner else None
    index = index.decode("latin-1") if isinstance(index, bytes) else index
    if (isinstance(index, str) and index.strip("\0 ") == OF_ADOBE) or space == 2:
        return Signal(Colour("Adobe RGB", ADOBE, POWER, ADOBE_GAMMA))
    if space == UNCALIBRATED:
        return Signal(None, "EXIF says that the colours are not those of sRGB, and no more: taken as sRGB")
    return Signal()


def usable(primaries: Primaries) -> bool:
    """Whether these coordinates span colours."""
    if not all(math.isfinite(v) and -1 <= v <= 2 for pair in primaries for v in pair) or primaries[0][1] < 0.01:
        return False
    red, green, blue = (np.array(pair) for pair in primaries[1:])
    a, b = green - red, blue - red
    if abs(float(a[0] * b[1] - a[1] * b[0])) < 0.01:
        return False
    with np.errstate(all="ignore"):
        weights = np.linalg.solve(tristimulus(primaries), white_of(primaries[0]))
    return bool(np.isfinite(weights).all() and (weights > 0).all())


def tristimulus(primaries: Primaries) -> np.ndarray:
    """Columns x, y, z of red, green and blue: (3, 3)."""
    return np.array([[x, y, 1 - x - y] for x, y in primaries[1:]], float).T


def white_of(white: XY) -> np.ndarray:
    """XYZ of a white of luminance 1."""
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _like(a: Primaries, b: Primaries) -> bool:
    return all(abs(u - v) <= NEAR_XY for p, q in zip(a, b, strict=True) for u, v in zip(p, q, strict=True))

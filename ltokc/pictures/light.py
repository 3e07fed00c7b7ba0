"""Samples of other primaries and transfer functions to 8-bit sRGB; what is brighter than white is tone-mapped.

Power and sRGB's curve give light from 0 to 1.  PQ (SMPTE ST 2084) and HLG (BT.2100) give cd/m2: diffuse white is 203
(BT.2408), which becomes white; what is brighter is rolled off from below it by the curve of BT.2390, section 5.4.1, on
the largest of red, green and blue, so that hues stay.  HLG is shown as on a display of 1000 cd/m2.  Whites are adapted
by Bradford's matrix, and colours outside of sRGB clipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ltokc.pictures.signals import HLG, POWER, PQ, SRGB, Colour, tristimulus, white_of

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
WHITE, PQ_PEAK, HLG_PEAK, HLG_GAMMA = 203.0, 10000.0, 1000.0, 1.2  # cd/m2; the exponent of HLG's OOTF
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32  # of PQ
BRIGHTEST = 1e-4  # share of the pixels that may be brighter than what counts as the picture's peak
PIXELS = 1 << 17  # at a time, so that the wider numbers stay small
STEPS = 4096  # of the table of the tone curve
NARROW_LOW, NARROW_SPAN = 16 / 255, 219 / 255


def to_srgb(samples: np.ndarray, colour: Colour, low: np.ndarray | None = None) -> tuple[np.ndarray, bool]:
    """Samples (H, W) or (H, W, 3), uint8 or uint16, to uint8 sRGB of the same shape; also whether it was tone-mapped.

    low: the lower bytes of samples of 16 bits, whose upper bytes are `samples`.
    """
    top = 65535 if low is not None or samples.dtype == np.uint16 else 255
    codes = np.arange(top + 1) / top
    light = light_of(codes if colour.full else np.clip((codes - NARROW_LOW) / NARROW_SPAN, 0, 1), colour)
    peak = _peak(samples, low, light, colour) if colour.transfer in (PQ, HLG) else 0.0
    out = np.empty(samples.shape, np.uint8)
    if samples.ndim == 2 or _is_gray(samples, low):
        gray = _displayed(light[:, None], colour, peak)[:, 0]
        table = sample_of(gray)
        for rows, part in _strips(
            samples if samples.ndim == 2 else samples[..., 0], None if low is None else low[..., 0]
        ):
            found = table[part]
            out[rows] = found if samples.ndim == 2 else found[..., None]
        return out, peak > WHITE
    matrix = (np.linalg.inv(to_xyz(SRGB)) @ adapted(colour)).T.astype(np.float32)
    weights = to_xyz(colour.primaries)[1].astype(np.float32)
    table32 = light.astype(np.float32)
    for rows, part in _strips(samples, low):
        out[rows] = sample_of(_displayed(table32[part], colour, peak, weights) @ matrix)
    return out, peak > WHITE


def light_of(v: np.ndarray, colour: Colour) -> np.ndarray:
    """Light of samples in 0 to 1: of PQ in units of white, of HLG that of the scene, 0 to 1; else of the display."""
    if colour.transfer == POWER:
        return np.asarray(v**colour.exponent)
    if colour.transfer == PQ:
        return pq_light(v) / WHITE
    if colour.transfer == HLG:
        return np.where(v <= 0.5, v * v / 3, (np.exp((v - HLG_C) / HLG_A) + HLG_B) / 12)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def sample_of(light: np.ndarray) -> np.ndarray:
    """uint8 sRGB of light, which is clipped to 0 to 1."""
    light = np.clip(light, 0, 1)
    curved = 1.055 * light ** (1 / 2.4) - 0.055
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, curved)).astype(np.uint8)


def pq_light(v: np.ndarray) -> np.ndarray:
    """cd/m2 of PQ's samples in 0 to 1."""
    root = np.asarray(v, float) ** (1 / M2)
    return PQ_PEAK * (np.maximum(root - C1, 0) / (C2 - C3 * root)) ** (1 / M1)


def pq_sample(light: np.ndarray) -> np.ndarray:
    """PQ's samples in 0 to 1 of cd/m2."""
    power = (np.asarray(light, float) / PQ_PEAK) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def tone(light: np.ndarray, peak: float) -> np.ndarray:
    """What is shown of light of up to `peak` where WHITE is the brightest, both in cd/m2."""
    if peak <= WHITE:
        return light
    source = float(pq_sample(np.array(peak)))
    most = float(pq_sample(np.array(WHITE))) / source
    knee = 1.5 * most - 0.5
    e = np.minimum(pq_sample(light) / source, 1)
    t = np.maximum(e - knee, 0) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_light(np.where(e < knee, e, bent) * source)


def _displayed(light: np.ndarray, colour: Colour, peak: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Light (..., 1 or 3) as a display of WHITE at 1 shows it; weights: of luminance."""
    if colour.transfer not in (PQ, HLG):
        return light
    if colour.transfer == HLG:
        luminance = light if weights is None else (light @ weights)[..., None]
        light = light * (HLG_PEAK / WHITE * np.maximum(luminance, 1e-9) ** (HLG_GAMMA - 1))
    if peak <= WHITE:
        return light
    largest = light.max(-1, keepdims=True)
    grid = pq_light(np.linspace(0, 1, STEPS))
    shown = np.interp(largest * WHITE, grid, tone(grid, peak)).astype(light.dtype) / WHITE
    return np.asarray(light * (shown / np.maximum(largest, 1e-9)))


def to_xyz(primaries: tuple) -> np.ndarray:
    """Linear RGB to XYZ: (3, 3); (1, 1, 1) gives white of luminance 1."""
    columns = tristimulus(primaries)
    return np.asarray(columns * np.linalg.solve(columns, white_of(primaries[0])))


def adapted(colour: Colour) -> np.ndarray:
    """Linear RGB of this colour to XYZ under sRGB's white: (3, 3)."""
    cones = BRADFORD @ white_of(SRGB[0]) / (BRADFORD @ white_of(colour.primaries[0]))
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ to_xyz(colour.primaries))


def _peak(samples: np.ndarray, low: np.ndarray | None, light: np.ndarray, colour: Colour) -> float:
    """cd/m2 that all but the brightest few of the pixels stay below; light: of every code."""
    counts = np.zeros(len(light), np.int64)
    for _, part in _strips(samples, low):
        largest = part if part.ndim == 2 else part.max(-1)
        counts += np.bincount(largest.ravel(), minlength=len(light))
    few = BRIGHTEST * counts.sum()
    code = int(np.argmax(counts[::-1].cumsum() > few))
    value = float(light[len(light) - 1 - code])
    return value * WHITE if colour.transfer == PQ else HLG_PEAK * value**HLG_GAMMA


def _is_gray(samples: np.ndarray, low: np.ndarray | None) -> bool:
    planes = (samples,) if low is None else (samples, low)
    return all(
        np.array_equal(part[..., 0], part[..., c])
        for plane in planes
        for _, part in _strips(plane, None)
        for c in (1, 2)
    )


def _strips(samples: np.ndarray, low: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows at a time, and their samples with the lower bytes."""
    step = max(1, PIXELS // max(1, samples.shape[1]))
    for top in range(0, len(samples), step):
        rows = slice(top, top + step)
        yield rows, samples[rows] if low is None else samples[rows].astype(np.uint16) << 8 | low[rows]

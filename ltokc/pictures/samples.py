"""Samples of any type to 8 bits.  The range of a type is fixed or given, never taken from the extremes of a picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ltokc.arguments import real, shown
from ltokc.errors import FormatError, UsageError

ValueRange = tuple[float, float]  # samples that become 0 and 255
OVERSHOOT = 0.25  # of the range: what resampling and sharpening may leave outside, and what is clipped
STRIP = 256  # rows at a time, so that the wider numbers stay small


def check_range(value_range: ValueRange | None) -> None:
    """Raises UsageError unless it is None or two finite numbers, the first below the second."""
    if value_range is None:
        return
    try:
        low, high = map(real, value_range)
    except (TypeError, ValueError):
        low = high = None
    if low is None or high is None or low >= high:
        raise UsageError(f"value_range is (low, high), two finite numbers with low < high, not {shown(value_range)}")


def to_8_bit(
    samples: np.ndarray, notes: list[str], value_range: ValueRange | None = None, *, sixteen: bool = False
) -> npt.NDArray[np.uint8]:
    """Numeric samples to uint8, rounded.

    Without `value_range` bool is 0 and 1, uint8 stays, uint16 is 0 to 65535 and floats are 0 to 1.  Floats outside by
    OVERSHOOT at most are clipped; what lies farther out is refused, as are other integers, since their range is not
    known.  With `value_range` all samples are scaled from it and clipped.  sixteen: integers of 32 bits hold 0 to
    65535.  What is done is said in `notes`.  Raises FormatError, also for NaN and infinities.
    """
    kind, size = samples.dtype.kind, samples.dtype.itemsize
    if samples.size == 0:
        raise FormatError("the picture has no pixels")
    if kind not in "biuf":
        raise FormatError(f"samples of type {samples.dtype} are no picture")
    if kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 1 and value_range is None:
        return samples
    lowest, highest = float(samples.min()), float(samples.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise FormatError("the picture has samples that are not finite numbers")
    if value_range is not None:
        low, high = (float(value) for value in value_range)
        notes.append(f"samples from {low:g} to {high:g} scaled to 8 bits")
    elif kind == "f":
        low, high = 0.0, 1.0
        if lowest < -OVERSHOOT or highest > 1 + OVERSHOOT:
            raise FormatError(
                f"float samples from {lowest:g} to {highest:g}, where 0 to 1 is expected: scale them, or give "
                "value_range=(low, high) in Python"
            )
        notes.append("float samples in 0 to 1 scaled to 8 bits")
    elif sixteen or (kind == "u" and size == 2):
        low, high = 0.0, 65535.0
        notes.append("16 bits per sample reduced to 8")
    else:
        raise FormatError(
            f"{8 * size}-bit integers, whose range is not known: make them uint8 or uint16, or give "
            "value_range=(low, high) in Python"
        )
    if lowest < low or highest > high:
        notes.append(f"samples from {lowest:g} to {highest:g} clipped to {low:g} to {high:g}")
    return _scaled(samples, low, high)


def _scaled(samples: np.ndarray, low: float, high: float) -> npt.NDArray[np.uint8]:
    out = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), STRIP):
        wide = samples[top : top + STRIP].astype(np.float64)
        wide -= low
        wide *= 255 / (high - low)
        out[top : top + STRIP] = np.clip(np.rint(wide, out=wide), 0, 255, out=wide)
    return out

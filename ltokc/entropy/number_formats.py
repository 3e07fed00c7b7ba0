"""Number formats and sizes of the integer prior; normative (formats/LTK.md), shared by numpy and torch."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATION_BITS = 4  # an activation counts in units of 2**-4 ...
CLIP = 127  # ... and saturates at +-127 units; weights are int8 in [-127, 127] times 2**-shift
MAX_SHIFT = 12  # largest shift of a channel's weights
BIAS_LIMIT = 2**20  # |bias| in accumulator units
LOGIT_BITS = 6  # a logit counts in units of 2**-6 nat ...
LOGIT_LIMIT = 16  # ... and saturates at +-16 nat
TOTAL_BITS = 16  # counts of a digit sum to 2**16
EXACT = 2**24  # integers below this are exact in float32, whatever the order of summation


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """channels of the state, inner channels of its 3x3 blocks, hidden units of a level's head."""

    channels: int = 128
    inner: int = 64
    hidden: int = 128

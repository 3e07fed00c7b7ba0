"""Above the reach of tokens: the quality of a lossy codec at which a picture has a wanted look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2 import LEAST_SIDE, Reference

Pixels = npt.NDArray[np.uint8]
STARTS = 0.9  # quality of the encoder above which a patch shows the whole picture
# points of SSIMULACRA2 by the encoder's quality; about what tokens reach at the first (37 to 47)
LOOKS = ((STARTS, 41.0), (0.92, 49.0), (0.94, 58.5), (0.96, 68.0), (0.98, 78.0), (1.0, 87.0))
NEAR = 0.4  # points that a look may miss
TRIES = 9  # encodes at most; three are usual
# quality of the codec and about its look, where the search begins
GUESSES = ((10, 0.0), (20, 20.0), (30, 38.0), (40, 53.0), (50, 65.0), (60, 75.0), (70, 81.0), (80, 86.0), (92, 91.0))
MOST_PIXELS = 1 << 20  # that are compared; of larger pictures bands from top to bottom
BANDS = 4


def look_of_quality(quality: float) -> float:
    """Points wanted at a quality above STARTS."""
    return float(np.interp(quality, [q for q, _ in LOOKS], [look for _, look in LOOKS]))


def sample_of(rgb: Pixels) -> Pixels:
    """About a million pixels of a larger picture: bands of rows over its whole width."""
    height, width = rgb.shape[:2]
    if height * width <= MOST_PIXELS:
        return rgb
    high = max(MOST_PIXELS // BANDS // width, 2 * LEAST_SIDE)
    tops = np.linspace(0, max(0, height - high), BANDS).astype(int)
    return np.concatenate([rgb[top : top + high] for top in tops])


def guessed(look: float) -> int:
    """The quality of a lossy codec, 0 to 100, at which most pictures have about this look, in points."""
    return round(float(np.interp(look, [points for _, points in GUESSES], [quality for quality, _ in GUESSES])))


def quality_of_look(look: float, rgb: Pixels, coded: Callable[[Pixels, int], Pixels], least: int = 0) -> int:
    """The lowest quality, `least` to 100, that is found to give a picture (H, W, 3) a look; 100 where none does.

    coded(pixels, quality): what the codec makes of pixels.
    """
    qualities, looks = (np.array(each, float) for each in zip(*GUESSES, strict=True))
    quality = guessed(look)
    if min(rgb.shape[:2]) < LEAST_SIDE:
        return max(least, quality)
    pixels = sample_of(rgb)
    reference = Reference(pixels)
    seen: dict[int, float] = {}
    low, high = least - 1, 101  # below the look, at it
    for _ in range(TRIES):
        quality = min(max(quality, low + 1), high - 1)
        if quality in seen or high - low <= 1:
            break
        seen[quality] = found = reference.score(coded(pixels, quality))
        if found >= look - NEAR:
            high = quality
        else:
            low = quality
        if abs(found - look) <= NEAR:
            break
        quality = _next(seen, look, qualities, looks)
    return min(high, 100)


def _next(seen: dict[int, float], look: float, qualities: np.ndarray, looks: np.ndarray) -> int:
    """Where a look is expected: on the guessed curve, moved by what was seen nearest to it, or between two of these."""
    known = sorted(seen.items())
    below = [each for each in known if each[1] < look]
    above = [each for each in known if each[1] >= look]
    if below and above and above[0][1] > below[-1][1]:
        (q0, look0), (q1, look1) = below[-1], above[0]
        return round(q0 + (q1 - q0) * (look - look0) / (look1 - look0))
    q, found = min(known, key=lambda each: abs(each[1] - look))
    guessed = float(np.interp(q, qualities, looks))
    return round(float(np.interp(look + guessed - found, looks, qualities)))

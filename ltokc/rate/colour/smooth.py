"""Flat fields and gradients: digits and depths are tried by decodes, since nothing hides there what a model misses.

There few levels and a colour grid may be nearer to the original than many levels, which add an unevenness of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ltokc.geometry import Level
from ltokc.rate.colour.digits import Means, choose
from ltokc.rate.colour.grid import SMOOTH_BYTE, best_grid
from ltokc.rate.curves import RDCurves
from ltokc.rate.plan import Plan, uniform
from ltokc.token_grid import Tokens
from ltokc.tokenizer.colour import ColourResponse

SMOOTH = 2.0  # of 255: mean second difference from pixel to pixel; photographs have 5 and more
CHANNELS = (1, 0, 2)  # of RGB, green first: in most pictures it decides
ROUNDS = 2  # decodes of digits that were chosen, at most
DEPTHS = (2.0, 3.0, 4.0, 5.0, 6.0)  # levels that are tried: the first ones are the smoothest
AS_GOOD = 1.05  # times the error of the plan
GAIN = 0.98  # of the error before, that a round has to reach
_STRIP = 1024  # rows looked at at a time


def is_smooth(rgb: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 3) is made of flat fields and gradients alone."""
    return min(rgb.shape[:2]) >= 3 and all(_bend(rgb[:, :, channel]) < SMOOTH for channel in CHANNELS)


def _bend(plane: npt.NDArray[np.uint8]) -> float:
    """Mean second difference of a plane (H, W) from pixel to pixel, along both sides."""
    found, seen = 0.0, 0
    for top in range(0, len(plane) - 2, _STRIP):
        strip = plane[top : top + _STRIP + 2].astype(np.int16)
        bend = abs(2 * strip[1:-1, 1:-1] - strip[:-2, 1:-1] - strip[2:, 1:-1])
        bend += abs(2 * strip[1:-1, 1:-1] - strip[1:-1, :-2] - strip[1:-1, 2:])
        found, seen = found + float(bend.sum(dtype=np.int64)), seen + 2 * bend.size
    return found / seen


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan, tokens for it, the means of their decode, what they cost, a grid included, and the error of the decode.

    The error is SSIMULACRA2's, which sees the detail that the means do not show.
    """

    plan: Plan
    tokens: Tokens
    means: Means
    cost: float
    error: float = 0.0

    def rank(self, wanted: float) -> tuple[float, float]:
        """The least is the best: what it costs, among those that look as `wanted`, else which looks best."""
        return max(0.0, self.error - AS_GOOD * wanted), self.cost


@dataclass(frozen=True, slots=True)
class Decoder:
    """A model on a picture.

    decode: gives the means of a plan's tokens and their error; bytes_of: what these take; response: of colours to
    digits, if known.
    """

    levels: Sequence[Level]
    response: ColourResponse | None
    decode: Callable[[Plan, Tokens], tuple[npt.NDArray[np.float32], float]]
    bytes_of: Callable[[Plan], float]


def tried(decoder: Decoder, start: Trial, plans: Sequence[Plan], wanted: float) -> Trial:
    """The best of the plans and of the digits chosen for them round by round, by decodes with their grids.

    start: tokens of all plans, and means of the picture; wanted: the error that a decode may have.
    """
    best: Trial | None = None
    for plan in plans:
        tokens = replace(start.tokens, masks=plan.masks(decoder.levels))
        last: Trial | None = None
        for _ in range(1 + ROUNDS):
            decoded, error = decoder.decode(plan, tokens)
            means = replace(start.means, decoded=decoded)
            grid = best_grid(means)
            trial = Trial(plan, tokens, means, grid.cost + SMOOTH_BYTE * decoder.bytes_of(plan), error)
            if last is not None and trial.cost > GAIN * last.cost:
                break
            last = trial
            if decoder.response is None:
                break
            tokens, _means = choose(replace(means, decoded=means.decoded + grid.given), tokens, decoder.response)
        if last is not None and (best is None or last.rank(wanted) < best.rank(wanted)):
            best = last
    return best or start


def with_other_depths(plan: Plan, curves: RDCurves, error: float) -> list[Plan]:
    """The plan, and those of the first depths, all cells alike, that are expected to look as wanted or as good as it.

    A faint photograph, in fog or over-exposed, is as smooth as a gradient, and fewer levels would take its detail.
    """
    found = curves.error_of(plan.depths) or curves.error_at(float(plan.levels_kept.mean()))
    most = max(AS_GOOD * found, error)
    depths = [keep for keep in DEPTHS if keep != plan.keep and curves.error_at(keep) <= most]
    return [plan, *(uniform(keep, plan.depths.shape) for keep in depths)]

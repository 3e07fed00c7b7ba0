"""Flat fields and gradients: digits are tried by decodes, since nothing hides there what a linear model misses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ltokc.rate.colour.digits import Means, choose
from ltokc.rate.colour.grid import best_grid
from ltokc.token_grid import Tokens
from ltokc.tokenizer.colour import ColourResponse

SMOOTH = 2.0  # of 255: mean second difference of green from pixel to pixel; photographs have 5 and more
ROUNDS = 3  # decodes of digits that were chosen
GAIN = 0.98  # of the error before, that a round has to reach
_STRIP = 1024  # rows looked at at a time


def is_smooth(rgb: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 3) is made of flat fields and gradients alone."""
    if min(rgb.shape[:2]) < 3:
        return False
    found, seen = 0.0, 0
    for top in range(0, len(rgb) - 2, _STRIP):
        green = rgb[top : top + _STRIP + 2, :, 1].astype(np.int16)
        bend = abs(2 * green[1:-1, 1:-1] - green[:-2, 1:-1] - green[2:, 1:-1])
        bend += abs(2 * green[1:-1, 1:-1] - green[1:-1, :-2] - green[1:-1, 2:])
        found, seen = found + float(bend.sum(dtype=np.int64)), seen + 2 * bend.size
    return found < SMOOTH * seen


def tried(
    means: Means, tokens: Tokens, response: ColourResponse, decode: Callable[[Tokens], np.ndarray]
) -> tuple[Tokens, Means]:  # fmt: skip
    """Of `tokens` and what is chosen of them, round by round, those whose decode with its grid is nearest; its means.

    decode: from tokens to the means of the picture that they give.
    """
    means = replace(means, decoded=decode(tokens), exact=True)
    best = tokens, means
    least = best_grid(means, means.gray).cost
    for _ in range(ROUNDS):
        tokens, _expected = choose(means, tokens, response)
        means = replace(means, decoded=decode(tokens), exact=True)
        cost = best_grid(means, means.gray).cost
        if cost >= least * GAIN:
            break
        best, least = (tokens, means), cost
    return best

"""Digits chosen by what they cost and what they do to the picture: gradient descent with the decoder frozen.

The tokenizer guesses good digits in one pass; here they are tried.  The bounded values that it rounds are variables;
every step rounds them (at first half-way), decodes, counts bits with the prior, and moves the variables against the
gradient of

    distance from 100 points of SSIMULACRA2, in hundreds  +  STRUCTURE_WEIGHT * (1 - SSIM of the luma at three scales)
    +  MSE_WEIGHT * mean squared error  +  rate * bits per pixel

through the rounding (Bengio et al. 2013; per-picture search as in Campos et al. 2019).  The file is an ordinary one:
decoders need to know nothing of it.  Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltokc.errors import ModelError
from ltokc.rate.refine.schedule import Schedule
from ltokc.rate.refine.window import SearchTiling, Window
from ltokc.token_grid import Tokens

if TYPE_CHECKING:
    from ltokc.rate.refine.descent import Descent

TILING = SearchTiling()


def require_torch() -> None:
    """Raises ModelError if torch is not installed."""
    if not find_spec("torch"):
        raise ModelError("efforts above 2 choose digits with torch, which is not installed: pip install torch")


@dataclass(frozen=True, slots=True)
class Search:
    """The search with the model in `folder`, on a device ("auto", "cpu", "cuda")."""

    folder: Path
    device: str = "auto"
    tiling: SearchTiling = TILING

    def run(
        self,
        rgb: np.ndarray,
        tokens: Tokens,
        schedule: Schedule,
        rate: float,
        advance: Callable[[], None] = lambda: None,
    ) -> Tokens:
        """Tokens of the same shapes: other digits where the masks are set, the rest as it was.

        rgb: (H, W, 3) uint8, sides of 8 and more; tokens: with digits everywhere, masks of those that will be sent;
        rate: what a bit per pixel weighs; advance: called after every step.
        """
        descent = opened(self.folder, self.device)
        out = Tokens(tokens.levels, [np.array(grid) for grid in tokens.digits], tokens.masks)
        for y, x in self.tiling.windows(tokens.grid):
            window = Window.of(rgb, out, y, x)
            found = descent.run(window, schedule, rate, advance)
            for part, new in zip(window.digits, found, strict=True):
                part[...] = new
        return out


@lru_cache(maxsize=2)
def opened(folder: Path, device: str) -> Descent:
    """The networks in torch, opened once a process."""
    from ltokc.rate.refine.descent import Descent

    return Descent(folder, device)

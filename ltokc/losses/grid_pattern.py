"""The part of a difference that repeats on the grid of the networks' strides: a faint pattern, which the eye sees.

The networks make pixels at strides 4, 8 and 16.  In flat places they may leave that grid as a pattern that is too faint
for the other terms of the loss.
"""

from __future__ import annotations

import torch

PERIOD = 16  # pixels, a multiple of the finer strides


def grid_pattern_energy(difference: torch.Tensor) -> torch.Tensor:
    """Mean square of the part of a difference that is the same in every 16x16 square of a picture: ().

    difference: (B, 3, H, W), H and W multiples of 16.  Of n squares without a pattern chance leaves an n-th of their
    variance.  (An estimate without that bias, the product of the means of two halves, has no lower bound, and training
    finds that out.)
    """
    b, c, h, w = difference.shape
    squares = difference.view(b, c, h // PERIOD, PERIOD, w // PERIOD, PERIOD)
    pattern = squares.mean((2, 4))
    return (pattern - pattern.mean((2, 3), keepdim=True)).square().mean()

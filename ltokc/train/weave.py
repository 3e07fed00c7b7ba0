"""What the loss has against a weave: differences of a picture that come back every 16 pixels.

The networks make pixels at strides 4, 8 and 16, and may leave the grid of these strides in flat places as a pattern
too faint for the other terms, though not for the eye.
"""

from __future__ import annotations

import torch

PERIOD = 16  # pixels, a multiple of the finer strides


def weave_energy(difference: torch.Tensor) -> torch.Tensor:
    """Mean square of the part of a difference that is the same in every 16x16 square, without bias: ().

    difference: (B, 3, H, W), H and W multiples of 16, two squares or more.  Chance leaves a pattern in the mean of few
    squares; the product of the means of two halves of them, the light and the dark squares of a checkerboard, has none
    in expectation.
    """
    b, c, h, w = difference.shape
    rows, columns = h // PERIOD, w // PERIOD
    squares = difference.view(b, c, rows, PERIOD, columns, PERIOD)
    squares = squares - squares.mean((3, 5), keepdim=True)
    light = torch.arange(rows, device=difference.device).view(-1, 1) + torch.arange(columns, device=difference.device)
    light = (light % 2).to(difference.dtype)
    first, second = (
        torch.einsum("bcyixj,yx->bcij", squares, half / half.sum().clamp_min(1)) for half in (light, 1 - light)
    )
    return (first * second).mean()

"""The gate: how much of the drawn detail a place gets, read from the decoder's state.

What a generator draws is wanted where the tokens leave a texture open, and does harm where they hold nearly all of it,
or where no texture is: on edges, faces, lettering, lacquer, sky.  The state tells these apart, and with them the depth
of the cell, whose masks it has absorbed.  Two factors from 0 to 1 are given every 8 px and interpolated in between: one
for the means of squares of 2x2 px, which are the strokes of a texture, and one for what is inside them, its grain.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

BANDS = 2  # means of squares, their insides
OPEN = 2.0  # of the last layer's bias: a fresh gate is near .88 everywhere


class Gate(nn.Module):
    """f8 (B, state8, H/8, W/8) -> factors (B, 2, H/8, W/8), 0 to 1."""

    def __init__(self, state8: int, channels: int):
        super().__init__()
        self.first = nn.Conv2d(state8, channels, 1)
        self.context = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(channels, BANDS, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.fill_(OPEN)

    def forward(self, f8: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(f8))
        for convolution in self.context:
            x = x + F.relu(convolution(x))
        return torch.sigmoid(self.last(x))


def doubled(factors: torch.Tensor) -> torch.Tensor:
    """Factors of half the stride, linear in between."""
    return F.interpolate(factors, scale_factor=2, mode="bilinear", align_corners=False)


def gated(written: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Squares of 2x2 px, four channels a colour (B, 12, h, w), times the factors (B, 2, h, w) of their bands."""
    squares = written.unflatten(1, (3, 4))
    mean = squares.mean(2, keepdim=True)
    strokes, grain = factors.unsqueeze(1).chunk(2, 2)
    return (mean * strokes + (squares - mean) * grain).flatten(1, 2)

"""The query of a level: a small network that reads state and features and says the digits; it may be told the depth.

The bits that a picture has decide which digits are the best: those of a short file should stand alone, those of a long
one leave to later levels what these do better.  A told query sees how many levels each place will keep.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from ltokc.tokenizer.nn.blocks import Block

NARROW = 96  # channels, up to which the block of a query is as wide inside


class Told(nn.Module):
    """Scales and shifts the channels of (B, c, h, w) by the depth at each place; does nothing at first.

    Scale and shift are tables over the depths 0, 1, ... `levels`, linear in between: a 1x1 convolution of hats.
    """

    def __init__(self, channels: int, levels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2 * channels, levels + 1, 1, 1))

    def forward(self, x: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """depth: (B, 1, h, w), levels kept at each place, 0 to all of them, a fraction for a part of one."""
        depths = torch.arange(self.weight.shape[1], device=depth.device, dtype=depth.dtype).view(1, -1, 1, 1)
        scale, shift = F.conv2d((1 - (depth - depths).abs()).relu(), self.weight).chunk(2, 1)
        return x * (1 + scale) + shift


class Query(nn.Sequential):
    """(B, channels, h, w), state and features joined, to the values of a level's digits: (B, digits, h, w)."""

    def __init__(self, channels: int, width: int, digits: int, levels: int, told: bool = False):
        super().__init__(
            nn.Conv2d(channels, width, 1), Block(width, 1 if width <= NARROW else 2), nn.Conv2d(width, digits, 1)
        )
        if told:
            self.told = Told(width, levels)

    def forward(self, x: torch.Tensor, depth: torch.Tensor | None = None) -> torch.Tensor:
        """depth: (B, 1, h, w), which a told query needs and another one does not look at."""
        h = self[0](x)
        if "told" in self._modules:
            assert depth is not None
            h = self.told(h, depth)
        h = self[1](h)
        with torch.autocast(h.device.type, enabled=False):  # what is rounded should not lie on the grid of bf16
            return self[2](h.float())

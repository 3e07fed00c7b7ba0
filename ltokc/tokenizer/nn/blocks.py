"""Building blocks: norm-free residual bottlenecks and changes of stride, all made of 1x1 and 3x3 convolutions."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """Norm-free bottleneck residual block, (B, c, H, W) -> (B, c, H, W)."""

    def __init__(self, channels: int, shrink: int = 2):
        super().__init__()
        inner = channels // shrink
        self.a = nn.Conv2d(channels, inner, 1)
        self.b = nn.Conv2d(inner, inner, 3, padding=1)
        self.c = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.c.bias)
        with torch.no_grad():
            self.c.weight.mul_(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.c(F.relu(self.b(F.relu(self.a(x)))))


def blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[Block(channels) for _ in range(count)])


class Up(nn.Module):
    """(B, ci, H, W) -> (B, co, 2H, 2W): 1x1 convolution and pixel shuffle."""

    def __init__(self, ci: int, co: int):
        super().__init__()
        self.conv = nn.Conv2d(ci, co * 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


class Down(nn.Module):
    """(B, ci, 2H, 2W) -> (B, co, H, W): pixel unshuffle and 1x1 convolution."""

    def __init__(self, ci: int, co: int):
        super().__init__()
        self.conv = nn.Conv2d(ci * 4, co, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.pixel_unshuffle(x, 2))

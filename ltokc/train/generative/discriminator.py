"""A projected discriminator: patch heads on frozen features, and one on pixels, each told the faithful picture.

Heads on features of a network that does not learn (Sauer et al. 2021, arXiv:2111.01007) need little training.  The
loss is relativistic: how much better a made picture could be than the original of the same place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

TOLD = (1, 2, 3)  # feature maps with a head: strides 2, 4, 8.  One at full size would cost as much as the rest
CHANNELS = (64, 128, 256)  # of these maps
LIMIT = 6.0  # of features divided by their scale


def _conv(ci: int, co: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Conv2d(ci, co, kernel, stride, padding))


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2)


class Discriminator(nn.Module):
    """Picture, its feature maps, the faithful picture and its maps -> four maps of scores, float32 (B, 1, h, w)."""

    def __init__(self, channels: int = 48):
        super().__init__()
        self.first = nn.ModuleList(_conv(2 * c, channels, *((2, 2) if c == CHANNELS[0] else (1, 1))) for c in CHANNELS)
        self.pixels = nn.ModuleList([_conv(6, 32, 4, 2, 1), _conv(32, channels, 4, 2, 1)])
        self.second = nn.ModuleList(_conv(channels, channels, 3, padding=1) for _ in range(len(TOLD) + 1))
        self.third = nn.ModuleList(_conv(channels, 1, 1) for _ in range(len(TOLD) + 1))

    def forward(
        self,
        picture: tuple[torch.Tensor, Sequence[torch.Tensor]],
        faithful: tuple[torch.Tensor, Sequence[torch.Tensor]],
        scales: Sequence[torch.Tensor],
    ) -> list[torch.Tensor]:
        (x, maps), (plain, plain_maps) = picture, faithful
        hidden = []
        for i, net in zip(TOLD, self.first, strict=True):
            both = [(m[i] / scales[i]).clamp(-LIMIT, LIMIT) for m in (maps, plain_maps)]
            hidden.append(_leaky(net(torch.cat(both, 1))))
        seen = torch.cat([(x - plain) * 4, plain], 1)
        hidden.append(_leaky(self.pixels[1](_leaky(self.pixels[0](seen)))))
        return [
            third(h + _leaky(second(h))).float()
            for h, second, third in zip(hidden, self.second, self.third, strict=True)
        ]


def relativistic(better: Sequence[torch.Tensor], worse: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean of softplus(worse - better) over the maps of scores: ln 2 where nothing is told apart: ()."""
    terms = [F.softplus(w - b).mean() for b, w in zip(better, worse, strict=True)]
    return torch.stack(terms).mean()

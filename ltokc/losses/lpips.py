"""LPIPS v0.1 on SqueezeNet 1.1 features (Zhang et al. 2018), in plain torch; weights are given by path.

The file holds `features.*` (torchvision's squeezenet1_1 features) and `lin.0` to `lin.6` (the official linear heads).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from safetensors.torch import load_file

from ltokc.losses.both_taps import Back, BothTaps, convolution, pooled, rectified
from ltokc.losses.unit_distance import HalfUnitDistance, UnitDistance

TAPS = (1, 4, 7, 9, 10, 11, 12)


class Fire(nn.Module):
    """SqueezeNet's fire module."""

    def __init__(self, ci: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = nn.Conv2d(ci, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class LPIPS(nn.Module):
    """Distance of two batches (B, 3, H, W) in [-1, 1]: (B,).  Raises FileNotFoundError or KeyError on bad weights.

    half: distances of taps in bf16, summed in float32.  together: `taps_of_both` calls the network once.
    """

    shift: torch.Tensor
    scale: torch.Tensor
    half = together = False

    def __init__(self, path: str | Path):
        super().__init__()

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128),
            Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        weights = load_file(path)
        prefix = "features."
        self.features.load_state_dict({k[len(prefix) :]: v.float() for k, v in weights.items() if k.startswith(prefix)})
        for i in range(len(TAPS)):
            self.register_buffer(f"lin{i}", weights[f"lin.{i}"].float().flatten())
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def raw_taps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """SqueezeNet activations at the seven taps, not normalised."""
        x, out = (x - self.shift) / self.scale, []
        for i, module in enumerate(self.features):
            x = module(x)
            if i in TAPS:
                out.append(x)
        return out

    def taps_of_both(self, x: torch.Tensor, y: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Raw taps of two batches of one shape; those of `y` carry no gradient."""
        if not self.together:
            ours = self.raw_taps(x)
            with torch.no_grad():
                return ours, self.raw_taps(y)
        x, y = ((each - self.shift) / self.scale for each in (x, y.detach()))
        taps = BothTaps.apply(x, y, [partial(_step, module) for module in self.features], TAPS)
        return list(taps[: len(TAPS)]), list(taps[len(TAPS) :])

    def distance(self, a: list[torch.Tensor], b: list[torch.Tensor]) -> torch.Tensor:
        """LPIPS of two lists of raw taps: (B,)."""
        total, of = torch.zeros(len(a[0]), device=a[0].device), HalfUnitDistance if self.half else UnitDistance
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            total = total + of.apply(p, q, getattr(self, f"lin{i}")).mean((1, 2))
        return total

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.distance(self.raw_taps(x), self.raw_taps(y))

    @torch.no_grad()
    def raw_taps_of(self, rgb: np.ndarray) -> list[torch.Tensor]:
        """Raw taps of one (H, W, 3) uint8 picture, without a gradient."""
        return self.raw_taps(torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None])

    @torch.no_grad()
    def distance_of(self, a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
        """LPIPS of the raw taps of two single pictures."""
        return float(self.distance(a, b))


def _step(module: nn.Module, x: torch.Tensor, count: int) -> tuple[torch.Tensor, Back]:
    """A module of SqueezeNet's features, and its way back for the first `count` pictures."""
    if isinstance(module, Fire):
        return _fire(module, x, count)
    if isinstance(module, nn.Conv2d):
        return convolution(module, x, count)
    if isinstance(module, nn.MaxPool2d):
        return pooled(module, x, count)
    return rectified(x, count)


def _fire(fire: Fire, x: torch.Tensor, count: int) -> tuple[torch.Tensor, Back]:
    x, squeezed = convolution(fire.squeeze, x, count)
    x, first = rectified(x, count)
    one, narrow = convolution(fire.expand1x1, x, count)
    three, wide = convolution(fire.expand3x3, x, count)
    y, last = rectified(torch.cat([one, three], 1), count)
    channels = one.shape[1]

    def back(grad: torch.Tensor) -> torch.Tensor:
        grad = last(grad)
        return squeezed(first(narrow(grad[:, :channels]) + wide(grad[:, channels:])))

    return y, back

"""SSIMULACRA2's error as a differentiable torch function, the same as `ltokc.metrics.ssimulacra2` up to float rounding.

For training and for choosing digits by what they do to the look.  Pictures here are not rounded to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

from ltokc.metrics.ssimulacra2 import LEAST_STRETCHED, POWER, stretched
from ltokc.metrics.ssimulacra2_blur import kernel
from ltokc.metrics.ssimulacra2_terms import LEAST_MOMENT
from ltokc.metrics.ssimulacra2_tiles import BIAS, C2, LEAST_SIDE, OPSIN, SCALES
from ltokc.metrics.ssimulacra2_weights import WEIGHTS

_LEAST = 1e-20  # below cube roots, so that gradients stay finite


@lru_cache(maxsize=8)
def constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The blur's taps, the matrix to opsin and the weights of the norms, float32, kept on the device."""
    taps, opsin, weights = (torch.from_numpy(values).float().to(device) for values in (kernel(), OPSIN, WEIGHTS))
    return taps, opsin, weights


def blur(x: torch.Tensor) -> torch.Tensor:
    """Gaussian of sigma 1.5 over the last two axes of (B, c, H, W), zeros beyond the borders."""
    taps = constants(x.device)[0].expand(x.shape[1], 1, -1)
    radius = taps.shape[2] // 2
    x = x.contiguous(memory_format=torch.channels_last)  # on a CPU three times as fast, forward and backward
    x = F.conv2d(x, taps.unsqueeze(3), padding=(radius, 0), groups=len(taps))
    return F.conv2d(x, taps.unsqueeze(2), padding=(0, radius), groups=len(taps)).contiguous()


def to_linear(rgb: torch.Tensor) -> torch.Tensor:
    """sRGB in [-1, 1], clamped, to linear light in [0, 1]."""
    v = ((rgb.float() + 1) / 2).clamp(0, 1)
    return torch.where(v <= 0.04045, v / 12.92, ((v.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def to_xyb(linear: torch.Tensor) -> torch.Tensor:
    """Linear RGB (B, 3, H, W) to the metric's positive XYB."""
    bias = float(BIAS)
    mixed = torch.einsum("oc,bchw->bohw", constants(linear.device)[1], linear) + bias
    first, second, third = (mixed.clamp_min(_LEAST) ** (1 / 3) - bias ** (1 / 3)).unbind(1)
    y = 0.5 * (first + second)
    return torch.stack([7 * (first - second) + 0.42, y + 0.01, third - y + 0.55], 1)


def halve(linear: torch.Tensor) -> torch.Tensor:
    """Means of 2x2; the last row or column repeats where a side is odd."""
    h, w = linear.shape[-2:]
    if h % 2 or w % 2:
        linear = F.pad(linear, (0, w % 2, 0, h % 2), "replicate")
    return F.avg_pool2d(linear, 2)


@dataclass(frozen=True, slots=True)
class Original:
    """What of an original (B, 3, H, W) is computed once: per scale XYB, blur, variance."""

    scales: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...]

    @classmethod
    def of(cls, rgb: torch.Tensor) -> Original:
        """rgb: (B, 3, H, W) in [-1, 1], sides of 8 and more."""
        linear = to_linear(rgb)
        out: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        while len(out) < SCALES and min(linear.shape[-2:]) >= LEAST_SIDE:
            xyb = to_xyb(linear)
            mean = blur(xyb)
            out.append((xyb, mean, blur(xyb * xyb) - mean * mean))
            linear = halve(linear)
        return cls(tuple(out))

    def error(self, rgb: torch.Tensor) -> torch.Tensor:
        """Weighted sum of norms of a decoded batch of the same shape: (B,), 0 is equal (`ltokc.metrics.by_cell`)."""
        linear = to_linear(rgb)
        weights = constants(rgb.device)[2]
        total = torch.zeros(len(rgb), device=rgb.device)
        for i, (a, a_mean, a_variance) in enumerate(self.scales):
            if i:
                linear = halve(linear)
            b = to_xyb(linear)
            b_mean, square, product = blur(torch.cat([b, b * b, a * b], 1)).chunk(3, 1)
            likeness = (1 - (a_mean - b_mean) ** 2) * (2 * (product - a_mean * b_mean) + C2)
            likeness = likeness / (a_variance + square - b_mean * b_mean + C2)
            edges = (1 + (b - b_mean).abs()) / (1 + (a - a_mean).abs()) - 1
            for j, each in enumerate(((1 - likeness).relu(), edges.relu(), (-edges).relu())):
                total = total + each.mean((2, 3)) @ weights[:, i, 0, j]
                total = total + ((each**4).mean((2, 3)) + LEAST_MOMENT) ** 0.25 @ weights[:, i, 1, j]
        return total


def distance(error: torch.Tensor) -> torch.Tensor:
    """Errors to the distance from 100 points, in hundreds: 0 is equal, 1 is 0 points."""
    return 0.1 * stretched(error).clamp_min(LEAST_STRETCHED) ** POWER

"""Colour of whole places: what an even shift does to the eye, which SSIM, LPIPS and SSIMULACRA2 hardly see."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F

from ltokc.losses.ssimulacra2 import to_linear

SIDES = (16, 64)  # of the squares whose means are compared, in pixels
LINEAR = 16.0  # squared difference, from about which on a difference counts by its first power
TO_XYZ = (  # linear sRGB to XYZ over the white of D65 (IEC 61966-2-1)
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
KNEE = (6 / 29) ** 3


@lru_cache(maxsize=8)
def to_xyz(device: torch.device) -> torch.Tensor:
    """The matrix, kept on the device, since copying it there makes a GPU wait."""
    return torch.tensor(TO_XYZ, device=device)


def lab(rgb: torch.Tensor) -> torch.Tensor:
    """CIELAB (D65, 2 degrees): (B, 3, H, W) sRGB in [-1, 1], clamped, to (B, 3, H, W) L*, a*, b*."""
    xyz = torch.einsum("oc,bchw->bohw", to_xyz(rgb.device), to_linear(rgb))
    f = torch.where(xyz > KNEE, xyz.clamp_min(KNEE) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def colour_distance(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Squared colour difference (CIE76) of the means of 16x16 and 64x64 px, damped, averaged: (B,) of delta E squared.

    y, x: (B, 3, H, W) in [-1, 1], H and W multiples of 64.  Means are taken of the sRGB values.
    """
    total = torch.zeros(len(x), device=x.device)
    for side in SIDES:
        off = lab(F.avg_pool2d(y.float(), side)) - lab(F.avg_pool2d(x.float(), side))
        squares = off.square().sum(1)
        total = total + 2 * LINEAR * ((1 + squares / LINEAR).sqrt() - 1).mean((1, 2))
    return total / len(SIDES)

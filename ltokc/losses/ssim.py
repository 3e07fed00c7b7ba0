"""Structural term of the distortion: SSIM (Wang et al. 2004) of the luma at three scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ltokc.metrics.structure import BOX, C1, C2, LUMA, scales_of


def structural_loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean over scales 1, 2, 4 of 1 - SSIM of luma, 8x8 box windows at stride 2; (B, 3, H, W) in [-1, 1] -> (B,).

    Scales at which a side has less than eight pixels are left out.
    """
    a, b = luma(x), luma(y)
    total = torch.zeros(len(x), device=x.device)
    scales = scales_of(*x.shape[-2:])
    for scale in range(scales):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total = total + dissimilarity(a, b)
    return total / scales


def dissimilarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """1 - SSIM at one scale: (B, 1, H, W) in [0, 1], sides of 8 and more -> (B,)."""
    # means of 8x8 at stride 2, as means of 4x4 means of 2x2: a quarter of the work
    moments = F.avg_pool2d(F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b], 1), 2), BOX, 1)
    ma, mb, aa, bb, ab = moments.unbind(1)
    va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
    ssim = (2 * ma * mb + C1) * (2 * cov + C2) / ((ma * ma + mb * mb + C1) * (va + vb + C2))
    return (1 - ssim).mean((1, 2))


def luma(x: torch.Tensor) -> torch.Tensor:
    """Luma (BT.601) in [0, 1] of pictures in [-1, 1]: (B, 3, H, W) -> (B, 1, H, W) float32."""
    r, g, b = ((x.float() + 1) / 2).split(1, 1)
    return r * LUMA[0] + g * LUMA[1] + b * LUMA[2]

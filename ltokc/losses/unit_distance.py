"""Weighted squared difference of feature maps whose channel vectors are scaled to length 1: LPIPS's distance at a tap.

p, q: (B, c, H, W), weights: (c,) -> (B, H, W) float32.  The gradient is that of p alone.
"""

from __future__ import annotations

import torch

TINY = 1e-10  # added to squared lengths


class UnitDistance(torch.autograd.Function):
    """In float32.

    Written out as sum w p²/|p|² - 2 sum w p q/(|p| |q|) + sum w q²/|q|², since on a CPU the many passes over large maps
    that the plain expression takes cost as much as the network that is trained.
    """

    @staticmethod
    def forward(ctx, p, q, weights):
        p, q = (t.detach().permute(0, 2, 3, 1).float() for t in (p, q))
        two = torch.stack([torch.ones_like(weights), weights], 1)
        pp, qq, pq = (p * p) @ two, (q * q) @ two, (p * q) @ weights
        n, m = pp[..., 0] + TINY, qq[..., 0] + TINY
        root = (n * m).rsqrt()
        ctx.save_for_backward(p, q, weights, n, root, pp[..., 1], pq)
        return pp[..., 1] / n - 2 * pq * root + qq[..., 1] / m

    @staticmethod
    def backward(ctx, grad):
        p, q, weights, n, root, pp, pq = ctx.saved_tensors
        grad = 2 * grad
        scale = (grad / n).unsqueeze(-1) * weights + (grad * (pq * root - pp / n) / n).unsqueeze(-1)
        out = scale.mul_(p).sub_(((grad * root).unsqueeze(-1) * weights).mul_(q))
        return out.permute(0, 3, 1, 2), None, None


class HalfUnitDistance(torch.autograd.Function):
    """In bf16, with sums over channels in float32: half of the bytes that a GPU moves.

    Differences are taken of vectors of length 1: the written-out form would lose them in eight bits of mantissa.
    """

    @staticmethod
    def forward(ctx, p, q, weights):
        (u, inverse), (v, _) = (_unit(t.detach().permute(0, 2, 3, 1).bfloat16()) for t in (p, q))
        difference = u - v
        weighted = difference * weights.bfloat16()
        ctx.save_for_backward(u, inverse, weighted)
        ctx.kind = p.dtype
        return (weighted * difference).sum(-1, dtype=torch.float32)

    @staticmethod
    def backward(ctx, grad):
        u, inverse, weighted = ctx.saved_tensors
        along = (weighted * u).sum(-1, keepdim=True, dtype=torch.float32).bfloat16()
        scale = (2 * grad.unsqueeze(-1) * inverse).bfloat16()
        out = torch.addcmul(weighted, u, along, value=-1).mul_(scale)
        return out.permute(0, 3, 1, 2).to(ctx.kind), None, None


def _unit(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (..., c) of length 1 in the type of `x`, and one over their lengths (..., 1) in float32."""
    inverse = ((x * x).sum(-1, keepdim=True, dtype=torch.float32) + TINY).rsqrt()
    return x * inverse.to(x.dtype), inverse

"""Texture: how much fine structure there is in a place, whatever its exact shape."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TAPS = 2  # of LPIPS' features, the shallowest
WINDOW = 4  # side of a window, in positions of a feature map


def texture_distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> torch.Tensor:
    """Difference of the local energy (RMS over windows) of the first `TAPS` feature maps, relative to b: ().

    a, b: `ltokc.losses.lpips.LPIPS.raw_taps` of the decoded pictures and of the originals.  The energy is the diagonal
    of a local Gram matrix: it does not ask where an edge is, only that there is as much of it.
    """
    total = torch.zeros((), device=a[0].device)
    for p, q in zip(a[:TAPS], b[:TAPS], strict=True):
        energy_p = F.avg_pool2d(p.float().pow(2), WINDOW).add(1e-3).sqrt()
        energy_q = F.avg_pool2d(q.float().pow(2), WINDOW).add(1e-3).sqrt()
        total = total + (energy_p - energy_q).abs().mean() / (energy_q.mean() + 1e-3)
    return total / TAPS

"""LPIPS with random weights: the right shapes, and a distance of sorts."""

from __future__ import annotations

import torch

from ltokc.losses.lpips import Fire

WIDTHS = (64, 128, 256, 384, 384, 512, 512)
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128), 9: (256, 48, 192),
         10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}  # fmt: skip


def random_lpips() -> dict[str, torch.Tensor]:
    """Tensors as in the weights' file."""
    torch.manual_seed(0)
    tensors = {"features.0.weight": torch.randn(64, 3, 3, 3) * 0.2, "features.0.bias": torch.zeros(64)}
    for i, size in FIRES.items():
        tensors |= {f"features.{i}.{k}": v for k, v in Fire(*size).state_dict().items()}
    return tensors | {f"lin.{i}": torch.rand(1, c, 1, 1) / c for i, c in enumerate(WIDTHS)}

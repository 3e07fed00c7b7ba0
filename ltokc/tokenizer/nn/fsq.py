"""Finite scalar quantisation (Mentzer et al. 2023): digits are rounded bounded scalars, there is no codebook to die."""

from __future__ import annotations

import torch


def fsq(u: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounds `u` and rounds it: (bounded, nearest of `size` integers centred on 0), float32, both of u's shape.

    `size` is odd; digits run from -(size - 1) / 2 to (size - 1) / 2.
    """
    half = (size - 1) / 2
    bounded = torch.tanh(u.float()) * (half + 0.49)
    return bounded, torch.round(bounded).clamp(-half, half)

"""What rows and the probe need of a trainer."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from ltokc.train.recipe import Recipe
from ltokc.train.speed.integers import AllIntegers
from ltokc.train.update import Update


class Trained(Protocol):
    """A trainer whose steps may become faster; see `ltokc.train.loop.Trainer`."""

    net: Any
    lpips: Any
    objective: Any
    graph: Any
    recipe: Recipe
    rows: Any
    integers: AllIntegers | None
    apply: Update

    @property
    def on_gpu(self) -> bool: ...

    def gradients(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]: ...

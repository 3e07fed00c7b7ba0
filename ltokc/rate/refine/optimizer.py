"""Steps of the search for digits: RMSprop (Tieleman and Hinton 2012) whose divisors share in what their level sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch

MEMORY = 0.98  # of squares, from one step to the next
SHARED = 1.5  # times the level's root mean square, in every divisor


class DampedRMSprop:
    """Moves values against their gradients by at most about `step`.

    RMSprop alone moves a value that hardly matters as far as one that matters much: the first step is its sign.  Here a
    gradient is divided by its own root mean square over the steps plus that of all free values of the level.

    values: tensors that require gradients, one per level; free: bool, the same shapes, where they may move.
    """

    def __init__(self, values: Sequence[torch.Tensor], free: Sequence[torch.Tensor]):
        self.values, self.free = list(values), [f.to(v.dtype) for v, f in zip(values, free, strict=True)]
        self.squares = [torch.zeros_like(v) for v in values]
        self.steps = 0

    @torch.no_grad()
    def step(self, step: float) -> None:
        """Takes the gradients of a backward pass, and clears them."""
        self.steps += 1
        seen = 1 - MEMORY**self.steps
        for value, free, squares in zip(self.values, self.free, self.squares, strict=True):
            assert value.grad is not None
            gradient = value.grad * free
            squares.mul_(MEMORY).addcmul_(gradient, gradient, value=1 - MEMORY)
            level = (squares.sum() / (free.sum() * seen)).sqrt()
            divisor = (squares / seen).sqrt() + SHARED * level + 1e-12
            value.addcdiv_(gradient, divisor, value=-step * (1 + SHARED))
            value.grad = None

"""The optimisers of a run: Adam, and Muon for the weights of hidden layers.

Muon (Jordan et al. 2024) orthogonalises the momentum by a Newton-Schulz iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ltokc.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Stack:
    """Weights that make matrices of one shape (out, rest), and their momenta (n, out, rest)."""

    shape: tuple[int, int]
    params: list[torch.nn.Parameter]
    momenta: torch.Tensor


def orthogonalise(matrices: torch.Tensor, steps: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Approximate polar factor of each matrix: (n, rows, columns) -> same shape; `dtype` is that of the arithmetic."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Weights of shape (out, ...) are taken as (out, rest) matrices; an update has root mean square `lr * 0.2`.

    Momenta of one shape lie in one tensor, of which the state holds views.  `lr` may be a tensor () on the device.
    """

    def __init__(self, params, lr: float = 6e-4, momentum: float = 0.95, dtype: torch.dtype = torch.float32):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.dtype = dtype
        self._stacks: dict[tuple[int, ...], list[Stack]] = {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._stacks = {}  # the state holds tensors of its own now

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            key = tuple(map(id, params))
            if key not in self._stacks:
                self._stacks = {key: self._stacked(params)}
            for stack in self._stacks[key]:
                grads = torch.stack([p.grad.reshape(stack.shape) for p in stack.params])
                stack.momenta.lerp_(grads, 1 - group["momentum"])
                update = orthogonalise(grads.lerp_(stack.momenta, group["momentum"]), dtype=self.dtype)
                update = update.float() * (group["lr"] * (-0.2 * max(stack.shape) ** 0.5))
                steps = [u.reshape(p.shape) for p, u in zip(stack.params, update.unbind(), strict=True)]
                torch._foreach_add_(stack.params, steps)

    def _stacked(self, params: list[torch.nn.Parameter]) -> list[Stack]:
        """Parameters by shape, their momenta so far in one tensor each."""
        by_shape: dict[tuple[int, int], list[torch.nn.Parameter]] = {}
        for p in params:
            by_shape.setdefault((p.shape[0], p[0].numel()), []).append(p)
        stacks = []
        for shape, of_shape in by_shape.items():
            known = [self.state[p].get("momentum") for p in of_shape]
            zeros = of_shape[0].new_zeros(shape)
            momenta = torch.stack([zeros if each is None else each.reshape(shape) for each in known])
            for p, momentum in zip(of_shape, momenta, strict=True):
                self.state[p]["momentum"] = momentum.view(p.shape)
            stacks.append(Stack(shape, of_shape, momenta))
        return stacks


def hidden_weights(net: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Weights that Muon takes: convolutions, but not the ones that read pixels or write pixels, digits or logits."""
    outer = ("stem", "head", ".fill", ".embed", ".query.2", ".told.", "prior.")
    return [
        p
        for name, p in net.named_parameters()
        if p.ndim == 4 and min(p.shape[:2]) > 1 and not any(o in name for o in outer)
    ]


def optimizers_of(net: torch.nn.Module, recipe: Recipe) -> tuple[list[torch.optim.Optimizer], list[float]]:
    """Optimisers of the parameters that learn, and the learning rate of each after the warm-up."""
    learning = [p for p in net.parameters() if p.requires_grad]
    hidden = [p for p in hidden_weights(net) if p.requires_grad] if recipe.optimizer == "muon" else []
    taken = {id(p) for p in hidden}
    rest = [p for p in learning if id(p) not in taken]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=recipe.lr, betas=(0.9, 0.98), fused=True)]
    if not hidden:
        return optimizers, [recipe.lr]
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    return [*optimizers, Muon(hidden, lr=recipe.muon_lr, dtype=dtype)], [recipe.lr, recipe.muon_lr]

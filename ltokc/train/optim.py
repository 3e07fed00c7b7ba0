"""The optimisers of a run: Adam, and Muon for the weights of hidden layers.

Muon (Jordan et al. 2024) orthogonalises the momentum by a Newton-Schulz iteration.
"""

from __future__ import annotations

import torch

from ltokc.train.recipe import Recipe


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
    """Weights of shape (out, ...) are taken as (out, rest) matrices; an update has root mean square `lr * 0.2`."""

    def __init__(self, params, lr: float = 6e-4, momentum: float = 0.95, dtype: torch.dtype = torch.float32):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                self.state[p].setdefault("momentum", torch.zeros_like(p))
            momenta, grads = [self.state[p]["momentum"] for p in params], [p.grad for p in params]
            torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
            by_shape: dict[tuple[int, int], tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
            for p, u in zip(params, torch._foreach_lerp(grads, momenta, group["momentum"]), strict=True):
                shape = p.shape[0], p[0].numel()
                of_shape, updates = by_shape.setdefault(shape, ([], []))
                of_shape.append(p)
                updates.append(u.reshape(shape))
            for shape, (of_shape, updates) in by_shape.items():
                update = orthogonalise(torch.stack(updates), dtype=self.dtype)
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                steps = [u.reshape(p.shape).to(p.dtype) for p, u in zip(of_shape, update, strict=True)]
                torch._foreach_add_(of_shape, steps, alpha=-scale)


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

"""What follows the gradients of a step: they are clipped, and the optimisers change the weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from ltokc.train.alive import Alive

WARM_UP = 2  # steps before a capture, in which the optimisers make their state
LONGEST = 1.0  # gradient, over all parameters together


class Update:
    """`update(factor)`: one step of all optimisers at `factor` times their rates.  Nothing in it waits for the device.

    A gradient that is not finite counts as zero.  captured: on a GPU as one CUDA graph, from the third step on; the
    gradients must lie in the same tensors from then on.  alive: what keeps units alive, None: nothing.
    """

    def __init__(
        self, net: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer], rates: Sequence[float],
        captured: bool = False, alive: Alive | None = None,
    ):  # fmt: skip
        self.net, self.optimizers, self.rates, self.captured, self.alive = net, optimizers, rates, captured, alive
        device = next(net.parameters()).device
        self.on_gpu, self.steps = device.type == "cuda", 0
        self.lr = [torch.zeros((), device=device) for _ in rates]  # what a graph reads
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, factor: float) -> None:
        self._set_rates(factor)
        if self.captured and self.on_gpu and self.graph is None and self.steps >= WARM_UP:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # which computes nothing yet
                self._step()
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        self.steps += 1

    def _set_rates(self, factor: float) -> None:
        for optimizer, rate, lr in zip(self.optimizers, self.rates, self.lr, strict=True):
            lr.fill_(rate * factor)
            for group in optimizer.param_groups:
                group["lr"] = lr if self.captured else rate * factor
                if "capturable" in group:  # torch's word for it
                    group["capturable"] = self.captured and self.on_gpu

    def _step(self) -> None:
        with self.alive.step() if self.alive else nullcontext():
            self._clipped_step()

    def _clipped_step(self) -> None:
        with_grad = [p for p in self.net.parameters() if p.grad is not None]
        lost = ~torch.isfinite(torch.nn.utils.clip_grad_norm_(with_grad, LONGEST))
        for p in with_grad:
            assert p.grad is not None
            p.grad.masked_fill_(lost, 0)
        for optimizer in self.optimizers:
            optimizer.step()

"""Features of two batches by one call of a frozen network, and the way back through the first batch alone.

Autograd would go back through both.  Weights are frozen, so that a convolution needs nothing of the way there but its
weights, a ReLU its signs and a pool its places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.grad import conv2d_input

Back = Callable[[torch.Tensor], torch.Tensor]  # gradient of what a step gave -> gradient of what it got


def convolution(conv: nn.Conv2d, x: torch.Tensor, count: int) -> tuple[torch.Tensor, Back]:
    """A convolution of `x`, and its way back for the first `count` pictures."""
    y, shape = conv(x), (count, *x.shape[1:])
    stride, padding = conv.stride, conv.padding
    assert not isinstance(padding, str)

    def back(grad: torch.Tensor) -> torch.Tensor:
        weight = conv.weight.to(grad.dtype)
        return conv2d_input(shape, weight, grad, stride=stride, padding=padding)

    return y, back


def rectified(x: torch.Tensor, count: int) -> tuple[torch.Tensor, Back]:
    """As `convolution`, of a ReLU."""
    y = x.relu()
    kept = y[:count] > 0
    return y, lambda grad: grad * kept


def pooled(pool: nn.MaxPool2d, x: torch.Tensor, count: int) -> tuple[torch.Tensor, Back]:
    """As `convolution`, of the largest of a window."""
    y, places = F.max_pool2d(x, pool.kernel_size, pool.stride, ceil_mode=pool.ceil_mode, return_indices=True)
    given = (pool.kernel_size,) * 2, (pool.stride,) * 2
    first, places = x[:count], places[:count]

    def back(grad: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.max_pool2d_with_indices_backward(
            grad.to(first.dtype), first, *given, (0, 0), (1, 1), pool.ceil_mode, places
        )

    return y, back


class BothTaps(torch.autograd.Function):
    """`BothTaps.apply(x, y, steps, taps)`: activations after the steps in `taps` of x (B, c, H, W), then those of y.

    steps: functions of a batch and a count that give what `convolution` gives, in order.  Gradients are those of x.
    """

    @staticmethod
    def forward(ctx, x, y, steps: Sequence[Callable], taps: Sequence[int]):
        both, count = torch.cat([x, y]), len(x)
        ctx.backs, ctx.taps, found = [], taps, []
        for i, step in enumerate(steps):
            both, back = step(both, count)
            ctx.backs.append(back)
            if i in taps:
                found.append(both)
        theirs = [tap[count:] for tap in found]
        ctx.mark_non_differentiable(*theirs)
        return *(tap[:count] for tap in found), *theirs

    @staticmethod
    def backward(ctx, *grads):
        of_tap = dict(zip(ctx.taps, grads, strict=False))
        grad = None
        for i, back in reversed(list(enumerate(ctx.backs))):
            if of_tap.get(i) is not None:
                grad = of_tap[i] if grad is None else grad + of_tap[i]
            grad = None if grad is None else back(grad)
        return grad, None, None, None

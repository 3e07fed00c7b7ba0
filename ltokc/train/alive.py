"""Keeps units alive: convolutions whose inputs are never negative, and behind which a ReLU stands.

The mean of such an input is a direction that all its places share.  What a step does along it, noise of small batches
for the most part, moves a unit everywhere at once.  A unit that it moves below zero gets no gradient and stays there,
so that units die one after the other, the sooner where updates are as large for a unit that hardly fires (Muon, Adam).

Against it, convolutions learn as if the running mean of their inputs were taken off before them: what a step does along
the mean goes into the bias, which has a gradient of its own.  The network itself is as before.  Units that are silent
nevertheless are drawn anew, so that half of the places fire them, and count for nothing at first (Sokar et al. 2023,
"The dormant neuron phenomenon in deep reinforcement learning").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn as nn

from ltokc.tokenizer.nn.blocks import Block

MEMORY = 0.98  # of the running means, a step
SILENT = 5e-4  # share of places; a unit that fires on fewer is drawn anew
FAINT = 0.1  # of usual weights: those of a unit drawn anew that many layers read


@dataclass(slots=True)
class Watched:
    """A convolution behind a ReLU and before one; `reader` is the only layer that sees its output, None: many do.

    `summed`: something is added before its ReLU, so that its own sign says nothing.  `mean` (channels,): running mean
    of its input; `share` (units,): of the places that fire a unit; `seen`: batches these are of.
    """

    convolution: nn.Conv2d
    reader: nn.Conv2d | None
    summed: bool = False
    mean: torch.Tensor = field(init=False)
    share: torch.Tensor = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        weight = self.convolution.weight
        self.mean, self.share = weight.new_zeros(weight.shape[1]), weight.new_full((weight.shape[0],), 0.5)


def watched(net: nn.Module) -> dict[str, Watched]:
    """The convolutions of a network that are kept alive, by name.

    Those are the 3x3 convolutions of blocks, and what the network names: `followed_by_relu` and `summed_before_relu`
    are prefixes of names.
    """
    found: dict[str, Watched] = {}
    followed, summed = getattr(net, "followed_by_relu", ()), getattr(net, "summed_before_relu", ())
    for name, module in net.named_modules():
        if isinstance(module, Block):
            found[f"{name}.b"] = Watched(module.b, module.c)
        elif isinstance(module, nn.Conv2d) and name.startswith((*followed, *summed)):
            found[name] = Watched(module, None, name.startswith(summed))
    return found


class Alive:
    """Watches a network's convolutions (`watched`) while it trains.

    `with alive.step():` around the optimisers' steps; `revive(ema)` now and then.
    """

    def __init__(self, net: nn.Module):
        self.watched = watched(net)
        for each in self.watched.values():
            each.convolution.register_forward_hook(self._note(each))

    def _note(self, of: Watched) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
        @torch.no_grad()
        def note(_module: nn.Module, inputs: tuple[torch.Tensor, ...], found: torch.Tensor) -> None:
            memory = MEMORY if found.is_cuda else min(MEMORY, of.seen / (of.seen + 1))  # a CUDA graph has it for good
            of.mean.lerp_(inputs[0].float().mean((0, 2, 3)), 1 - memory)
            of.share.lerp_((found > 0).float().mean((0, 2, 3)), 1 - memory)
            of.seen += 1

        return note

    def forget(self) -> None:
        """Means and shares begin anew."""
        for each in self.watched.values():
            each.seen = 0

    def state(self) -> list[Any]:
        """What a checkpoint holds of it."""
        return [(each.mean, each.share, each.seen) for each in self.watched.values()]

    def restore(self, state: Sequence[Any]) -> None:
        for each, (mean, share, seen) in zip(self.watched.values(), state, strict=True):
            each.mean.copy_(mean)
            each.share.copy_(share)
            each.seen = seen

    @contextmanager
    def step(self) -> Iterator[None]:
        """Takes the means off gradients before the step, and what it did along them off the biases behind it."""
        learning = [each for each in self.watched.values() if each.convolution.weight.grad is not None]
        before = []
        with torch.no_grad():
            for each in learning:
                weight, bias = each.convolution.weight, _bias(each.convolution)
                assert weight.grad is not None and bias.grad is not None
                weight.grad -= bias.grad.view(-1, 1, 1, 1) * each.mean.view(1, -1, 1, 1)
                before.append(weight.detach().clone())
        yield
        with torch.no_grad():
            for each, old in zip(learning, before, strict=True):
                _bias(each.convolution).sub_((each.convolution.weight - old).sum((2, 3)) @ each.mean)

    @torch.no_grad()
    def revive(self, ema: nn.Module) -> dict[str, int]:
        """Draws silent units of what learns anew, here and in the mean weights `ema`; how many of each convolution."""
        counts, means = {}, dict(ema.named_modules())
        for name, each in self.watched.items():
            silent = each.share < SILENT
            if each.summed or not each.convolution.weight.requires_grad or not silent.any():
                continue
            weight = torch.empty_like(each.convolution.weight)
            nn.init.kaiming_uniform_(weight, a=5**0.5)
            weight *= 1.0 if each.reader else FAINT
            bias = -(weight.sum((2, 3)) @ each.mean)
            for module in (each.convolution, means[name]):
                _weight(module)[silent], _bias(module)[silent] = weight[silent], bias[silent]
            if each.reader:
                for module in (each.reader, means[name.removesuffix("b") + "c"]):
                    _weight(module)[:, silent] = 0.0
            each.share[silent] = 0.5
            counts[name] = int(silent.sum())
        return counts


def _weight(module: nn.Module) -> torch.Tensor:
    assert isinstance(module, nn.Conv2d)
    return module.weight


def _bias(module: nn.Module) -> torch.Tensor:
    assert isinstance(module, nn.Conv2d) and module.bias is not None
    return module.bias

"""The weights of all convolutions of the prior made integers at once, in a handful of operations a step.

Alone each of 89 convolutions takes about 30 operations for tensors of a few kilobytes: most of the prior's kernels.
"""

from __future__ import annotations

import torch
import torch.nn as nn

from ltokc.entropy.number_formats import ACTIVATION_BITS, CLIP, MAX_SHIFT
from ltokc.tokenizer.nn.prior import BIAS_LIMIT, STEP, IntegerConv


class AllIntegers:
    """Quantises the convolutions of a module together: bit for bit what each does alone.

    Every output channel is a row of one matrix, filled up with zeros to the longest.
    """

    def __init__(self, net: nn.Module):
        self.convs = [module for module in net.modules() if isinstance(module, IntegerConv)]
        shapes = [conv.weight.shape for conv in self.convs]
        longest = max(shape[1:].numel() for shape in shapes)
        total = sum(shape.numel() for shape in shapes)
        rows, places, first, row = [], [], 0, 0
        for shape in shapes:
            count, length = shape[0], shape[1:].numel()
            index = torch.full((count, longest), total)  # a zero stands there
            index[:, :length] = first + torch.arange(count * length).view(count, length)
            places.append(((row + torch.arange(count))[:, None] * longest + torch.arange(length)).flatten())
            rows.append(index)
            first, row = first + count * length, row + count
        device = self.convs[0].weight.device
        self.rows, self.places = torch.cat(rows).to(device), torch.cat(places).to(device)
        self.sizes, self.counts = [shape.numel() for shape in shapes], [shape[0] for shape in shapes]

    def __call__(self) -> None:
        """Gives every convolution its `ready` weight and bias, with straight-through gradients."""
        weights = torch.cat([*(conv.weight.flatten() for conv in self.convs), self.convs[0].weight.new_zeros(1)])
        biases = torch.cat([conv.bias for conv in self.convs])
        matrix = weights[self.rows]
        with torch.no_grad():
            largest = matrix.abs().amax(1).clamp_min(1e-8)
            unit = torch.exp2(torch.floor(torch.log2(CLIP / largest)).clamp(0, MAX_SHIFT))
            column, step = unit[:, None], 1 / unit
            rounded = torch.round(matrix * column).clamp_(-CLIP, CLIP) * step[:, None]
            whole = torch.round(biases * unit * 2**ACTIVATION_BITS).clamp_(-BIAS_LIMIT, BIAS_LIMIT) * step * STEP
        matrix = matrix + (rounded - matrix).detach()
        biases = biases + (whole - biases).detach()
        parts = matrix.flatten()[self.places].split(self.sizes)
        for conv, weight, bias in zip(self.convs, parts, biases.split(self.counts), strict=True):
            conv.ready = weight.view_as(conv.weight), bias

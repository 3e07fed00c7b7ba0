"""Convolutions whose channels are filled up to multiples of 8, as matrix units want them.

Zeros are added to input and weights when a convolution runs, and what they give is cut off: state dicts and numbers
stay as they are.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F

MULTIPLE = 8


def lack(channels: int) -> int:
    """Channels up to the next multiple of 8."""
    return -channels % MULTIPLE


def aligned_conv(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding: int, stride: int = 1
) -> torch.Tensor:
    """`F.conv2d`, square and not grouped, with input and output channels filled up."""
    more_in, more_out = lack(weight.shape[1]), lack(weight.shape[0])
    if more_in:
        x = F.pad(x, (0, 0, 0, 0, 0, more_in))
    if more_in or more_out:
        weight = F.pad(weight, (0, 0, 0, 0, 0, more_in, 0, more_out))
    if more_out and bias is not None:
        bias = F.pad(bias, (0, more_out))
    y = F.conv2d(x, weight, bias, padding=padding, stride=stride)
    return y[:, : y.shape[1] - more_out] if more_out else y


def align(net: nn.Module) -> None:
    """Lets every plain convolution of a network that gains by it run aligned (`IntegerConv` asks for itself)."""
    for module in net.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.groups == 1
            and (lack(module.in_channels) or lack(module.out_channels))
        ):
            module._conv_forward = partial(_forward, module)  # type: ignore[method-assign]


def unalign(net: nn.Module) -> None:
    """Undoes `align`."""
    for module in net.modules():
        vars(module).pop("_conv_forward", None)


def _forward(conv: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return aligned_conv(x, weight, bias, int(conv.padding[0]), int(conv.stride[0]))

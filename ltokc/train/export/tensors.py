"""Weights of a trained network to the tensors of a model file: float tensors as fp16, the prior as integers."""

from __future__ import annotations

import numpy as np
import torch

from ltokc.entropy.number_formats import CLIP, LOGIT_BITS, TOTAL_BITS
from ltokc.entropy.prior import TABLE_SIZE
from ltokc.tokenizer.nn.ladder import Ladder
from ltokc.tokenizer.nn.prior import IntegerConv

FLOAT_PRIOR = "prior-float.safetensors"  # the prior before rounding, fp16: to train on, never read by the codec


def prior_tensors(net: Ladder) -> dict[str, np.ndarray]:
    """Integer tensors `prior.*`: weights and start state int8, biases and exponential table int32, shifts uint8."""
    out: dict[str, np.ndarray] = {}
    for name, module in net.prior.named_modules():
        if isinstance(module, IntegerConv):
            weight, bias, shift = (t.detach().cpu().numpy() for t in module.integers())
            if weight.shape[2:] == (1, 1):
                weight = weight[:, :, 0, 0]
            out[f"prior.{name}.weight"] = weight.astype(np.int8)
            out[f"prior.{name}.bias"] = bias.astype(np.int32)
            out[f"prior.{name}.shift"] = shift.astype(np.uint8)
    start = torch.round(net.prior.start.detach().cpu() * 16).clamp(-CLIP, CLIP)
    out["prior.start"] = start.numpy().astype(np.int8)
    table = np.rint(2.0**TOTAL_BITS * np.exp(-np.arange(TABLE_SIZE) / 2.0**LOGIT_BITS))
    out["prior.exp_table"] = table.astype(np.int32)
    return out


def network_tensors(net: Ladder) -> dict[str, np.ndarray]:
    """Float tensors of the two networks, fp16, under their torch names (the prior left out)."""
    return {k: v.detach().cpu().half().numpy() for k, v in net.state_dict().items() if not k.startswith("prior.")}

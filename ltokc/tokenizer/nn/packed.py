"""A packed model's weights back in torch, prior included: the network that its file describes, number for number."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ltokc.entropy.number_formats import ACTIVATION_BITS
from ltokc.errors import ModelError
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.ladder import Ladder


def load_packed(file: Path) -> Ladder:
    """The network of a model.safetensors, float32 and frozen.  Its prior rounds to the very integers of the file.

    Raises ModelError.
    """
    try:
        with safe_open(file, "pt") as f:
            net = Ladder(LadderConfig.from_json(f.metadata()["config"]))
            stored = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
        net.load_state_dict({name: _value(stored, name, like) for name, like in net.state_dict().items()})
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot load {file.name}: {str(error).splitlines()[0]}") from error
    return net.eval().requires_grad_(False)


def _value(stored: dict[str, torch.Tensor], name: str, like: torch.Tensor) -> torch.Tensor:
    value = stored[name].float()
    if name == "prior.start":
        return value * 2.0**-ACTIVATION_BITS
    if name.startswith("prior."):
        unit = torch.exp2(-stored[name.rsplit(".", 1)[0] + ".shift"].float())
        if name.endswith(".weight"):
            return (value * unit.view(-1, *[1] * (value.ndim - 1))).reshape(like.shape)
        return value * unit * 2.0**-ACTIVATION_BITS
    return value

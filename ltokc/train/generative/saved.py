"""A generator's weights on disk: fp16 safetensors, with the network's sizes in the metadata."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig


def save_generator(net: Generator, path: Path) -> None:
    """Weights as fp16 safetensors, the network's sizes in the metadata; atomic, and the same bytes each time."""
    tensors = {k: v.detach().cpu().half().contiguous() for k, v in net.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, {"config": net.config.to_json()})
    os.replace(temporary, path)


def generator_of(path: Path) -> tuple[GeneratorConfig, dict[str, torch.Tensor]]:
    """Sizes and float32 weights.  Raises OSError, KeyError, TypeError, ValueError, SafetensorError."""
    with safe_open(path, "pt") as f:
        config = GeneratorConfig.from_json(f.metadata()["config"])
        return config, {name: f.get_tensor(name).float() for name in f.keys()}  # noqa: SIM118

"""The weights that a run begins with, where these are not fresh."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from ltokc.train.export.tensors import FLOAT_PRIOR
from ltokc.train.recipe import Recipe

NEW_BLOCK = re.compile(r"(encoder|pre|final)\..*\.[abc]\.(weight|bias)|levels\.\d+\.query\.told\.weight")


def tensors_to_start_from(weights: Path, fresh: Mapping[str, torch.Tensor], recipe: Recipe) -> dict[str, torch.Tensor]:
    """All tensors of a network: those of `weights`, and of a `fresh` one what these lack or the recipe wants anew.

    What is fresh changes nothing at first.  Raises KeyError for other tensors than of blocks that the weights lack.
    """
    tensors = {k: v.float() for k, v in load_file(weights).items()}
    packed = weights.with_name(FLOAT_PRIOR)
    if packed.exists():  # a packed model has its prior as integers; what they were made of lies beside it
        tensors = {k: v for k, v in tensors.items() if not k.startswith("prior.")}
        tensors |= {k: v.float() for k, v in load_file(packed).items()}
    for block in recipe.blocks if recipe.anew else ():
        for part in ("a.weight", "a.bias", "b.weight", "b.bias", "c.weight"):  # what it added to all places stays
            name = f"{block}.{part}"
            tensors[name] = torch.zeros_like(fresh[name]) if part == "c.weight" else fresh[name].clone()
    grown = {name: t for name, t in fresh.items() if name not in tensors}
    if stray := [name for name in grown if not NEW_BLOCK.fullmatch(name)]:
        raise KeyError(stray[0])
    return tensors | {n: torch.zeros_like(t) if ".c." in n or ".told." in n else t for n, t in grown.items()}

"""An installation whose default model has a told encoder: the shipped one, told by random numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def with_told_encoder(models: Path, strength: float = 0.2) -> Path:
    """Fills a folder for LTOKC_MODELS: the default model with scales and shifts of all queries drawn at random."""
    import torch
    from safetensors.torch import load_file, save_file

    from ltokc.tokenizer.nn.config import LadderConfig
    from ltokc.tokenizer.nn.ladder import Ladder
    from ltokc.train.export.encoder import add_encoder
    from ltokc.zoo import registry
    from ltokc.zoo.weights import WEIGHTS, Weights

    entry = registry.find(None)
    base = registry.folder(entry)
    shutil.copytree(base, models / entry.folder)
    own = [m for m in json.loads((base.parent / registry.REGISTRY).read_text())["models"] if m["id"] == entry.id]
    (models / registry.REGISTRY).write_text(json.dumps({"models": own}))
    config = LadderConfig.from_dict(Weights(base / WEIGHTS).config | {"told": True})
    torch.manual_seed(0)
    told = {name: strength * torch.randn(like.shape) for name, like in Ladder(config).state_dict().items()
            if ".told." in name}  # fmt: skip
    path = models / "encoder.safetensors"
    kept = {name: tensor for name, tensor in load_file(base / WEIGHTS).items() if ".told." not in name}
    save_file(kept | {name: tensor.half() for name, tensor in told.items()}, path, {"config": config.to_json()})
    add_encoder(path, models, entry.name)
    return models

"""A generator with random weights, and an installation whose default model has one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def random_generator(path: Path, state8: int = 160, state4: int = 96, **sizes: int) -> None:
    """Writes generative.safetensors: small, untrained, with biases that are not zero."""
    import torch

    from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig
    from ltokc.train.generative.saved import save_generator

    torch.manual_seed(3)
    small = {
        "channels8": 16,
        "blocks8": 1,
        "channels4": 16,
        "blocks4": 2,
        "channels2": 8,
        "convolutions2": 2,
        "gate": 8,
    }
    net = Generator(GeneratorConfig(**{**small, **sizes}, state8=state8, state4=state4))
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1:
                p.add_(torch.randn_like(p) * 0.05)
        net.last.bias.zero_()
        if net.gate:
            net.gate.last.weight.normal_(std=3.0)
    save_generator(net, path)


def with_random_generator(models: Path) -> Path:
    """Fills a folder for LTOKC_MODELS: the default model, its files copied, and a random generator."""
    from ltokc.train.export.package import add_generator
    from ltokc.zoo import registry

    entry = registry.find(None)
    base, place = registry.folder(entry), models / entry.folder
    place.mkdir(parents=True)
    own = [m for m in json.loads((base.parent / registry.REGISTRY).read_text())["models"] if m["id"] == entry.id]
    for name in list(own[0]["files"]):
        if name.startswith("generative"):
            del own[0]["files"][name]
        else:
            shutil.copyfile(base / name, place / name)  # ONNX Runtime refuses links out of the folder
    (models / registry.REGISTRY).write_text(json.dumps({"models": own}))
    random_generator(models / "random.safetensors")
    add_generator(models / "random.safetensors", models, entry.name)
    return models

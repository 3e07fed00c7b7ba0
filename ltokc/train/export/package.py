"""A trained network to a model folder: model.safetensors, the two ONNX graphs, and its entry in the registry."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

from ltokc.tokenizer import halting
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.ladder import PICTURE_ONLY, Ladder
from ltokc.train.export.onnx_graph import write_graphs
from ltokc.train.export.tensors import FLOAT_PRIOR, network_tensors, prior_tensors
from ltokc.zoo.registry import sha256
from ltokc.zoo.weights import Weights

FILES = ("model.safetensors", "tokenizer.onnx", "detokenizer.onnx")


def load_ladder(weights: Path) -> Ladder:
    """A network from a training run's ema.safetensors (fp16, sizes in the metadata)."""
    net = Ladder(LadderConfig.from_dict(Weights(weights).config))
    net.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    return net.eval()


def bitstream_hash(tensors: dict[str, np.ndarray]) -> int:
    """First 16 bits of the SHA-256 over name, type, shape and bytes of every tensor that tokens depend on."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.startswith(PICTURE_ONLY):
            array = np.ascontiguousarray(tensors[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return int.from_bytes(digest.digest()[:2], "big")


def package(
    weights: Path,
    models: Path,
    *,
    name: str,
    model_id: int,
    quality: list[list[float]],
    license: str,
    description: str,
    default: bool = True,
) -> dict:
    """Writes models/<name>/ and its entry in models/registry.json (in place of one of the same id); returns it."""
    net, folder = load_ladder(weights), models / name
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        tensors = {**network_tensors(net), **prior_tensors(net)}
    save_file(
        {k: np.ascontiguousarray(v) for k, v in tensors.items()},
        folder / "model.safetensors",
        {"config": net.config.to_json()},
    )
    floats = {k: v.half().numpy() for k, v in net.state_dict().items() if k.startswith("prior.")}
    save_file(floats, folder / FLOAT_PRIOR)
    for file in ("model.safetensors", FLOAT_PRIOR):
        (folder / file).chmod(0o644)
    write_graphs(folder, net.config)
    entry = {
        "id": model_id, "name": name, "folder": name, "default": default,
        "files": {f: {"sha256": sha256(folder / f), "bytes": (folder / f).stat().st_size} for f in FILES},
        "bitstream_hash": bitstream_hash(tensors), "quality": quality, "license": license, "description": description,
    }  # fmt: skip
    path = models / "registry.json"
    registry = json.loads(path.read_text()) if path.exists() else {"models": []}
    registry["models"] = [m for m in registry["models"] if m["id"] != model_id] + [entry]
    path.write_text(json.dumps(registry, indent=1) + "\n")
    return entry


def add_halting(head: Path, models: Path, *, name: str, looks: list[list[float]]) -> None:
    """Copies a fitted halting head into models/<name>/ and enters it and its table of looks in the registry.

    looks: (quality, error) pairs, see `ltokc.rate.plan`.
    """
    place = models / name / halting.FILE
    shutil.copyfile(head, place)
    place.chmod(0o644)
    path = models / "registry.json"
    registry = json.loads(path.read_text())
    entry = next(m for m in registry["models"] if m["name"] == name)
    entry["files"][halting.FILE] = {"sha256": sha256(place), "bytes": place.stat().st_size}
    entry["looks"] = looks
    path.write_text(json.dumps(registry, indent=1) + "\n")

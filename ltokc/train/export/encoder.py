"""Changes to a model that is in use, after which its files are read as before: another encoder, units left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from ltokc.atomic import write_atomic
from ltokc.errors import ModelError
from ltokc.tokenizer import eight_bit, generative
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.generative import GeneratorConfig
from ltokc.tokenizer.nn.ladder import ENCODER_ONLY, Ladder
from ltokc.tokenizer.silent import Silent, with_silent
from ltokc.train.export import package
from ltokc.train.export.eight_bit_blocks import write_eight_bit_graphs
from ltokc.train.export.eight_bit_graph import write_gradient_graphs
from ltokc.train.export.generative_graph import write_generative_graph
from ltokc.train.export.onnx_graph import write_graphs
from ltokc.zoo.registry import read_registry
from ltokc.zoo.weights import WEIGHTS, Weights

Tensors = dict[str, np.ndarray]


def add_encoder(weights: Path, models: Path, name: str) -> None:
    """Replaces the encoder of models/<name>/ and enters the changed files in the registry.

    Nothing is pruned then, and the graphs in 8-bit integers go: they were measured on the encoder before.

    weights: ema.safetensors of a training run, or another model.safetensors.  Graphs are written anew, since they say
    where in the file each tensor lies.  Raises ModelError for a model that is not there, and for an encoder that is
    none of its.
    """
    registry = package.registry_of(models)
    entry = package.entry_of(registry, models, name)
    folder = models / entry["folder"]
    try:
        config, tensors = joined(folder / WEIGHTS, weights)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{weights}: no encoder of {name} ({str(error).splitlines()[0]})") from error
    if package.bitstream_hash(tensors) != entry["bitstream_hash"]:
        raise ModelError(f"{folder / WEIGHTS}: not the weights that the registry names")
    package.remove_files(models, name, (eight_bit.FILE, *eight_bit.FILES))
    rewrite(models, name, tensors, config.to_json())


def prune(models: Path, name: str, silent: Silent) -> None:
    """Writes into the weights of models/<name>/ which units are silent, and graphs that encode without them.

    Tensors stay as they are, and files are read as before.  Raises ModelError for a model that is not there.
    """
    folder = models / package.entry_of(package.registry_of(models), models, name)["folder"]
    with safe_open(folder / WEIGHTS, "np") as f:
        config = LadderConfig.from_json(f.metadata()["config"]).to_json()
    rewrite(models, name, load_file(folder / WEIGHTS), with_silent(config, silent) if silent else config)


def rewrite(models: Path, name: str, tensors: Tensors, about: str) -> None:
    """Writes a model's weights and all of its graphs, and enters the changed files in the registry.

    about: the JSON of the network's config.
    """
    registry = package.registry_of(models)
    entry = package.entry_of(registry, models, name)
    folder, config = models / entry["folder"], LadderConfig.from_json(about)
    write_atomic(folder / WEIGHTS, save(tensors, {"config": about}))
    (folder / WEIGHTS).chmod(0o644)
    write_graphs(folder, config)
    write_gradient_graphs(folder, config)
    if (folder / eight_bit.FILE).exists():
        write_eight_bit_graphs(folder, config)
    if generative.WEIGHTS in entry["files"]:
        generator = Weights(folder / generative.WEIGHTS).header["__metadata__"]["config"]
        write_generative_graph(folder, config, GeneratorConfig.from_json(generator))
    files = dict.fromkeys((*package.FILES, *entry["files"]))
    package.enter_files(registry, models, name, [file for file in files if (folder / file).exists()])
    read_registry(models / package.REGISTRY)


def joined(old: Path, new: Path) -> tuple[LadderConfig, Tensors]:
    """The sizes and tensors of a model.safetensors with the encoder of another file.

    Raises ValueError if that is of another network, LookupError if it lacks tensors.
    """
    with safe_open(old, "np") as f:
        before = LadderConfig.from_json(f.metadata()["config"])
        kept = {key: f.get_tensor(key) for key in f.keys() if not ENCODER_ONLY.match(key)}  # noqa: SIM118
    with safe_open(new, "np") as f:
        config = LadderConfig.from_json(f.metadata()["config"])
    if config.levels != before.levels:
        raise ValueError("other levels")
    given = load_file(new)
    wanted = {key: tensor.shape for key, tensor in Ladder(config).state_dict().items() if ENCODER_ONLY.match(key)}
    for key, shape in wanted.items():
        if given[key].shape != tuple(shape):
            raise ValueError(f"{key} has shape {given[key].shape}")
    return config, kept | {key: given[key].astype(np.float16) for key in wanted}

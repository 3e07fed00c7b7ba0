"""A trained network to a model folder: model.safetensors, the ONNX graphs, and its entry in the registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file
from safetensors.torch import load_file

from ltokc.atomic import write_atomic
from ltokc.errors import ModelError
from ltokc.geometry import Level
from ltokc.tokenizer import colour, eight_bit, generative, gradient, halting, rounding, silent
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig
from ltokc.tokenizer.nn.ladder import ENCODER_ONLY, PICTURE_ONLY, Ladder
from ltokc.train.export.eight_bit_blocks import load_measured, write_eight_bit_graphs
from ltokc.train.export.eight_bit_graph import write_gradient_graphs
from ltokc.train.export.generative_graph import write_generative_graph
from ltokc.train.export.onnx_graph import write_graphs
from ltokc.train.export.tensors import FLOAT_PRIOR, network_tensors, prior_tensors
from ltokc.zoo.registry import REGISTRY, parse_entry, read_registry, retired, sha256
from ltokc.zoo.weights import WEIGHTS, Weights

FILES = ("model.safetensors", "tokenizer.onnx", "detokenizer.onnx", *gradient.FILES)


def load_ladder(weights: Path) -> Ladder:
    """A network from a training run's ema.safetensors (fp16, sizes in the metadata)."""
    net = Ladder(LadderConfig.from_dict(Weights(weights).config))
    net.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    return net.eval()


def bitstream_hash(tensors: dict[str, np.ndarray]) -> int:
    """First 16 bits of the SHA-256 over name, type, shape and bytes of the tensors that a decoder needs for tokens.

    What only the encoder uses, and what makes pixels after the last token, may improve under the same hash.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.startswith(PICTURE_ONLY) and not ENCODER_ONLY.match(name):
            array = np.ascontiguousarray(tensors[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return int.from_bytes(digest.digest()[:2], "big")


@dataclass(frozen=True, slots=True)
class Listing:
    """What the registry says of a model beside its files.  quality: (-q, levels) pairs from 0 to 1, rising.

    default: the model is what `ltokc encode` takes; the first one of a registry is in any case.
    """

    name: str
    id: int
    quality: list[list[float]]
    license: str
    description: str
    default: bool = False


def package(weights: Path, models: Path, listing: Listing) -> dict:
    """Writes models/<name>/ and its entry in models/registry.json, in place of one of the same id; returns the entry.

    weights: ema.safetensors of a training run.  Raises ModelError for a name or an id that is not free.
    """
    registry = registry_of(models)
    others = [item for item in registry["models"] if item["id"] != listing.id]
    entry = {
        "id": listing.id, "name": listing.name, "folder": listing.name, "default": listing.default or not others,
        "files": {}, "bitstream_hash": 0, "quality": listing.quality, "license": listing.license,
        "description": listing.description,
    }  # fmt: skip
    if entry["default"]:
        others = [item | {"default": False} for item in others]
    registry = registry | {"models": [*others, entry]}
    _check(registry)
    net, folder = load_ladder(weights), models / listing.name
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        tensors = {**network_tensors(net), **prior_tensors(net)}
    units = silent.silent_units(Weights(weights).header)
    config = silent.with_silent(net.config.to_json(), units) if units else net.config.to_json()
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / WEIGHTS, {"config": config})
    floats = {k: v.half().numpy() for k, v in net.state_dict().items() if k.startswith("prior.")}
    save_file(floats, folder / FLOAT_PRIOR)
    for file in (eight_bit.FILE, *eight_bit.FILES):  # of other weights, which lay there before
        (folder / file).unlink(missing_ok=True)
    for file in ("model.safetensors", FLOAT_PRIOR):
        (folder / file).chmod(0o644)
    write_graphs(folder, net.config)
    write_gradient_graphs(folder, net.config)
    entry["files"] = {file: _facts(folder / file) for file in FILES}
    entry["bitstream_hash"] = bitstream_hash(tensors)
    _write(models, registry)
    return entry


def add_halting(head: Path, models: Path, name: str, looks: list[list[float]]) -> None:
    """Copies a fitted halting head into models/<name>/ and enters it and its table of looks in the registry.

    looks: (-q, error) pairs, -q rising inside 0 to 1, errors falling (`ltokc.rate.plan`).
    Raises ModelError for a model that is not there, a head that is none of its, and a table without sense.
    """
    registry = registry_of(models)
    entry = entry_of(registry, models, name)
    place = models / entry["folder"] / halting.FILE
    halting.Head.load(head, Weights(place.with_name("model.safetensors")).levels)
    entry["looks"] = looks
    _check(registry)
    write_atomic(place, head.read_bytes())
    enter_files(registry, models, name, (halting.FILE,))


def add_colour(response: Path, models: Path, name: str) -> None:
    """Copies what digits do to colour into models/<name>/ and enters it in the registry.

    Raises ModelError for a model that is not there, and for a response of other levels.
    """
    _add_checked(response, models, name, colour.FILE, colour.ColourResponse.load)


def add_rounding(kernel: Path, models: Path, name: str) -> None:
    """Copies a fitted rounding kernel into models/<name>/ and writes the gradient's graphs; enters all in the registry.

    Raises ModelError for a model that is not there, for a kernel of other levels, and for peaks of another decoder.
    """
    _add_checked(kernel, models, name, rounding.FILE, rounding.RoundingKernel.load)
    registry = registry_of(models)
    folder = models / entry_of(registry, models, name)["folder"]
    write_gradient_graphs(folder, LadderConfig.from_dict(Weights(folder / WEIGHTS).config))
    files = (file for file in (*gradient.FILES, f"{gradient.BACKWARD_8}.onnx") if (folder / file).exists())
    enter_files(registry, models, name, files)


def add_eight_bit(measured: Path, models: Path, name: str) -> None:
    """Copies what was measured into models/<name>/, writes the graphs in 8-bit integers, and enters these.

    Raises ModelError for a model that is not there, and for what was measured on another network.
    """
    folder = models / entry_of(registry_of(models), models, name)["folder"]
    load_measured(measured)
    write_atomic(folder / eight_bit.FILE, measured.read_bytes())
    write_eight_bit_graphs(folder, LadderConfig.from_dict(Weights(folder / WEIGHTS).config))
    enter_files(registry_of(models), models, name, eight_bit.FILES)


def remove_files(models: Path, name: str, files: Sequence[str]) -> None:
    """Takes files of a model out of the registry, then out of its folder; those that it lacks are left out."""
    registry = registry_of(models)
    entry = entry_of(registry, models, name)
    entry["files"] = {file: facts for file, facts in entry["files"].items() if file not in files}
    _write(models, registry)
    for file in files:
        (models / entry["folder"] / file).unlink(missing_ok=True)


def _add_checked(
    source: Path, models: Path, name: str, file: str, check: Callable[[Path, tuple[Level, ...]], object]
) -> None:
    """Copies a file into a model's folder, if `check` can load it for the model's levels, and enters it."""
    registry = registry_of(models)
    entry = entry_of(registry, models, name)
    place = models / entry["folder"] / file
    check(source, Weights(place.with_name(WEIGHTS)).levels)
    write_atomic(place, source.read_bytes())
    entry["files"][file] = _facts(place)
    _write(models, registry)


def add_generator(weights: Path, models: Path, name: str) -> None:
    """Copies a trained generator into a model's folder, writes its graph, and enters both in the registry.

    Raises ModelError for a model that is not there, and for weights that are no generator of its states.
    """
    registry = registry_of(models)
    entry = entry_of(registry, models, name)
    folder = models / entry["folder"]
    ladder = LadderConfig.from_dict(Weights(folder / WEIGHTS).config)
    try:
        config = GeneratorConfig.from_json(Weights(weights).header["__metadata__"]["config"])
        Generator(config).load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{weights}: no generator ({str(error).splitlines()[0]})") from error
    if (config.state8, config.state4) != (ladder.decoder_channels[1], ladder.decoder_channels[0]):
        raise ModelError(f"{weights}: a generator of other states than those of {name}")
    write_atomic(folder / generative.WEIGHTS, weights.read_bytes())
    write_generative_graph(folder, ladder, config)
    enter_files(registry, models, name, (generative.WEIGHTS, generative.GRAPH))


def entry_of(registry: dict, models: Path, name: str) -> dict:
    """The entry of a name.  Raises ModelError if there is none."""
    entry = next((item for item in registry["models"] if item["name"] == name), None)
    if entry is None:
        known = ", ".join(item["name"] for item in registry["models"]) or "none"
        raise ModelError(f"{models / REGISTRY} has no model {name!r}; known: {known}")
    return entry


def registry_of(models: Path) -> dict:
    """models/registry.json, or the beginnings of one.  Raises ModelError if it is damaged."""
    path = models / REGISTRY
    if not path.exists():
        return {"models": []}
    read_registry(path)
    return json.loads(path.read_text("utf-8"))


def _check(registry: dict) -> None:
    """Raises ModelError for an entry without sense, and for an id or a name that another model has or had."""
    try:
        entries = [parse_entry(item) for item in registry["models"]]
    except (ValueError, TypeError) as error:
        raise ModelError(str(error)) from error
    gone = {int(item["id"]): item["name"] for item in registry.get("retired", [])} | retired()
    taken = [(entry.id, entry.name) for entry in entries] + list(gone.items())
    for what, place in (("id", 0), ("name", 1)):
        values = [each[place] for each in taken]
        double = [value for value in values if values.count(value) > 1]
        if double:
            raise ModelError(f"model {what} {double[0]!r} is taken")


def enter_files(registry: dict, models: Path, name: str, files: Iterable[str]) -> None:
    """Enters the size and the SHA-256 of files of a model's folder, and writes the registry."""
    entry = entry_of(registry, models, name)
    for file in files:
        entry["files"][file] = _facts(models / entry["folder"] / file)
    _write(models, registry)


def _facts(file: Path) -> dict[str, str | int]:
    return {"sha256": sha256(file), "bytes": file.stat().st_size}


def _write(models: Path, registry: dict) -> None:
    write_atomic(models / REGISTRY, (json.dumps(registry, indent=1) + "\n").encode())

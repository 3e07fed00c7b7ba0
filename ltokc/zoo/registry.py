"""The registry of models: which there are, where their files lie, and whether those are the right files.

`models/registry.json` is **append-only from version 0.1 on**: every .ltk file names its model by `id`, so an id once
released keeps its name, its bitstream hash and its tokenizer for ever; a better model gets the next id.  Only
`default`, `description` and decoders that read the same tokens may change.

    {"models": [{"id": 6, "name": "ladder-6", "folder": "ladder-6", "default": true,
                 "files": {"model.safetensors": {"sha256": "...", "bytes": 123}, ...},
                 "bitstream_hash": 4660, "quality": [[0.6, 9], ...], "license": "...", "description": "..."}],
     "retired": [{"id": 1, "name": "ladder-1"}, ...]}

`retired` has the models from before 0.1.  They are not part of ltokc; their ids and names are never given again.

Searched in this order: the folders in the environment variable LTOKC_MODELS (separated like PATH), the package's own
`models`, the `models` of the checkout.  Each may have a registry.json and folders of models.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ltokc.errors import ModelError
from ltokc.tokenizer.generative import DECODERS, FAITHFUL, GRAPH, WEIGHTS
from ltokc.tokenizer.gradient import FILES as GRADIENT

ENVIRONMENT = "LTOKC_MODELS"
REGISTRY = "registry.json"
MAX_ID = 2**28 - 1  # of a .ltk file
_HASH_BLOCK = 1 << 20
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: `name` inside the model's folder, `sha256` in hexadecimal, size in `bytes`."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model.  `bitstream_hash` (u16) is in every file's header; `quality` maps -q (0..1, rising) to levels.

    `looks` maps -q, rising, to errors (`ltokc.metrics.by_cell`), falling: for models with a halting head, in place of
    `quality`.
    """

    id: int
    name: str
    folder: str
    default: bool
    files: tuple[ModelFile, ...]
    bitstream_hash: int
    quality: tuple[tuple[float, float], ...]
    license: str
    description: str
    looks: tuple[tuple[float, float], ...] = ()

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders whose files the model has: the faithful one always."""
        names = {file.name for file in self.files}
        return DECODERS if {GRAPH, WEIGHTS} <= names else (FAITHFUL,)

    @property
    def has_gradient(self) -> bool:
        """Whether there are graphs of the gradient by digits, and of a tokenizer that gives values."""
        return set(GRADIENT) <= {file.name for file in self.files}


def search_path() -> list[Path]:
    """The folders that are searched, existing or not, best first."""
    package = Path(__file__).resolve().parent.parent
    return [*_named(), package / "models", package.parent / "models"]


def _named() -> list[Path]:
    return [Path(part) for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]


def absent() -> str:
    """What to say of folders that LTOKC_MODELS names and that are not there, "" where all are: they are passed over."""
    lost = [str(place) for place in _named() if not place.is_dir()]
    return f"{ENVIRONMENT} names what is no folder: {', '.join(lost)}" if lost else ""


def registry() -> tuple[ModelEntry, ...]:
    """All models known, by id; the first folder on the search path that has an id decides.

    Raises ModelError for a registry that cannot be read, for two models under one id or name, and when there is none.
    """
    found: dict[int, ModelEntry] = {}
    paths = _registries()
    for path in paths:
        for entry in read_registry(path):
            known = found.setdefault(entry.id, entry)
            if (known.name, known.bitstream_hash) != (entry.name, entry.bitstream_hash):
                raise ModelError(f"model id {entry.id} is taken twice, by {known.name!r} and {entry.name!r}")
    if not paths:
        raise ModelError(f"no {REGISTRY} found; set {ENVIRONMENT} to the folder that has it")
    names = {entry.id: entry.name for entry in found.values()}
    for number, name in retired().items():
        if names.setdefault(number, name) != name:
            raise ModelError(f"model id {number} is taken twice, by {name!r} and {names[number]!r}")
    taken = list(names.values())
    for name in taken:
        if taken.count(name) > 1:
            raise ModelError(f"model name {name!r} is taken by two ids")
    return tuple(found[key] for key in sorted(found))


def retired() -> dict[int, str]:
    """Names, by id, of the models from before 0.1, which are not part of ltokc.  Raises ModelError, as `registry`."""
    found: dict[int, str] = {}
    for path in _registries():
        for number, name in _parsed(path, _retired):
            if found.setdefault(number, name) != name:
                raise ModelError(f"model id {number} is taken twice, by {found[number]!r} and {name!r}")
    return found


def _registries() -> list[Path]:
    """Every registry.json on the search path, once."""
    found = [folder_ / REGISTRY for folder_ in search_path() if (folder_ / REGISTRY).is_file()]
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def read_registry(path: Path) -> tuple[ModelEntry, ...]:
    """The entries of one registry.json, in its order.  Raises ModelError with what is wrong."""
    entries = _parsed(path, lambda whole: tuple(parse_entry(item) for item in whole["models"]))
    for key in ("id", "name", "folder"):
        values = [getattr(entry, key) for entry in entries]
        if len(set(values)) != len(values):
            raise ModelError(f"{path} has the same {key} twice")
    if sum(entry.default for entry in entries) > 1:
        raise ModelError(f"{path} has more than one default")
    return entries


def _parsed(path: Path, parse: Callable[[dict[str, Any]], Parsed]) -> Parsed:
    """What `parse` makes of a registry.json.  Raises ModelError for a file that is damaged or cannot be read."""
    try:
        return parse(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _retired(whole: dict[str, Any]) -> tuple[tuple[int, str], ...]:
    return tuple((int(item["id"]), _plain(item["name"])) for item in whole.get("retired", ()))


def parse_entry(item: dict[str, Any]) -> ModelEntry:
    """One member of `models` in a registry.json.  Raises ValueError, KeyError, TypeError or AttributeError."""
    files = tuple(
        ModelFile(_plain(name), str(facts["sha256"]).lower(), int(facts["bytes"]))
        for name, facts in item["files"].items()
    )
    entry = ModelEntry(
        id=int(item["id"]),
        name=_plain(item["name"]),
        folder=_plain(item["folder"]),
        default=bool(item.get("default", False)),
        files=files,
        bitstream_hash=int(item["bitstream_hash"]),
        quality=tuple((float(quality), float(levels)) for quality, levels in item["quality"]),
        license=str(item.get("license", "")),
        description=str(item.get("description", "")),
        looks=tuple((float(quality), float(error)) for quality, error in item.get("looks", ())),
    )
    if not 0 <= entry.id <= MAX_ID or not 0 <= entry.bitstream_hash < 65536:
        raise ValueError(f"id or bitstream_hash of {entry.name!r} is out of range")
    if list(entry.quality) != sorted(entry.quality):
        raise ValueError(f"quality of {entry.name!r} must rise")
    errors = [error for _, error in entry.looks]
    falling = errors == sorted(errors, reverse=True) and min(errors, default=1) > 0
    if list(entry.looks) != sorted(entry.looks) or not falling:
        raise ValueError(f"looks of {entry.name!r} must rise in quality and fall in error")
    if any(not 0 < quality < 1 for quality, _ in entry.looks):
        raise ValueError(f"looks of {entry.name!r} must lie between 0 and 1")
    return entry


def _plain(name: object) -> str:
    """A name that stays inside its folder on every system."""
    if not isinstance(name, str) or not name or name.startswith(".") or any(char in name for char in "/\\:\0"):
        raise ValueError(f"{name!r} is no plain name")
    return name


def find(name_or_id: str | int | None = None) -> ModelEntry:
    """The model of a name ("ladder-6") or an id (6 or "6"); None: the default.  Raises ModelError."""
    entries = registry()
    if name_or_id is None:
        chosen = [entry for entry in entries if entry.default][:1] or list(entries[-1:])
    else:
        chosen = [entry for entry in entries if name_or_id in (entry.name, entry.id, str(entry.id))]
    for number, name in () if chosen else retired().items():
        if name_or_id in (name, number, str(number)):
            raise ModelError(f"model {name!r} (id {number}) was an early experiment and is not part of ltokc")
    if not chosen:
        known = ", ".join(f"{entry.name} (id {entry.id})" for entry in entries) or "none"
        wanted = "default model" if name_or_id is None else f"model {name_or_id!r}"
        raise ModelError(f"no {wanted}; known: {known}" + (f" ({said})" if (said := absent()) else ""))
    return chosen[0]


def folder(entry: ModelEntry) -> Path:
    """The first folder on the search path that has all of the model's files (by name).  Raises ModelError."""
    missing = ""
    for base in search_path():
        place = base / entry.folder
        absent = [file.name for file in entry.files if not (place / file.name).is_file()]
        if place.is_dir() and not absent:
            return place
        if place.is_dir():
            missing = missing or f" ({absent[0]} is missing)"
    raise ModelError(f"the files of model {entry.name!r} are not installed{missing}")


def check(entry: ModelEntry) -> Path:
    """Compares size and SHA-256 of every file; the folder checked.  Raises ModelError naming the first bad file."""
    place = folder(entry)
    for file in entry.files:
        path = place / file.name
        try:
            size = path.stat().st_size
            if size != file.bytes:
                raise ModelError(f"model {entry.name!r}: {file.name} has {size:,} bytes, expected {file.bytes:,}")
            digest = sha256(path)
        except OSError as error:
            raise ModelError(f"model {entry.name!r}: {file.name} cannot be read ({error.strerror})") from error
        if digest != file.sha256:
            raise ModelError(f"model {entry.name!r}: {file.name} is damaged (its SHA-256 differs)")
    return place


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()

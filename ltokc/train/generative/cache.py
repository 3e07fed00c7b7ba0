"""States on disk, so that a CPU computes each of them once: 330 kB a crop of 128 px.

A folder of memory-mapped arrays, `f8-0000.npy`, `f4-0000.npy`, `original-0000.npy`, `text-0000.npy` and so on, about
`CHUNK` crops each, and `states.json`, which says what they were made of.  Chunk n follows from the seed and n alone: a
cache that was interrupted goes on at its next chunk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ltokc.errors import ModelError
from ltokc.train.generative.recipe import GenerativeRecipe
from ltokc.train.generative.states import States, StateSource

CHUNK = 512  # crops
PARTS = ("f8", "f4", "original", "text")
MARKER = "states.json"


def build_states(
    folder: Path, source: StateSource, recipe: GenerativeRecipe, crops: int, progress: Callable[[int], None]
) -> None:
    """Fills the folder with at least so many crops; progress: called with the crops that are there.

    Fewer crops than `CHUNK` are one chunk of so many.
    Raises ModelError where the folder holds states of another recipe or model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = min(CHUNK, crops)
    facts = {"states": asdict(recipe.states), "seed": recipe.seed, "pictures": len(source.pictures), "chunk": size}
    marker = folder / MARKER
    if marker.exists() and json.loads(marker.read_text()) != json.loads(json.dumps(facts)):
        raise ModelError(f"{folder} holds states of another recipe; choose another --cache")
    marker.write_text(json.dumps(facts))
    chunk = count = 0
    while count < crops:
        names = [folder / f"{part}-{chunk:04d}.npy" for part in PARTS]
        if not all(name.exists() for name in names):
            with torch.autocast(source.decoder.device, torch.bfloat16, enabled=recipe.precision == "bf16"):
                _write(names, source, np.random.default_rng((recipe.seed, chunk)), size)
        count += len(np.load(names[-1], mmap_mode="r"))
        chunk += 1
        progress(count)


def _write(names: list[Path], source: StateSource, rng: np.random.Generator, crops: int) -> None:
    drawn: list[tuple[np.ndarray, ...]] = []
    while sum(len(part[0]) for part in drawn) < crops:
        drawn.append(source.draw(rng))
    for name, parts in zip(names, zip(*drawn, strict=True), strict=True):
        temporary = name.with_suffix(".tmp")
        with open(temporary, "wb") as out:
            np.save(out, np.concatenate(parts))
        os.replace(temporary, name)


class CachedStates:
    """Random batches of a folder of states, or of its first chunks.  Raises ModelError for an empty one."""

    def __init__(self, folder: Path, device: str = "cpu", chunks: int | None = None):
        found = sorted(folder.glob(f"{PARTS[-1]}-*.npy"))[:chunks]
        if not found:
            raise ModelError(f"{folder} holds no states")
        self.device = device
        self.chunks = [
            [np.load(name.with_name(name.name.replace(PARTS[-1], part, 1)), mmap_mode="r") for part in PARTS]
            for name in found
        ]
        self.ends = np.cumsum([len(chunk[-1]) for chunk in self.chunks])

    def __len__(self) -> int:
        """Crops."""
        return int(self.ends[-1])

    def draw(self, rng: np.random.Generator, batch: int) -> States:
        """`batch` crops, each drawn from all of them."""
        rows = []
        for i in rng.integers(len(self), size=batch):
            chunk = int(np.searchsorted(self.ends, i, "right"))
            first = self.ends[chunk - 1] if chunk else 0
            rows.append([part[i - first] for part in self.chunks[chunk]])
        return to_states([np.stack(part) for part in zip(*rows, strict=True)], self.device)


class LiveStates:
    """Random batches whose states are computed when they are asked for, as a GPU does faster than it reads them."""

    def __init__(self, source: StateSource):
        self.source, self.kept = source, [np.empty((0,))] * len(PARTS)

    def draw(self, rng: np.random.Generator, batch: int) -> States:
        """`batch` crops; what a window has left over opens the next batch."""
        drawn = [self.kept] if len(self.kept[0]) else []
        while sum(len(parts[0]) for parts in drawn) < batch:
            drawn.append(list(self.source.draw(rng)))
        whole = [np.concatenate(parts) for parts in zip(*drawn, strict=True)]
        self.kept = [part[batch:] for part in whole]
        return to_states([part[:batch] for part in whole], self.source.decoder.device)


def to_states(parts: Sequence[np.ndarray], device: str) -> States:
    """Arrays of `PARTS` as float32 tensors of the device, channels last."""
    f8, f4, original, text = (torch.from_numpy(part).to(device).float() for part in parts)
    form = torch.channels_last
    return States(
        f8.contiguous(memory_format=form),
        f4.contiguous(memory_format=form),
        (original / 127.5 - 1).contiguous(memory_format=form),
        text,
    )

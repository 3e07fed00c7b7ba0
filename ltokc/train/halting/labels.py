"""Labels for the halting head, which the model makes itself, as in KARL: what its own decodes measure.

A training picture is tokenized once and decoded after every level.  What SSIMULACRA2 says of each decode, as a whole
and cell by cell, is the label.  Many pictures are labelled by several processes and kept as files: a run that was
interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ltokc.entropy.segment import bits_of_cells
from ltokc.geometry import Size
from ltokc.jobs import processes
from ltokc.metrics import by_cell
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.token_grid import Tokens, full_masks
from ltokc.tokenizer import halting
from ltokc.tokenizer.runtime import Runtime
from ltokc.tokenizer.windows import Networks
from ltokc.zoo.model import Model, open_model


@dataclass(frozen=True, slots=True)
class Label:
    """What a picture measured.  features (rows, columns, features); moments: per level; bits (levels, rows, columns)
    that each level adds."""

    features: np.ndarray
    moments: list[by_cell.Moments]
    bits: np.ndarray


def label(model: Model, runtime: Runtime, rgb: np.ndarray, told: float | None = None) -> Label:
    """Tokenizes and decodes a picture (H, W, 3) uint8, sides of 8 and more, after every level.

    A told tokenizer makes the digits anew for every depth that is measured; the features are of those that it makes
    when told that `told` levels are kept (None: all), since that is what a guess has to go by.
    """
    networks = Networks(runtime, model.levels, model.field, model.tiling)
    size, levels = Size.of(rgb), len(model.levels)

    def tokens_for(keep: float) -> Tokens:
        return networks.tokenize(rgb, kept=np.full(size.grid, keep, np.float32))

    guessed = tokens_for(told or levels)
    reference, moments, bits = Reference(rgb), [], []
    for depth in range(1, levels + 1):
        tokens = tokens_for(depth) if model.told else guessed
        masks = full_masks(model.levels, *size.grid, np.full(size.grid, depth))
        moments.append(by_cell.moments(reference, networks.detokenize(tokens.only(masks), size)))
        if model.told or depth == levels:
            bits.append(bits_of_cells(model.prior, tokens.digits))
    features = np.concatenate([halting.digit_features(guessed.digits, model.levels), halting.pixel_features(rgb)], -1)
    return Label(features, moments, _bits_of_levels(bits) if model.told else bits[0])


def _bits_of_levels(bits: list[np.ndarray]) -> np.ndarray:
    """What each depth takes more than the one before it, (levels, rows, columns), from the bits of each level when
    told that 1, 2, ... are kept."""
    totals = np.stack([each[: i + 1].sum(0) for i, each in enumerate(bits)])
    return np.diff(totals, axis=0, prepend=0.0)


def save_label(label: Label, path: Path) -> None:
    """Atomic; `load_label` reads it."""
    temporary = path.with_suffix(".tmp.npz")
    cells = np.stack([each.cells for each in label.moments])
    np.savez(temporary, features=label.features, moments=cells, bits=label.bits)
    temporary.replace(path)


def load_label(path: Path) -> Label:
    with np.load(path) as found:
        return Label(found["features"], [by_cell.Moments(cells) for cells in found["moments"]], found["bits"])


@dataclass(frozen=True, slots=True)
class Labeller:
    """Labels a picture (H, W, 3) uint8 with the model of an id and writes the file beside it."""

    model: int

    def __call__(self, job: tuple[Path, np.ndarray]) -> None:
        file, rgb = job
        model = open_model(self.model)
        told = np.random.default_rng(int(file.stem)).uniform(1, len(model.levels))
        save_label(label(model, model.runtime(), rgb, told), file)


def label_all(
    model: int, pictures: Iterable[np.ndarray], folder: Path, jobs: int = 1, started: Callable[[], None] | None = None
) -> Iterator[int]:
    """Writes folder/00000.npz and so on, those that are missing; yields how many of these are done.

    started: called by each process before its first picture; see `ltokc.jobs.processes.run`.
    """
    named = ((folder / f"{i:05d}.npz", rgb) for i, rgb in enumerate(pictures))
    missing = ((file, rgb) for file, rgb in named if not file.exists())
    for i, outcome in enumerate(processes.run(missing, Labeller(model), jobs, started), 1):
        outcome.get()
        yield i

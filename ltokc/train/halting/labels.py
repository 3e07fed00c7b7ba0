"""Labels of many pictures, by several processes, kept as files: a run that was interrupted goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ltokc.jobs import processes
from ltokc.train.halting.fit import label, save_label
from ltokc.zoo.model import open_model


@dataclass(frozen=True, slots=True)
class Labeller:
    """Labels a picture (H, W, 3) uint8 with the model of an id and writes the file beside it."""

    model: int

    def __call__(self, job: tuple[Path, np.ndarray]) -> None:
        file, rgb = job
        model = open_model(self.model)
        save_label(label(model, model.runtime(), rgb), file)


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

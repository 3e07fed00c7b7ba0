"""JSON lines of a training run."""

from __future__ import annotations

import json
from pathlib import Path

import torch


class Log:
    """JSON lines of a run, appended: means of the losses over every `every` steps, and whatever else is written."""

    def __init__(self, path: Path, every: int):
        self.every, self.sums = every, dict[str, torch.Tensor]()
        self.file = open(path, "a", buffering=1)

    def write(self, row: dict[str, object]) -> None:
        self.file.write(json.dumps(row) + "\n")

    def add(self, values: dict[str, torch.Tensor], about: dict[str, object]) -> None:
        """Takes a step's losses; reading them waits for the device, which only a written line does."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        if about["step"] % self.every == 0:
            self.write(about | {name: round(float(v) / self.every, 5) for name, v in self.sums.items()})
            self.sums = {}

    def close(self) -> None:
        self.file.close()

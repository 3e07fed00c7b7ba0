"""What one run of the training loop is given, as its processes hand it on, and what each of them sets first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ltokc.errors import ModelError, UsageError
from ltokc.train.malloc import keep_freed_memory
from ltokc.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe and where it runs; can be pickled.

    shards: .tar files of pictures; lpips: weights of LPIPS; out: folder of log, checkpoint and weights; cache: folder
    of the decoded pictures; device: cpu or cuda; workers: processes; threads: of each, None: one if there are several,
    else torch's choice; start: weights to begin with, None: random ones; resume: go on from the end of the constant
    rate that a finished run in `out` had; seconds, probe: `ltokc.train.loop.Limits`; watched: folder of the shards, to
    which more may come, None: those that there are.
    """

    recipe: Recipe
    shards: tuple[Path, ...]
    lpips: Path
    out: Path
    cache: Path
    device: str = "cpu"
    workers: int = 1
    threads: int | None = None
    start: Path | None = None
    resume: bool = False
    seconds: float = 0.0
    probe: float | None = None
    watched: Path | None = None

    def check(self) -> None:
        """Raises ModelError without a usable GPU for `cuda`, UsageError for what does not go together."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ModelError("--device cuda: torch finds no usable GPU")
        if self.workers > 1 and self.device == "cuda":
            raise UsageError("--workers is for the CPU")
        if self.watched and self.recipe.held_out:
            raise UsageError("--watch: a recipe that holds pictures out of the last shard needs all shards at once")
        if self.watched and self.workers > 1:
            raise UsageError("--watch is for one process")

    def set_up_process(self) -> None:
        """Tells this process how many threads torch has, and its allocator to keep freed memory."""
        if self.device == "cpu":
            keep_freed_memory()
        if self.threads or self.workers > 1:
            torch.set_num_threads(self.threads or 1)

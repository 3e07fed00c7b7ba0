"""The training loop: one process, CPU or CUDA, resumable, logging JSON lines.

A checkpoint holds weights, EMA, optimiser, step, elapsed seconds and both random states; a resumed run on the same
machine with the same number of threads goes on with the numbers an undisturbed one would have drawn.
"""

from __future__ import annotations

import copy
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ltokc.losses.lpips import LPIPS
from ltokc.tokenizer.nn.config import CELL
from ltokc.tokenizer.nn.ladder import ENCODER_ONLY, PICTURE_ONLY, Ladder
from ltokc.train.alive import Alive
from ltokc.train.cuda_graph import CudaGraph
from ltokc.train.data.device_crops import DeviceCrops
from ltokc.train.data.loader import Batches, batches
from ltokc.train.data.pictures import Pictures
from ltokc.train.data.watch import Watch
from ltokc.train.export.state import CHECKPOINT, CONSTANT, has_state, read_state
from ltokc.train.local_sgd import LocalSGD
from ltokc.train.log import Log
from ltokc.train.objective import Objective
from ltokc.train.optim import optimizers_of
from ltokc.train.recipe import Recipe
from ltokc.train.speed import probe
from ltokc.train.speed.integers import AllIntegers
from ltokc.train.speed.rows import Rows, switch
from ltokc.train.start import tensors_to_start_from
from ltokc.train.update import Update

WATCHED = 100  # batches before the first step of a run that keeps units alive
MAX_WORKERS = 14  # processes at most that draw crops for a GPU
LEARNING = {  # names of what learns, by the recipe's `train`
    "encoder": ENCODER_ONLY,  # files are decoded as before
    "queries": re.compile(r"levels\.\d+\.query\."),
    "finish": re.compile("|".join(map(re.escape, PICTURE_ONLY))),
    "prior": re.compile(r"prior\."),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process of a run has.

    seconds: from its first step on, which then say when the rate falls and the run ends; 0: the recipe does.  probe:
    seconds to try what makes steps faster, 0: as the last probe chose, None: nothing of it.  watch: new shards.
    """

    seconds: float = 0.0
    probe: float | None = None
    watch: Watch | None = None


FREE = Limits()


class Trainer:
    """State of a run: `Trainer(recipe, lpips_path, device)`, then `resume(folder)` and `run(pictures, folder)`."""

    def __init__(self, recipe: Recipe, lpips: Path, device: str = "cpu"):
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.seed)
        self.rng = np.random.default_rng(recipe.seed)
        self.net = self.network().to(device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        self.lpips = LPIPS(lpips).to(device, memory_format=torch.channels_last)
        self.objective = Objective(recipe, self.lpips, device)
        self.graph: CudaGraph | None = None
        self.rows = Rows()
        self.integers: AllIntegers | None = None
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.spent = self.budget = 0.0  # seconds of this process, and how many it has (0: the recipe says the end)
        if recipe.train != "all":
            for name, p in self.net.named_parameters():
                named = name.rpartition(".")[0].rpartition(".")[0] in recipe.blocks
                p.requires_grad_(named or bool(LEARNING[recipe.train].match(name)))
        self.net.prior.set_quantised(recipe.quantised_prior)
        self.optimizers, self.rates = optimizers_of(self.net, recipe)
        self.alive = Alive(self.net) if recipe.alive else None
        self.apply = Update(self.net, self.optimizers, self.rates, alive=self.alive)

    def network(self) -> Ladder:
        """A fresh network to be trained; benchmarks put others in its place."""
        return Ladder(self.recipe.model)

    # -- checkpoints ---------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """All that a run goes on from; tensors are those of the run, not copies."""
        return {
            "net": self.net.state_dict(), "ema": self.ema.state_dict(), "step": self.step, "samples": self.samples,
            "seconds": self.seconds,
            "optimizers": [o.state_dict() for o in self.optimizers], "numpy": json.dumps(self.rng.bit_generator.state),
            "torch": torch.get_rng_state(), "alive": self.alive.state() if self.alive else [],
        }  # fmt: skip

    def save(self, folder: Path, name: str = CHECKPOINT) -> None:
        temporary = (folder / name).with_suffix(".tmp")
        torch.save(self.state(), temporary)
        os.replace(temporary, folder / name)
        if name == CHECKPOINT:
            save_ema(self.ema, folder / "ema.safetensors", {"steps": str(self.step)})

    def resume(self, folder: Path, constant: bool = False) -> bool:
        """Goes on from the folder's checkpoint if it has one.

        constant: rather from the state at the end of its constant rate, whole or as it travels.  Raises ModelError.
        """
        if constant and not (folder / CONSTANT).exists() and has_state(folder):
            state = read_state(folder)
            for optimizer, moments in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        else:
            path = folder / CONSTANT if constant and (folder / CONSTANT).exists() else folder / CHECKPOINT
            if not path.exists():
                return False
            state = torch.load(path, map_location=self.device, weights_only=True)
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.step, self.samples, self.seconds = state["step"], state.get("samples", 0), state["seconds"]
        self.rng.bit_generator.state = json.loads(state["numpy"])
        torch.set_rng_state(state["torch"].cpu())
        if self.alive and state.get("alive"):
            self.alive.restore(state["alive"])
        return True

    def start_from(self, weights: Path) -> None:
        """Takes weights: a run's ema.safetensors or a packed model's model.safetensors.  The step stays at zero.

        Blocks that the recipe's network has and the weights lack are added such that they change nothing at first, and
        so are the blocks that the recipe wants anew.  Raises KeyError for other tensors that the weights lack.
        """
        tensors = tensors_to_start_from(weights, self.net.state_dict(), self.recipe)
        self.net.load_state_dict(tensors)
        self.ema.load_state_dict(tensors)

    # -- one step ------------------------------------------------------------------------------------------------
    def draw_keep(self, batch: int, cells: int) -> torch.Tensor:
        """Levels kept per cell, (batch, 1, cells, cells): everything, one length per picture, or one per cell."""
        recipe, levels = self.recipe, len(self.recipe.model.levels)
        u = self.rng.random(batch)
        least = np.where(self.rng.random((batch, 1)) < recipe.fine_share, levels - recipe.fine_levels, 0.5)
        keep = np.repeat(least + self.rng.random((batch, 1)) * (levels - least), cells * cells, 1)
        per_cell = np.clip(keep + self.rng.uniform(-2.5, 2.5, keep.shape), 0, levels)
        keep = np.where((u < recipe.cell_share)[:, None], per_cell, keep)
        keep = np.where((u > 1 - recipe.full_share)[:, None], levels, keep)
        return torch.from_numpy(keep.reshape(batch, 1, cells, cells).astype(np.float32))

    def losses(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """`Objective` of a batch; benchmarks put others in its place."""
        return self.objective(self.net, x, keep)

    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        recipe = self.recipe
        if self.budget:
            return min(1.0, self.spent / self.budget)
        shares = [
            self.seconds / 60 / recipe.minutes if recipe.minutes else 0,
            self.step / recipe.steps if recipe.steps else 0,
        ]
        return min(1.0, max(shares))

    def gradients(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """Fills the parameters' gradients; returns the losses."""
        self.net.zero_grad(set_to_none=True)
        if self.integers is not None:
            self.integers()
        values = self.losses(x, keep)
        values["loss"].backward()
        return {k: v.detach() for k, v in values.items()}

    def update(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """One step; nothing in it waits for the device."""
        recipe = self.recipe
        factor = min(1.0, (self.step + 1) / recipe.warmup)
        if recipe.decay:
            factor *= min(1.0, max(0.01, (1 - self.progress()) / recipe.decay))
        if self.graph is None and x.is_cuda:
            self.graph = CudaGraph(self.gradients, self.net.parameters(), x, keep)
        values = self.graph(x, keep) if self.graph else self.gradients(x, keep)
        self.apply(factor)
        self.step += 1
        with torch.no_grad():
            weight = 1 - min(recipe.ema, self.step / (self.step + 50))
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), weight)
        return values

    # -- the run -------------------------------------------------------------------------------------------------
    def run(
        self, pictures: Pictures, folder: Path, log_every: int = 100, save_minutes: float = 3.0,
        local_sgd: LocalSGD | None = None, limits: Limits = FREE,
    ) -> None:  # fmt: skip
        """Trains until the recipe's end, or that of the limits; writes log.jsonl, checkpoint.pt and ema.safetensors.

        Where the constant rate ends, constant.pt is written too: a longer run goes on from there.  Of several processes
        each resumes from the same checkpoint, draws its own crops, and only process 0 writes.
        """
        recipe, sgd = self.recipe, local_sgd or LocalSGD()
        if sgd.rank:
            self.rng = np.random.default_rng((recipe.seed, sgd.rank, self.step))
        folder.mkdir(parents=True, exist_ok=True)
        feed = self.feed(pictures, sgd.rank)
        log = Log(folder / "log.jsonl" if sgd.rank == 0 else Path(os.devnull), log_every)
        log.write(self.about() | {"workers": sgd.workers, "pictures": len(pictures), "kinds": pictures.kinds})
        self.make_fast(feed, folder, limits.probe, log)
        if self.alive and not self.step:
            log.write({"revived": self.wake(feed)})
        self.spent, self.budget = 0.0, limits.seconds
        last = saved = time.monotonic()
        over, parameters = self.progress() >= 1, [p for p in self.net.parameters() if p.requires_grad]
        constant = bool(recipe.decay) and self.progress() < 1 - recipe.decay
        while not over:
            x, keep = self.batch(feed)
            values = self.update(x, keep)
            if self.alive and self.step % recipe.alive == 0 and self.progress() < 1 - recipe.decay:
                log.write({"revived": self.alive.revive(self.ema)})
            if self.on_gpu and self.step % 8 == 0:  # no more than a few steps ahead
                torch.cuda.current_stream().synchronize()
            self.samples += len(x) * sgd.workers
            now = time.monotonic()
            self.seconds, self.spent, last = self.seconds + now - last, self.spent + now - last, now
            log.add(values, {"step": self.step, "samples": self.samples, "seconds": round(self.seconds)})
            if limits.watch is not None:
                limits.watch.check()
            over = sgd.step(parameters, self.progress() >= 1)
            if constant and self.progress() >= 1 - recipe.decay and sgd.rank == 0:
                self.save(folder, CONSTANT)
                constant = False
            if sgd.rank == 0 and (over or now - saved > save_minutes * 60):
                self.save(folder)
                saved = now
        log.close()

    @torch.no_grad()
    def wake(self, feed: Iterator[torch.Tensor]) -> dict[str, int]:
        """Draws anew what is silent in the weights to begin from; how many units of each convolution."""
        assert self.alive
        for _ in range(WATCHED):
            x, keep = self.batch(feed)
            with self.objective.arithmetic(x):
                self.net(x, keep)
        return self.alive.revive(self.ema)

    def make_fast(self, feed: Iterator[torch.Tensor], folder: Path, seconds: float | None, log: Log) -> None:
        """Switches on what a probe of so many seconds, or the last one (0), found to be faster; None: nothing."""
        if seconds is None:
            return
        if seconds:
            rows, found = probe.chosen(self, *self.batch(feed), seconds)
            probe.save(folder, rows, found)
        switch(self, probe.load(folder))
        log.write({"rows": self.rows.names})

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def feed(self, pictures: Pictures, rank: int) -> Iterator[torch.Tensor]:
        """Crops for every step from this one on, (batch, crop, crop, 3) uint8."""
        if self.recipe.crops_on_device:
            return DeviceCrops(pictures, self.recipe, self.device, rank).from_step(self.step)
        num_workers = min(MAX_WORKERS, max(1, (os.cpu_count() or 1) - 2)) if self.on_gpu else 0
        return batches(Batches(pictures, self.recipe, rank), self.step, num_workers, pinned=self.on_gpu)

    def batch(self, feed: Iterator[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The next pictures (B, 3, crop, crop) in [-1, 1] and their levels, on the device."""
        x = next(feed).to(self.device, non_blocking=True).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        x = x.contiguous(memory_format=torch.channels_last)
        keep = self.draw_keep(len(x), self.recipe.crop // CELL)
        return x, keep.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else keep

    def about(self) -> dict[str, object]:
        """What runs: the log's first line."""
        return {
            "recipe": asdict(self.recipe), "step": self.step, "torch": torch.__version__, "device": self.device,
            "threads": torch.get_num_threads(),
        }  # fmt: skip


def save_ema(net: torch.nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Weights as fp16 safetensors, with the network's sizes in the metadata; atomic."""
    tensors = {k: v.detach().cpu().half().contiguous() for k, v in net.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, {"config": net.config.to_json(), **(metadata or {})})  # type: ignore[attr-defined,union-attr]
    os.replace(temporary, path)

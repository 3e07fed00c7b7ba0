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
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ltokc.losses.lpips import LPIPS
from ltokc.tokenizer.nn.config import CELL
from ltokc.tokenizer.nn.ladder import ENCODER_ONLY, PICTURE_ONLY, Ladder
from ltokc.train.cuda_graph import CudaGraph
from ltokc.train.data.loader import Batches, batches
from ltokc.train.data.pictures import Pictures
from ltokc.train.export.tensors import FLOAT_PRIOR
from ltokc.train.local_sgd import LocalSGD
from ltokc.train.objective import Objective
from ltokc.train.optim import optimizers_of
from ltokc.train.recipe import Recipe

MAX_WORKERS = 14  # processes at most that draw crops for a GPU
NEW_BLOCK = re.compile(r"(encoder|pre|final)\..*\.[abc]\.(weight|bias)|levels\.\d+\.query\.told\.weight")
LEARNING = {  # names of what learns, by the recipe's `train`
    "encoder": ENCODER_ONLY,  # files are decoded as before
    "queries": re.compile(r"levels\.\d+\.query\."),
    "finish": re.compile("|".join(map(re.escape, PICTURE_ONLY))),
    "prior": re.compile(r"prior\."),
}


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
        self.step, self.samples, self.seconds = 0, 0, 0.0
        if recipe.train != "all":
            for name, p in self.net.named_parameters():
                p.requires_grad_(bool(LEARNING[recipe.train].match(name)))
        self.net.prior.set_quantised(recipe.quantised_prior)
        self.optimizers, self.rates = optimizers_of(self.net, recipe)

    def network(self) -> Ladder:
        """A fresh network to be trained; benchmarks put others in its place."""
        return Ladder(self.recipe.model)

    # -- checkpoints ---------------------------------------------------------------------------------------------
    def save(self, folder: Path) -> None:
        state = {
            "net": self.net.state_dict(), "ema": self.ema.state_dict(), "step": self.step, "samples": self.samples,
            "seconds": self.seconds,
            "optimizers": [o.state_dict() for o in self.optimizers], "numpy": json.dumps(self.rng.bit_generator.state),
            "torch": torch.get_rng_state(),
        }  # fmt: skip
        torch.save(state, folder / "checkpoint.tmp")
        os.replace(folder / "checkpoint.tmp", folder / "checkpoint.pt")
        save_ema(self.ema, folder / "ema.safetensors", {"steps": str(self.step)})

    def resume(self, folder: Path) -> bool:
        """Goes on from the folder's checkpoint if it has one."""
        path = folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.samples, self.seconds = state["step"], state.get("samples", 0), state["seconds"]
        self.rng.bit_generator.state = json.loads(state["numpy"])
        torch.set_rng_state(state["torch"].cpu())
        return True

    def start_from(self, weights: Path) -> None:
        """Takes weights: a run's ema.safetensors or a packed model's model.safetensors.  The step stays at zero.

        Blocks that the recipe's network has and the weights lack are added such that they change nothing at first.
        """
        tensors = {k: v.float() for k, v in load_file(weights).items()}
        packed = weights.with_name(FLOAT_PRIOR)
        if packed.exists():  # a packed model has its prior as integers; what they were made of lies beside it
            tensors = {k: v for k, v in tensors.items() if not k.startswith("prior.")}
            tensors |= {k: v.float() for k, v in load_file(packed).items()}
        grown = {name: t for name, t in self.net.state_dict().items() if name not in tensors}
        if stray := [name for name in grown if not NEW_BLOCK.fullmatch(name)]:
            raise KeyError(stray[0])
        tensors |= {name: torch.zeros_like(t) if ".c." in name or ".told." in name else t for name, t in grown.items()}
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
        shares = [
            self.seconds / 60 / recipe.minutes if recipe.minutes else 0,
            self.step / recipe.steps if recipe.steps else 0,
        ]
        return min(1.0, max(shares))

    def gradients(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """Fills the parameters' gradients; returns the losses."""
        self.net.zero_grad(set_to_none=True)
        values = self.losses(x, keep)
        values["loss"].backward()
        return {k: v.detach() for k, v in values.items()}

    def update(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """One step; nothing in it waits for the device.  A gradient that is not finite counts as zero."""
        recipe = self.recipe
        factor = min(1.0, (self.step + 1) / recipe.warmup)
        if recipe.decay:
            factor *= min(1.0, max(0.01, (1 - self.progress()) / recipe.decay))
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        if self.graph is None and x.is_cuda:
            self.graph = CudaGraph(self.gradients, self.net.parameters(), x, keep)
        values = self.graph(x, keep) if self.graph else self.gradients(x, keep)
        with_grad = [p for p in self.net.parameters() if p.grad is not None]
        lost = ~torch.isfinite(torch.nn.utils.clip_grad_norm_(with_grad, 1.0))
        for p in with_grad:
            assert p.grad is not None
            p.grad.masked_fill_(lost, 0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        with torch.no_grad():
            weight = 1 - min(recipe.ema, self.step / (self.step + 50))
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), weight)
        return values

    # -- the run -------------------------------------------------------------------------------------------------
    def run(
        self, pictures: Pictures, folder: Path, log_every: int = 100, save_minutes: float = 3.0,
        local_sgd: LocalSGD | None = None,
    ) -> None:  # fmt: skip
        """Trains until the recipe's end; writes log.jsonl, checkpoint.pt and ema.safetensors into `folder`.

        Of several processes each resumes from the same checkpoint, draws its own crops, and only process 0 writes.
        """
        recipe, sgd = self.recipe, local_sgd or LocalSGD()
        if sgd.rank:
            self.rng = np.random.default_rng((recipe.seed, sgd.rank, self.step))
        folder.mkdir(parents=True, exist_ok=True)
        feed = self.feed(pictures, sgd.rank)
        last = saved = time.monotonic()
        log = Log(folder / "log.jsonl" if sgd.rank == 0 else Path(os.devnull), log_every)
        log.write(self.about() | {"workers": sgd.workers, "pictures": len(pictures)})
        over, parameters = self.progress() >= 1, [p for p in self.net.parameters() if p.requires_grad]
        while not over:
            x, keep = self.batch(feed)
            values = self.update(x, keep)
            if self.on_gpu and self.step % 8 == 0:  # no more than a few steps ahead
                torch.cuda.current_stream().synchronize()
            self.samples += len(x) * sgd.workers
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            log.add(values, {"step": self.step, "samples": self.samples, "seconds": round(self.seconds)})
            over = sgd.step(parameters, self.progress() >= 1)
            if sgd.rank == 0 and (over or now - saved > save_minutes * 60):
                self.save(folder)
                saved = now
        log.close()

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def feed(self, pictures: Pictures, rank: int) -> Iterator[torch.Tensor]:
        """Crops for every step from this one on, (batch, crop, crop, 3) uint8."""
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


def save_ema(net: torch.nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Weights as fp16 safetensors, with the network's sizes in the metadata; atomic."""
    tensors = {k: v.detach().cpu().half().contiguous() for k, v in net.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, {"config": net.config.to_json(), **(metadata or {})})  # type: ignore[attr-defined,union-attr]
    os.replace(temporary, path)

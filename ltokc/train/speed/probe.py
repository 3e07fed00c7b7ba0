"""Which rows make a run faster on this device: each is tried, and stays if it does and the loss agrees."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ltokc.atomic import write_atomic
from ltokc.errors import ModelError
from ltokc.train.cuda_graph import CudaGraph
from ltokc.train.speed.rows import Rows, switch, useful
from ltokc.train.speed.trained import Trained
from ltokc.train.update import WARM_UP, Update

FILE = "probe.json"
LOSS_OFF, GRADIENT_ALIKE = 1e-3, 0.99  # relative; cosine: least and most that a row may change
WEIGHTS_OFF = 1e-5  # relative and absolute: how far captured updates may end from plain ones
LEAST_STEPS = 2  # that are timed
GAIN = 1.01  # that a row must bring, since times waver


@dataclass(frozen=True, slots=True)
class Measured:
    """Crops a second with some rows, what the loss was, and whether loss and gradient are those without any."""

    rows: list[str]
    crops_per_second: float
    loss: float
    agrees: bool


@contextmanager
def unchanged(trainer: Trained) -> Iterator[None]:
    """Weights and the optimisers' state are afterwards as they were."""
    net, optimizers = trainer.net, trainer.apply.optimizers
    weights = [p.detach().clone() for p in net.parameters()]
    states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
    try:
        yield
    finally:
        with torch.no_grad():
            for p, weight in zip(net.parameters(), weights, strict=True):
                p.copy_(weight)
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict(state)


class Probe:
    """Times the steps of a trainer on one batch; weights and the optimisers' state stay as they are."""

    def __init__(self, trainer: Trained, x: torch.Tensor, keep: torch.Tensor):
        self.trainer, self.x, self.keep = trainer, x, keep
        switch(trainer, Rows())
        self.loss, self.gradient = self._once()

    def _once(self) -> tuple[float, torch.Tensor]:
        loss = float(self.trainer.gradients(self.x, self.keep)["loss"])
        learning = [p for p in self.trainer.net.parameters() if p.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]  # None, where nothing is used
        return loss, torch.cat([part.flatten().float() for part in parts])

    def measure(self, rows: Rows, seconds: float) -> Measured:
        """Raises whatever the rows raise that do not work here."""
        trainer = self.trainer
        switch(trainer, rows)
        loss, gradient = self._once()
        alike = float(torch.nn.functional.cosine_similarity(gradient, self.gradient, 0))
        agrees = abs(loss - self.loss) <= LOSS_OFF * abs(self.loss) and alike >= GRADIENT_ALIKE
        agrees = agrees and (not rows.update or self.same_update())
        with unchanged(trainer):
            step = trainer.gradients
            if trainer.on_gpu:
                step = CudaGraph(trainer.gradients, trainer.net.parameters(), self.x, self.keep)
            for _ in range(WARM_UP + 1):  # the last one captures an update
                step(self.x, self.keep)
                trainer.apply(1.0)
            self._wait()
            start, steps = time.perf_counter(), 0
            while steps < LEAST_STEPS or time.perf_counter() - start < seconds:
                step(self.x, self.keep)
                trainer.apply(1.0)
                self._wait()
                steps += 1
            took = time.perf_counter() - start
        switch(trainer, rows)
        return Measured(rows.names, round(steps * len(self.x) / took, 2), round(loss, 5), agrees)

    def same_update(self) -> bool:
        """Whether captured updates by the gradients that are there change the weights as plain ones do."""
        apply, after = self.trainer.apply, []
        parameters = [p for p in self.trainer.net.parameters() if p.grad is not None]
        gradients = [p.grad.clone() for p in parameters]
        for captured in (False, True):
            update = Update(self.trainer.net, apply.optimizers, apply.rates, captured, apply.alive)
            with unchanged(self.trainer):
                for _ in range(WARM_UP + 2):
                    for p, gradient in zip(parameters, gradients, strict=True):
                        p.grad.copy_(gradient)
                    update(1.0)
                after.append(torch.cat([p.detach().flatten() for p in parameters]))
        plain, captured_ones = after
        return torch.allclose(captured_ones, plain, rtol=WEIGHTS_OFF, atol=WEIGHTS_OFF)

    def _wait(self) -> None:
        if self.trainer.on_gpu:
            torch.cuda.synchronize()


def chosen(trainer: Trained, x: torch.Tensor, keep: torch.Tensor, seconds: float) -> tuple[Rows, list[Measured]]:
    """The rows that are kept, and all that was measured, in about so many seconds; the trainer has them then."""
    start, names = time.perf_counter(), useful(trainer)
    probe, each = Probe(trainer, x, keep), seconds / (len(names) + 1)
    best = probe.measure(Rows(), each / 2)
    rows, found = Rows(), [best]
    for name in names:
        if time.perf_counter() - start > seconds:
            break
        try:
            tried = probe.measure(rows.with_(name), each / 2)
        except RuntimeError:  # torch's: no compiler, no such kernel
            found.append(Measured([*rows.names, name], 0.0, 0.0, False))
            continue
        found.append(tried)
        if tried.agrees and tried.crops_per_second > GAIN * best.crops_per_second:
            rows, best = rows.with_(name), tried
    switch(trainer, rows)
    trainer.net.zero_grad(set_to_none=True)
    return rows, found


def save(folder: Path, rows: Rows, found: list[Measured]) -> None:
    """Writes folder/probe.json."""
    report = {"chosen": rows.names, "measured": [asdict(each) for each in found]}
    write_atomic(folder / FILE, (json.dumps(report, indent=1) + "\n").encode())


def load(folder: Path) -> Rows:
    """What a run before has chosen; none where there was none.  Raises ModelError for a file that is damaged."""
    path = folder / FILE
    if not path.exists():
        return Rows()
    try:
        return Rows.of(json.loads(path.read_text())["chosen"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error})") from error

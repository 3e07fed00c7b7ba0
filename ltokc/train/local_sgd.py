"""Several processes train one network: each steps alone on its own pictures, and now and then the weights are averaged.

Local SGD (Stich 2019).  On a CPU, processes of one thread each keep their cores busier than one process with as many
threads, and a core that is busy elsewhere slows only its own process: averages are weighted by the steps taken, and
happen after so many seconds rather than steps.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from ltokc.spawn import safe_path

PORT = "LTOKC_TRAIN_PORT"


@contextmanager
def helpers(work: Callable[..., Any], workers: int, arguments: tuple) -> Iterator[None]:
    """Runs work(rank, *arguments) for ranks 1 to workers - 1 in processes of their own, which end with the block."""
    if workers > 1:
        with socket.socket() as s:  # a free port, told to the processes through the environment
            s.bind(("127.0.0.1", 0))
            os.environ[PORT] = str(s.getsockname()[1])
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(rank, *arguments), daemon=True) for rank in range(1, workers)]
    with safe_path():
        for process in processes:
            process.start()
    try:
        yield
        for process in processes:
            process.join(30)
    finally:
        for process in processes:
            process.terminate()


class LocalSGD:
    """Averages the parameters of all processes every `seconds`.  With one process it does nothing."""

    def __init__(self, rank: int = 0, workers: int = 1, seconds: float = 10.0):
        self.rank, self.workers, self.seconds, self.steps = rank, workers, seconds, 0
        if workers > 1:
            dist.init_process_group(
                "gloo", init_method=f"tcp://127.0.0.1:{os.environ[PORT]}", rank=rank, world_size=workers
            )
        self.due = time.monotonic() + seconds

    @torch.no_grad()
    def step(self, parameters: list[torch.Tensor], finished: bool) -> bool:
        """To be called after every step; returns whether the run is over (as process 0 sees it)."""
        if self.workers == 1:
            return finished
        self.steps += 1
        if time.monotonic() < self.due:
            return False
        flat = torch.cat([p.reshape(-1) for p in parameters] + [torch.ones(1)]) * self.steps
        dist.all_reduce(flat)
        flat /= flat[-1].clone()
        offset = 0
        for p in parameters:
            p.copy_(flat[offset : offset + p.numel()].view(p.shape))
            offset += p.numel()
        over = torch.tensor([float(finished)])
        dist.broadcast(over, 0)
        self.steps, self.due = 0, time.monotonic() + self.seconds
        return bool(over.item())

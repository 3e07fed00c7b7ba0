"""Work of two checkouts in turn: in a process of each that lives, or as commands from start to end.

Every figure is the least of several rounds, in each of which the checkouts take turns: `ratio` (now / before) holds on
a busy machine too.  `cpu` is what all threads of all processes took.  Needs Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.common.earlier import surroundings
from bench.common.process import launch_family

THREADS = ("LTOKC_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# A process of a checkout: a line says what to do, and the answer is seconds and CPU seconds.
CHILD = """
import json, resource, sys, time
import numpy as np
from PIL import Image
import ltokc
image = Image.open(sys.argv[1]).convert("RGB")
quality = float(sys.argv[2])
files = {}
def encode(effort): files[effort] = ltokc.encode(image, quality, effort=effort)
class Pictures:
    def __len__(self): return 48
    def __getitem__(self, i): return len(ltokc.encode(image.crop((i, 0, i + 384, 256)), quality))
def load(workers):
    import torch
    loader = torch.utils.data.DataLoader(Pictures(), batch_size=None, num_workers=workers)
    return sum(1 for _ in loader)
WORK = {"encode -e 0": lambda: encode(0), "encode -e 1": lambda: encode(1), "decode": lambda: ltokc.decode(files[1]),
        "loader 0": lambda: load(0), "loader 2": lambda: load(2)}
def cpu():
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
encode(1)
for line in sys.stdin:
    start, before = time.perf_counter(), cpu()
    WORK[line.strip()]()
    print(json.dumps([time.perf_counter() - start, cpu() - before]), flush=True)
"""
Figures = dict[str, float]


@contextmanager
def child(checkout: Path, picture: Path, quality: float, **environment: str) -> Iterator[Callable[[str], Figures]]:
    """A process of a checkout that does work by name."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(picture), str(quality)], env=surroundings(checkout) | environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout,
    )  # fmt: skip
    assert process.stdin and process.stdout

    def measured(what: str) -> Figures:
        assert process.stdin and process.stdout
        print(what, file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise click.ClickException(f"{checkout.name}: {what} failed")
        return dict(zip(("seconds", "cpu"), json.loads(line), strict=True))

    try:
        yield measured
    finally:
        process.stdin.close()
        process.wait()


def in_turn(rounds: int, sides: Mapping[str, Callable[[], Figures]]) -> dict[str, Any]:
    """The least of every figure of every side, and the ratio of `now` to `before`."""
    best: dict[str, Figures] = {}
    for _ in range(rounds):
        for side, measure in sides.items():
            found, known = measure(), best.get(side, {})
            best[side] = {name: min(value, known.get(name, value)) for name, value in found.items()}
    out: dict[str, Any] = dict(best)
    if "before" in best:
        out["ratio"] = {name: value / best["before"][name] for name, value in best["now"].items() if name != "pictures"}
    return out


def command(checkout: Path, words: list[str]) -> Figures:
    """`ltokc` of a checkout as a process: its seconds, CPU seconds, and the largest process in MB (sampled)."""
    outside = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ.update(PYTHONPATH=str(checkout), PYTHONSAFEPATH="1")
    try:
        return launched([sys.executable, "-m", "ltokc", *words])
    finally:
        for name, value in outside.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def launched(words: list[str]) -> Figures:
    """A command as a process: its seconds, CPU seconds, and the largest process in MB (sampled)."""
    family = launch_family(words)
    figures = {"seconds": family.seconds, "cpu": family.user + family.system}
    return figures | ({"peak_megabytes": family.largest / 1e6} if family.largest else {})

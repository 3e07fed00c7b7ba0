"""Where the processor's time goes: what each stage of encode and decode takes, and each step of starting a command.

A stage's time is that inside of its function, less that of stages within; `rest` is what no stage takes.
"""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from PIL import Image

from ltokc import codec
from ltokc.zoo.model import open_model

VERBS = ("encode -e 0", "encode -e 1", "decode")
STAGES = {  # name -> module and function, or a class of it and its method
    "gradient of the look": ("ltokc.rate.rounding.together", "loss_gradient"),
    "flips": ("ltokc.rate.rounding.together", "flipped"),
    "measurement": ("ltokc.metrics.by_cell", "moments"),
    "digits for colour": ("ltokc.rate.colour.digits", "choose"),
    "colour grid": ("ltokc.rate.written", "with_grid"),
    "plan": ("ltokc.rate.written", "choose_plan"),
    "prediction": ("ltokc.tokenizer.halting", "Head.predict"),
    "looking for drawings": ("ltokc.rate.patches.plan", "drawn_part"),
    "counts of the prior": ("ltokc.rate.written", "writer_of"),
    "range coder": ("ltokc.entropy.file", "FileWriter.write"),
    "prior and range decoder": ("ltokc.entropy.file", "read_tokens"),
}
NETWORKS = {  # name -> methods of the runtime
    "tokenizer": ("tokenize", "tokenize_values"), "detokenizer": ("detokenize",), "gradient": ("digit_gradient",),
}  # fmt: skip
# Steps of a command, one after the other in one process; each line is timed.
STARTING = """
import json, time
found, before = {}, time.process_time()
found["python"] = before
for name, code in json.loads(__import__("sys").argv[1]):
    exec(code)
    now = time.process_time()
    found[name], before = now - before, now
print(json.dumps(found))
"""
STEPS = (
    ("commands", "import ltokc.cli.program, ltokc.cli.encode, ltokc.cli.decode"),
    ("numpy and Pillow", "import numpy, PIL.Image, PIL.PngImagePlugin"),
    ("rest of the modules", "import ltokc.codec, ltokc.rate.written, ltokc.entropy.file, ltokc.tokenizer.windows"),
    ("model and its checksums", "from ltokc.zoo.model import open_model; model = open_model(None)"),
    ("weights of the prior", "model.prior"),
    ("runtime", "networks = model.networks(backend)"),
    ("graph of the decoder", "open_graph(networks)"),
)
OPENING = """
def open_graph(networks):
    from ltokc.geometry import Size
    from ltokc.token_grid import Tokens
    networks.detokenize(Tokens.empty(networks.levels, Size(64, 64).grid), Size(64, 64))
"""


class Clock:
    """CPU seconds of named functions, each less those that it calls."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.inner: list[float] = []

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time counts under a name."""

        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            self.inner.append(0.0)
            try:
                return function(*given, **named)
            finally:
                took = time.process_time() - start
                self.seconds[name] += took - self.inner.pop()
                if self.inner:
                    self.inner[-1] += took

        return timed


@contextmanager
def watched(clock: Clock, backend: str) -> Iterator[None]:
    """All stages are timed."""
    runtime = type(open_model().runtime(backend))
    with ExitStack() as stack:
        for name, methods in NETWORKS.items():
            for method in methods:
                new = clock.timed(name, getattr(runtime, method))
                stack.enter_context(mock.patch.object(runtime, method, new))
        for name, (module, path) in STAGES.items():
            owner: Any = importlib.import_module(module)
            *classes, function = path.split(".")
            for each in classes:
                owner = getattr(owner, each)
            new = clock.timed(name, getattr(owner, function))
            stack.enter_context(mock.patch.object(owner, function, new))
        yield


def stages(image: Image.Image, quality: float, rounds: int, backend: str = "auto") -> dict[str, dict[str, float]]:
    """CPU milliseconds of every stage of encode and decode in a process that lives; of the quickest round."""
    data = codec.encode(image, quality, effort=1, backend=backend)
    work: dict[str, Callable[[], object]] = {
        "encode -e 0": lambda: codec.encode(image, quality, effort=0, backend=backend),
        "encode -e 1": lambda: codec.encode(image, quality, effort=1, backend=backend),
        "decode": lambda: codec.decode(data, backend=backend),
    }
    out = {}
    for verb, call in work.items():
        call()
        best: dict[str, float] = {}
        for _ in range(rounds):
            clock = Clock()
            with watched(clock, backend):
                clock.timed("rest", call)()
            if not best or sum(clock.seconds.values()) < sum(best.values()):
                best = dict(clock.seconds)
        out[verb] = {name: round(1000 * value, 1) for name, value in sorted(best.items(), key=lambda each: -each[1])}
        out[verb] = {"all": round(1000 * sum(best.values()), 1)} | out[verb]
    return out


def starting(rounds: int, backend: str = "auto") -> dict[str, float]:
    """CPU milliseconds of every step of starting a command, the least of several processes."""
    steps = [("opening", f"backend = {backend!r}\n" + OPENING), *STEPS]
    best: dict[str, float] = {}
    for _ in range(rounds):
        words = [sys.executable, "-c", STARTING, json.dumps(steps)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        best = {name: min(value, best.get(name, value)) for name, value in found.items()}
    return {name: round(1000 * value, 1) for name, value in best.items() if name != "opening"}

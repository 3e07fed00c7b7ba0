"""The networks on OpenVINO, CPU: in bf16 where the processor multiplies it, which takes half the time of fp32.

Pixels of bf16 are of the *fast* class: within 12 of 255, 45 dB or more from the reference.  Graphs are compiled once,
and kept on disk for later processes (`ltokc.tokenizer.runtime.blobs`).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ltokc.errors import ModelError
from ltokc.ort.inline import with_weights
from ltokc.threads import can_start, cores
from ltokc.tokenizer.eight_bit import file_of
from ltokc.tokenizer.generative import GENERATIVE
from ltokc.tokenizer.generative import WEIGHTS as GENERATOR
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER, Cuts, blobs, feeds
from ltokc.tokenizer.runtime.graphs import GraphRuntime, OpenedOnce, key_of
from ltokc.tokenizer.runtime.onnx_cuts import with_cuts
from ltokc.tokenizer.runtime.onnx_layout import channels_last
from ltokc.tokenizer.runtime.silent_openvino import openvino

FAST, EXACT = "bf16", "f32"
WEIGHTS = "model.safetensors"
PICTURE = "packed"  # output of the detokenizer
MACHINE = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")  # properties that a compiled graph depends on


def multiplies_bf16() -> bool:
    """Whether the processor has instructions for products of bf16; OpenVINO can do without, slowly.

    False also where OpenVINO cannot start: it needs threads of its own.
    """
    try:
        return can_start(2) and "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return False


def chosen_precision(precision: str) -> str:
    """What "auto" and "exact" are on this processor."""
    return FAST if precision == "auto" and multiplies_bf16() else EXACT


def _line(error: RuntimeError) -> str:
    """The last line of what OpenVINO says: those before are places in its sources."""
    return (str(error).strip().splitlines() or ["no reason given"])[-1].strip()


@dataclass(slots=True)
class _Graph:
    """A compiled graph, and requests that no thread uses; held: the memory of the blob that it was made of, if any."""

    compiled: Any
    held: Any = None
    idle: list[Any] = field(default_factory=list)

    def run(self, given: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        try:
            request = self.idle.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        arrays = {name: np.asarray(value, order="C") for name, value in given.items()}  # alive until it is done
        for name, value in arrays.items():
            request.set_tensor(name, openvino.Tensor(value, shared_memory=True))
        request.start_async({}, None)
        request.wait()
        found = [np.array(request.get_tensor(name).data) for name in outputs]
        self.idle.append(request)
        return found

    def release(self) -> None:
        """Gives back what windows took, unless another thread is in the middle of one."""
        self.idle.clear()
        with contextlib.suppress(RuntimeError):
            self.compiled.release_memory()


class OpenVinoRuntime(GraphRuntime):
    """See `ltokc.tokenizer.runtime.Runtime`.  Graphs are compiled on first use: decoding never loads the tokenizer."""

    def __init__(
        self, folder: Path, precision: str = "auto", threads: int | None = None,
        digests: Mapping[str, str] = MappingProxyType({}),
    ):  # fmt: skip
        """digests: SHA-256 of files of the model, in hexadecimal, as far as they were compared."""
        self.folder, self.threads, self.digests = folder, threads, digests
        self.precision = chosen_precision(precision)
        try:
            self.core = openvino.Core()
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot start: {_line(error)}") from error
        self.opened: OpenedOnce[_Graph] = OpenedOnce()
        version = openvino.get_version().partition("-")[0]
        self.name = f"openvino {version} CPU {self.precision}"

    def _graph(self, name: str, cuts: Cuts | None = None) -> _Graph:
        return self.opened.get(key_of(name, cuts), lambda: self._compiled(name, cuts))

    def _open(self, name: str) -> _Graph:
        return self._graph(name)

    def _compiled(self, name: str, cuts: Cuts | None) -> _Graph:
        file = file_of(self.folder, name, self.precision == FAST)
        try:
            model = (self.folder / file).read_bytes()
            if cuts is not None:
                strides = [int(cut.removeprefix("state_")) for cut in cuts if cut.startswith("state_")]
                model = with_cuts(model, strides, features=name == TOKENIZER)
            if name == DETOKENIZER:
                model = channels_last(model, PICTURE)
            config = {
                "INFERENCE_PRECISION_HINT": EXACT if name == GENERATIVE else self.precision,
                "INFERENCE_NUM_THREADS": self.threads or cores(), "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,
            }  # fmt: skip
            key = self._key(name, model, config) if blobs.cache_folder() else ""
            return self._kept(key, config) or _Graph(self._made(model, config, key))
        except OSError as error:
            raise ModelError(f"cannot read {file}: {error.strerror}") from error
        except RuntimeError as error:
            raise ModelError(f"cannot load {file}: {_line(error)}") from error

    def _key(self, name: str, model: bytes, config: dict[str, Any]) -> str:
        """Names all that a compiled graph depends on; threads are told when it is read."""
        files = (WEIGHTS, GENERATOR) if name == GENERATIVE else (WEIGHTS,)
        weights = [self.digests.get(file) or sha256((self.folder / file).read_bytes()).hexdigest() for file in files]
        machine = [str(self.core.get_property("CPU", about)) for about in MACHINE]
        return blobs.key_of(openvino.get_version(), *machine, config["INFERENCE_PRECISION_HINT"], model, *weights)

    def _kept(self, key: str, config: dict[str, Any]) -> _Graph | None:
        """The compiled graph that is on disk; None: there is none, or not one that this OpenVINO reads."""
        if not (blob := blobs.read(key)):
            return None
        held = openvino.Tensor(np.frombuffer(blob, np.uint8), True)
        try:
            return _Graph(self.core.import_model(held, "CPU", config), (held, blob))
        except RuntimeError:
            return None

    def _made(self, model: bytes, config: dict[str, Any], key: str) -> Any:
        compiled = self.core.compile_model(self.core.read_model(with_weights(model, self.folder)), "CPU", config)
        if key:
            with contextlib.suppress(RuntimeError):
                exported = compiled.export_model()
                blobs.write(key, exported if isinstance(exported, bytes) else exported.getvalue())
        return compiled

    def _tokenized(
        self, outputs: Sequence[str], packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None,
        depth: Sequence[np.ndarray] | None,
    ) -> list[np.ndarray]:  # fmt: skip
        graph = self._graph(TOKENIZER, cuts)
        given = feeds.of_tokenizer(packed, masks, cuts)
        if any(feeds.DEPTH.format(0) in each.get_names() for each in graph.compiled.inputs):
            given |= feeds.of_depth(masks, depth)
        return graph.run(given, outputs)

    def detokenize(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None = None
    ) -> np.ndarray:
        found = self._graph(DETOKENIZER, cuts).run(feeds.of_decoder(digits, masks, cuts), [PICTURE])[0]
        return found.transpose(0, 3, 1, 2)

    def generate(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
        cuts: Cuts | None = None,
    ) -> np.ndarray:  # fmt: skip
        return self._graph("generative").run(feeds.of_generator(digits, masks, noise, detail, cuts), ["packed"])[0]

    def _all(self, name: str, given: feeds.Feeds) -> feeds.Feeds:
        """All outputs of a graph by name.  It takes its inputs out of what is given."""
        graph = self._graph(name)
        outputs = [each.get_any_name() for each in graph.compiled.outputs]
        inputs = [each.get_any_name() for each in graph.compiled.inputs]
        return dict(zip(outputs, graph.run({each: given[each] for each in inputs}, outputs), strict=True))

    def _emptied(self) -> None:
        for graph in list(self.opened.held.values()):
            graph.release()
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        if libc is not None and hasattr(libc, "malloc_trim"):  # musl has none
            libc.malloc_trim(0)

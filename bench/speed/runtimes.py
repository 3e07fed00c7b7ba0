"""What could run the networks: CPU seconds of both, of starting, and how near they come to fp32 on ONNX Runtime.

Each runtime is a process of its own with one thread: `start` is from the import to the end of the first decode, less a
further one.  8-bit graphs are made here by ONNX Runtime's own quantiser, calibrated on pictures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ltokc.ort.inline import with_weights
from ltokc.tokenizer.runtime import feeds
from ltokc.tokenizer.windows import pack
from ltokc.zoo.model import Model, open_model

# name -> packages that it needs
RUNTIMES = {
    "onnx fp32": ("onnxruntime",), "onnx 8-bit": ("onnxruntime", "onnx"), "torch fp32": ("torch",),
    "torch bf16": ("torch",), "openvino fp32": ("openvino",), "openvino bf16": ("openvino",),
}  # fmt: skip
CHILD = """
import json, sys, time
start = time.process_time()
import numpy as np
from bench.speed import runtimes
given = dict(np.load(sys.argv[2]))
run = runtimes.opened(sys.argv[1], sys.argv[3])
found, seconds = {}, {}
for name in ("detokenizer", "tokenizer"):
    found[name] = run(name, given)
    first = time.process_time() - start
    times = []
    for _ in range(int(sys.argv[5])):
        start = time.process_time()
        run(name, given)
        times.append(time.process_time() - start)
    seconds[name] = min(times)
    seconds.setdefault("start", first - min(times))
    start = time.process_time()
np.savez(sys.argv[4], packed=found["detokenizer"], **{f"digits_{k}": d for k, d in enumerate(found["tokenizer"])})
print(json.dumps(seconds))
"""


def runtimes(image: Image.Image, pictures: list[Image.Image], rounds: int, work: Path) -> dict[str, dict[str, Any]]:
    """Figures of every runtime that is installed, of a picture with all of its tokens.

    pictures: for the scales of 8-bit integers; work: a folder for files.
    """
    given, out = work / "given.npz", {}
    np.savez(given, **_given(open_model(), np.asarray(image)))  # type: ignore[arg-type]
    if find_spec("onnx"):
        quantise(open_model(), pictures, work)
    reference: dict[str, np.ndarray] = {}
    for name, needs in RUNTIMES.items():
        if not all(map(find_spec, needs)):
            continue
        result = work / "result.npz"
        words = [sys.executable, "-c", CHILD, name, str(given), str(work), str(result), str(rounds)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found = dict(np.load(result))
        reference = reference or found
        out[name] = json.loads(done.stdout.splitlines()[-1]) | _nearness(reference, found)
    return out


def _given(model: Model, rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of both networks by name: the picture's pixels, and all tokens that ONNX Runtime makes of it."""
    tokens = model.networks("onnx", "cpu").tokenize(rgb)
    digits = {f"digits_{k}": grid.transpose(2, 0, 1)[None] for k, grid in enumerate(tokens.digits)}
    masks = {f"sent_{k}": mask[None, None].astype(np.uint8) for k, mask in enumerate(tokens.masks)}
    return {"packed": pack(rgb)} | digits | masks


def _nearness(reference: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, float | None]:
    off = reference["packed"].astype(np.float64) - found["packed"]
    mse = float(np.square(off).mean())
    digits = [name for name in reference if name.startswith("digits_")]
    equal = sum(int((reference[name] == found[name]).all(1).sum()) for name in digits)
    tokens = sum(reference[name][:, 0].size for name in digits)
    return {
        "decibels": None if mse == 0 else 10 * float(np.log10(255**2 / mse)),
        "largest_difference": int(np.abs(off).max()), "tokens_equal": equal / tokens,
    }  # fmt: skip


def opened(name: str, work: str) -> Any:
    """A function of a network's name and its inputs, which gives the packed picture, or the digits."""
    backend, precision = name.split()
    folder = open_model().folder
    if name == "onnx 8-bit":
        return _EightBit(Path(work))
    from ltokc.tokenizer.runtime import open_runtime

    runtime = open_runtime(folder, backend, "cpu", 1, "exact" if precision == "fp32" else "auto")

    def run(network: str, given: dict[str, np.ndarray]) -> Any:
        masks = [given[f"sent_{k}"] for k in range(_levels(given))]
        if network == "tokenizer":
            return runtime.tokenize(given["packed"], masks)
        return runtime.detokenize([given[f"digits_{k}"] for k in range(len(masks))], masks)

    if name != "torch bf16":
        return run

    def in_bf16(network: str, given: dict[str, np.ndarray]) -> Any:
        import torch

        with torch.autocast("cpu", torch.bfloat16):
            return run(network, given)

    return in_bf16


def _levels(given: dict[str, np.ndarray]) -> int:
    return sum(name.startswith("sent_") for name in given)


class _EightBit:
    """Graphs that `quantise` made."""

    def __init__(self, work: Path):
        self.work, self.sessions = work, dict[str, Any]()

    def __call__(self, network: str, given: dict[str, np.ndarray]) -> Any:
        from ltokc.ort.sessions import session_options
        from ltokc.ort.silent import ort

        if network not in self.sessions:
            path = str(self.work / f"{network}.8.onnx")
            self.sessions[network] = ort.InferenceSession(path, session_options(1), providers=["CPUExecutionProvider"])
        session = self.sessions[network]
        outputs = ["packed"] if network == "detokenizer" else [f"digits_{k}" for k in range(_levels(given))]
        found = session.run(outputs, _inputs(session, given))
        return found[0] if network == "detokenizer" else found


def _inputs(session: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a graph wants of what is given; a told tokenizer hears that everything is kept."""
    masks = [given[f"sent_{k}"] for k in range(_levels(given))]
    known = given | feeds.of_depth(masks, None)
    return {each.name: known[each.name] for each in session.get_inputs()}


def quantise(model: Model, pictures: list[Image.Image], work: Path) -> None:
    """Writes both networks in 8-bit integers, weights by channel, ranges of activations from pictures."""
    import logging

    import onnx

    from ltokc.ort.sessions import session_options
    from ltokc.ort.silent import ort

    quantization: Any = import_module(f"{ort.__name__}.quantization")  # a part of the runtime, silent by now

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, session: Any):
            self.left = iter([_inputs(session, _given(model, np.asarray(each))) for each in pictures])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    logging.getLogger().setLevel(logging.ERROR)
    for network in ("tokenizer", "detokenizer"):
        whole, plain = work / f"{network}.whole.onnx", work / f"{network}.plain.onnx"
        whole.write_bytes(with_weights((model.folder / f"{network}.onnx").read_bytes(), model.folder))
        options = session_options(1)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # casts of weights are done
        options.optimized_model_filepath = str(plain)
        session = ort.InferenceSession(str(whole), options, providers=["CPUExecutionProvider"])
        onnx.checker.check_model(str(plain))
        quantization.quantize_static(
            plain, work / f"{network}.8.onnx", Reader(session), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "Relu", "Add", "Mul", "Concat", "DepthToSpace"],
        )  # fmt: skip

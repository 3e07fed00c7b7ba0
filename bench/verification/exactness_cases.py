"""Thousands of small files, each decoded by everything that can compute the prior: counts and tokens must be the same.

The files are made once: pieces of the example photographs at random sizes and qualities, some with depth maps or in
segments; and tokens that the prior itself draws from random bytes, which go where no photograph does.  Then every way
(`WAYS`) is a process of its own that decodes all of them, or a share, under its environment: instruction sets, number
of threads, runtimes, batch and block sizes.  What a way computed is one hash a file over all counts and tokens.

Which tokens an encoder chooses is not compared: its networks are of floats.  What a stream means is.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.record import model_name, write_report
from bench.verification.exactness_files import make_files
from ltokc.errors import LtokcError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Way:
    """How to compute: `network` of the prior, environment of the process, 1 / `part` of the files."""

    network: str = "numpy"
    environment: dict[str, str] = field(default_factory=dict)
    part: int = 1
    options: dict[str, Any] = field(default_factory=dict)


def _openblas(core: str) -> dict[str, str]:
    return {"OPENBLAS_CORETYPE": core}


WAYS = {
    "numpy": Way(),
    "numpy, SSE3 BLAS": Way(environment=_openblas("Prescott")),
    "numpy, AVX BLAS": Way(environment=_openblas("Sandybridge"), part=4),
    "numpy, AVX2 BLAS": Way(environment=_openblas("Haswell")),
    "numpy, AVX-512 BLAS": Way(environment=_openblas("SkylakeX"), part=4),
    "numpy without AVX": Way(environment=_openblas("Prescott") | {"NPY_DISABLE_CPU_FEATURES": "detected"}),
    "numpy, 2 threads": Way(environment={"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}, part=4),
    "numpy, in blocks of 5 rows": Way(options={"block": 5}, part=4),
    "numpy, among other rows": Way(options={"beside": 3}, part=4),
    "range coder in Python": Way(options={"backend": "python"}, part=2),
    "int64": Way("int64", part=4),
    "onnxruntime": Way("onnx", {"OMP_NUM_THREADS": "1"}),
    "onnxruntime, 2 threads": Way("onnx", part=10, options={"threads": 2}),
    "torch": Way("torch", part=2),
    "torch, SSE4.2": Way(
        "torch",
        {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        part=5,
    ),
    "torch, AVX2": Way(
        "torch",
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        part=10,
    ),
    "torch, 2 threads": Way("torch", {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}, part=10),
    "torch, batch of 3": Way("torch", options={"batch": 3}, part=10),
    "torch, CUDA": Way("torch", options={"device": "cuda"}),
}


class Recorder:
    """Stands in for a prior and hashes all counts that it gives."""

    def __init__(self, prior: Any):
        self.prior, self.levels, self.digest = prior, prior.levels, hashlib.sha256()

    def state(self, rows: int, columns: int) -> Any:
        outer, state = self, self.prior.state(rows, columns)
        plain: Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]] = state.passes

        def passes(digits: np.ndarray, sent: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for positions, counts in plain(digits, sent):
                for array in (positions, counts):
                    outer.digest.update(np.ascontiguousarray(array, np.int64).tobytes())
                yield positions, counts

        state.passes = passes
        return state


def digest(data: bytes, prior: Any, backend: str = "auto") -> str:
    """64 bits of a hash over the tokens of a file and all counts on the way; or the error that decoding ended in."""
    from ltokc import container
    from ltokc.entropy.segment import read_segment

    ltk, recorder = container.read(data), Recorder(prior)
    boxes = container.segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    for segment, box in zip(ltk.segments, boxes, strict=True):
        try:
            found = read_segment(recorder, segment, box.grid, backend=backend)  # type: ignore[arg-type]
        except (LtokcError, ArithmeticError) as error:
            recorder.digest.update(str(error).encode())
            continue
        for array in (*found.digits, *found.masks):
            recorder.digest.update(array.astype(np.int8).tobytes())
    return recorder.digest.hexdigest()[:16]


def network_of(way: Way, model: Any) -> Any:
    """The prior as this way computes it."""
    from bench.verification import reference_prior
    from ltokc.zoo.model import WEIGHTS

    tensors, options = model.tensors, {k: v for k, v in way.options.items() if k in ("threads", "batch", "device")}
    if way.network == "numpy":
        if {"block", "beside"} & set(way.options):
            _divide(**{k: v for k, v in way.options.items() if k in ("block", "beside")})
        return model.prior
    networks: dict[str, Callable[[], Any]] = {
        "int64": lambda: reference_prior.Int64Network(tensors),
        "onnx": lambda: reference_prior.OnnxNetwork(tensors, **options),
        "torch": lambda: reference_prior.TorchNetwork(tensors, model.folder / WEIGHTS, **options),
    }
    return reference_prior.ReferencePrior(networks[way.network](), tensors, model.levels)


def _divide(block: int = 0, beside: int = 0) -> None:
    """Makes the codec's layers compute so many rows at a time, or with rows of noise in front."""
    from ltokc.entropy.prior_layers import IntegerLayer

    plain = IntegerLayer.__call__

    def divided(self: IntegerLayer, x: Any, low: int, high: int) -> Any:
        if beside:
            noise = np.full((beside, x.shape[1]), 77, np.float32)
            return plain(self, np.concatenate([noise, x]), low, high)[beside:]
        parts = [plain(self, x[i : i + block], low, high) for i in range(0, max(1, len(x)), block)]
        return np.concatenate(parts)

    IntegerLayer.__call__ = divided  # type: ignore[method-assign]


def really() -> dict[str, str]:
    """What computes in this process, as the libraries say: a switch that does nothing proves nothing."""
    found: dict[str, str] = {}
    for path in Path(np.__file__).parent.parent.glob("numpy.libs/*openblas*"):
        library = ctypes.CDLL(str(path))
        for what, result in (("corename", ctypes.c_char_p), ("num_threads", ctypes.c_int)):
            for name in (f"scipy_openblas_get_{what}64_", f"scipy_openblas_get_{what}", f"openblas_get_{what}"):
                if hasattr(library, name):
                    get = getattr(library, name)
                    get.restype = result
                    value = get()
                    found[f"BLAS {what}"] = value.decode() if isinstance(value, bytes) else str(value)
                    break
    umath = np._core._multiarray_umath  # type: ignore[attr-defined]
    found["numpy"] = " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)) or "baseline"
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found["torch"] = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    return found


def go_here(name: str, files: list[bytes], model: str | None) -> dict[str, Any]:
    from ltokc.zoo.model import open_model

    way, opened = WAYS[name], open_model(model)
    prior, start = network_of(way, opened), time.process_time()
    if way.environment.get("OMP_NUM_THREADS") and way.network == "torch":
        sys.modules["torch"].set_num_threads(int(way.environment["OMP_NUM_THREADS"]))
    found = [digest(data, prior, way.options.get("backend", "auto")) for data in files[:: way.part]]
    return {"digests": found, "cpu_seconds": round(time.process_time() - start, 1), "really": really()}


# --- all ways --------------------------------------------------------------------------------------------------------
def unusable(name: str) -> str:
    """Why a way cannot be gone here; empty: it can."""
    from importlib.util import find_spec

    way = WAYS[name]
    module = {"onnx": "onnxruntime", "torch": "torch"}.get(way.network)
    if module and not find_spec(module):
        return f"{module} is not installed"
    if way.options.get("device") == "cuda":
        import torch

        return "" if torch.cuda.is_available() else "no CUDA device"
    return ""


def environment_of(way: Way) -> dict[str, str]:
    settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | way.environment
    if settings.get("NPY_DISABLE_CPU_FEATURES"):
        known = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
        settings["NPY_DISABLE_CPU_FEATURES"] = " ".join(known)
    return settings


def go(name: str, files: Path, model: str | None) -> dict[str, Any]:
    """The way in a process of its own."""
    words = [sys.executable, "-m", "bench.verification.exactness_cases", "--worker", name, "--files", str(files)]
    words += ["--model", model] if model else []
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = os.environ | environment_of(WAYS[name]) | {"PYTHONPATH": paths}
    done = subprocess.run(words, env=settings, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def keep(path: Path, value: Any) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def compare(count: int, seed: int, model: str | None, names: list[str], work: Path | None = None) -> dict[str, Any]:
    """Goes all the ways; the first is what the others are compared with.  `work` keeps what was done between runs."""
    ways: dict[str, dict[str, Any]] = {}
    reference: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (work or Path(temporary)) / f"{count}-{seed}-{model or 'default'}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "files.json"
        if not path.exists():
            keep(path, [data.hex() for data in make_files(count, seed, model)])
        files = [bytes.fromhex(v) for v in json.loads(path.read_text())]
        for name in names:
            if reason := unusable(name):
                ways[name] = {"skipped": reason}
                continue
            kept = folder / f"{name}.json"
            if not kept.exists():
                keep(kept, go(name, path, model))
            found = json.loads(kept.read_text())
            digests = found.pop("digests")
            reference = reference or digests
            wanted = reference[:: WAYS[name].part]
            different = [i for i, pair in enumerate(zip(digests, wanted, strict=True)) if pair[0] != pair[1]]
            ways[name] = {"cases": len(digests), "different": len(different), "first": different[:3], **found,
                          "environment": WAYS[name].environment, "options": WAYS[name].options}  # fmt: skip
            click.echo(f"{name}: {len(digests)} cases, {len(different)} differ", err=True)
    sizes = [len(data) for data in files]
    return {
        "cases": count, "seed": seed, "bytes": sum(sizes), "files_sha256": hashlib.sha256(b"".join(files)).hexdigest(),
        "digests_sha256": hashlib.sha256("".join(reference).encode()).hexdigest(), "ways": ways,
        "ok": not any(way.get("different") for way in ways.values()),
    }  # fmt: skip


@options.command()
@click.option("--cases", type=click.IntRange(min=1), default=10000, show_default=True, help="How many files.")
@options.seed("Another seed, other files.")
@options.model()
@click.option("--way", "names", multiple=True, type=click.Choice(list(WAYS)), help="Only these ways, beside the first.")
@options.work("Keeps what is done, to go on from.")
@options.out(text="JSON with all ways.")
@click.option("--worker", type=click.Choice(list(WAYS)), hidden=True)
@click.option("--files", type=options.FILE, hidden=True)
def main(
    cases: int, seed: int, model: str | None, names: tuple[str, ...], work: Path | None, out: Path | None,
    worker: str | None, files: Path | None,
) -> None:  # fmt: skip
    """Decode the same files in every way there is; exit status 1 when counts or tokens of any differ.

    \b
    Example:
      python -m bench exactness-cases --out exactness-cases.json
    """
    if worker and files:
        click.echo(json.dumps(go_here(worker, [bytes.fromhex(v) for v in json.loads(files.read_text())], model)))
        return
    first = next(iter(WAYS))
    chosen = [first, *(name for name in names if name != first)] if names else list(WAYS)
    report = compare(cases, seed, model, chosen, work)
    if out:
        write_report(model_name(model), report, out)
    gone = [way for way in report["ways"].values() if "cases" in way]
    said = "ok" if report["ok"] else "FAILED"
    click.echo(f"{said}: {cases} files, {len(gone)} ways, {len(chosen) - len(gone)} skipped")
    sys.exit(not report["ok"])


if __name__ == "__main__":
    main()

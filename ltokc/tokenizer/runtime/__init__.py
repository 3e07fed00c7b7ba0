"""The networks behind a few calls, whatever runs them: tokenize(packed, masks) and detokenize(digits, masks).

`packed` is uint8 (1, 48, H/4, W/4); masks are uint8 (1, 1, h, w) and digits int8 (1, d, h, w), one of each per level.
`depth` is float32 (1, 1, h, w), one per level: how many levels each place will keep, which a told tokenizer looks at
(another one does not); None: all of them.
`generate` is the generative decoder's `detokenize`: noise is float32 (1, planes, h, w) at strides 8, 4, 2.
`tokenize_values` gives beside the digits what was rounded to them: float32 (1, d, h, w), one per level.
`digit_gradient` gives a loss's gradient by the digits, float32 (1, d, h, w), zero where none is sent, and None for the
levels that have none (`ltokc.tokenizer.gradient`).  `by_pixels` is called once, with the picture (H, W, 3) float32 of
about [-1, 1], not clamped, and returns the loss's gradient by its values, of the same shape.
All but that one take cuts: the rows and columns of the state, and of the encoder's features, that go on at a change of
stride (`ltokc.tokenizer.windows`).  Masks and digits then have the size of what goes on at their stride.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from ltokc.errors import ModelError, UsageError
from ltokc.threads import runtime_threads

if TYPE_CHECKING:
    import numpy as np

Cuts = dict[str, tuple[tuple[int, int], tuple[int, int]]]  # name -> rows (first, last + 1), columns
ByPixels = Callable[["np.ndarray"], "np.ndarray"]  # a picture (H, W, 3) float32 -> a loss's gradient by its values


def state_cut(stride: int) -> str:
    """Name of the cut of the state that has just come to this stride, doubled in size."""
    return f"state_{stride}"


def feature_cut(stride: int) -> str:
    """Name of the cut of the encoder's features of this stride, where the top-down path takes them."""
    return f"feature_{stride}"


class Runtime(Protocol):
    """What a backend offers; `name` says what really runs, e.g. "onnxruntime 1.32.0 CPUExecutionProvider"."""

    name: str

    def tokenize(
        self,
        packed: np.ndarray,
        masks: Sequence[np.ndarray],
        cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]: ...

    def tokenize_values(
        self,
        packed: np.ndarray,
        masks: Sequence[np.ndarray],
        cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]: ...

    def detokenize(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None = None
    ) -> np.ndarray: ...

    def generate(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
        cuts: Cuts | None = None,
    ) -> np.ndarray: ...  # fmt: skip

    def digit_gradient(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], by_pixels: ByPixels
    ) -> list[np.ndarray | None]: ...

    def prepare(self, *graphs: str) -> None:
        """Opens graphs for whole pictures, one after the other, beside other work; who runs one waits for it.

        graphs: of TOKENIZER, DETOKENIZER and those of `ltokc.tokenizer.gradient`.  Those that it lacks are left out.
        """

    def release(self, done: str | None = None) -> None:
        """Gives memory that large windows took back to the system; the next call takes what it needs anew.

        done: a graph that is not needed for a while: its weights are given back too, and to open it again takes time.
        """


TOKENIZER, DETOKENIZER = "tokenizer", "detokenizer"  # graphs of a model
BACKENDS = ("auto", "onnx", "openvino", "torch")
PRECISIONS = ("auto", "exact")


def open_runtime(
    folder: Path, backend: str = "auto", device: str = "auto", threads: int | None = None, precision: str = "auto",
    digests: Mapping[str, str] = MappingProxyType({}),
) -> Runtime:  # fmt: skip
    """Opens the model in `folder`.  ModelError if the wanted backend or device is not installed.

    backend: "auto" decides by the machine alone: OpenVINO where it is installed, the processor multiplies bf16 and no
    GPU is used, else ONNX Runtime, else torch. precision: "exact" is fp32; "auto" lets OpenVINO, and torch for
    gradients, take bf16 where the processor has it, and OpenVINO and ONNX Runtime 8-bit integers. threads: for the
    CPU; None: as of `ltokc.threads.runtime_threads`. digests: SHA-256 of files in the folder that were compared, in
    hexadecimal: these need not be read for that again.
    """
    threads = runtime_threads() if threads is None else threads
    if backend not in BACKENDS or device not in ("auto", "cpu", "cuda") or precision not in PRECISIONS:
        raise UsageError(f"unknown backend, device or precision: {backend}, {device}, {precision}")
    if backend == "auto":
        backend = _chosen(device)
    if backend == "openvino":
        if device == "cuda":
            raise UsageError('OpenVINO runs on the CPU here: choose another backend for device="cuda"')
        if not find_spec("openvino"):
            raise ModelError("OpenVINO is not installed: pip install 'ltokc[fast]'")
        from ltokc.tokenizer.runtime.openvino import OpenVinoRuntime

        return OpenVinoRuntime(folder, precision, threads, digests)
    if backend == "onnx":
        if not find_spec("onnxruntime"):
            raise ModelError("ONNX Runtime is not installed: pip install 'ltokc[cpu]' or 'ltokc[gpu]'")
        from ltokc.tokenizer.runtime.onnx import OnnxRuntime

        return OnnxRuntime(folder, device, threads, precision)
    if not find_spec("torch"):
        if find_spec("onnxruntime"):
            raise ModelError("torch is not installed: pip install torch, or leave the backend to be chosen")
        raise ModelError("no runtime is installed: pip install 'ltokc[cpu]' (or 'ltokc[gpu]', or torch)")
    from ltokc.tokenizer.runtime.torch import TorchRuntime

    return TorchRuntime(folder, device, threads, precision)


def runtime_name(backend: str = "auto", device: str = "auto", precision: str = "auto") -> str:
    """What `open_runtime` opens on this machine; opens nothing, and does not look whether it could.

    "onnx", "onnx f32" (if asked), "torch", "openvino bf16" or "openvino f32"; ", cuda" if asked.
    """
    name = _chosen(device) if backend == "auto" else backend
    if name == "openvino" and find_spec("openvino"):
        from ltokc.tokenizer.runtime.openvino import chosen_precision

        name = f"openvino {chosen_precision(precision)}"
    if name == "onnx" and precision == "exact":
        name = "onnx f32"
    return f"{name}, cuda" if device == "cuda" else name


def _chosen(device: str) -> str:
    if device != "cuda" and find_spec("openvino") and not (device == "auto" and _has_onnxruntime_gpu()):
        from ltokc.tokenizer.runtime.openvino import multiplies_bf16

        if multiplies_bf16():
            return "openvino"
    return "onnx" if find_spec("onnxruntime") else "torch"


def _has_onnxruntime_gpu() -> bool:
    """Whether it is installed: by the names beside the package, since the module for that takes 15 ms to load."""
    found = find_spec("onnxruntime")
    places = found.submodule_search_locations if found else None
    return any(next(Path(place).parent.glob("onnxruntime_gpu-*.dist-info"), None) for place in places or ())

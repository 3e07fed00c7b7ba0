"""The networks on ONNX Runtime, CPU or CUDA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ltokc.errors import ModelError


class OnnxRuntime:
    """Sessions are made on first use: decoding never loads the tokenizer."""

    def __init__(self, folder: Path, device: str = "auto", threads: int | None = None):
        warn_if_both()
        available = ort.get_available_providers()
        if device == "cuda" and "CUDAExecutionProvider" not in available:
            raise ModelError("this ONNX Runtime has no CUDA: pip uninstall onnxruntime, then pip install 'ltokc[gpu]'")
        cuda = device != "cpu" and "CUDAExecutionProvider" in available
        # TF32 would make the pixels of a GPU differ more than need be
        self.providers: list = [("CUDAExecutionProvider", {"use_tf32": "0"})] if cuda else []
        self.providers.append("CPUExecutionProvider")
        self.folder, self.threads = folder, threads
        self.sessions: dict[str, ort.InferenceSession] = {}
        self.name = f"onnxruntime {ort.__version__} {'CUDA' if cuda else 'CPU'}ExecutionProvider"

    def session(self, name: str) -> ort.InferenceSession:
        if name not in self.sessions:
            options = ort.SessionOptions()
            options.log_severity_level = 3
            if self.threads:
                options.intra_op_num_threads = self.threads
            try:
                session = ort.InferenceSession(str(self.folder / f"{name}.onnx"), options, providers=self.providers)
            except Exception as error:  # ONNX Runtime raises a family of its own
                raise ModelError(f"cannot load {name}.onnx: {str(error).splitlines()[0]}") from error
            self.name = f"onnxruntime {ort.__version__} {session.get_providers()[0]}"
            self.sessions[name] = session
        return self.sessions[name]

    def tokenize(self, packed: np.ndarray, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
        feeds = {"packed": packed, **{f"sent_{k}": m for k, m in enumerate(masks)}}
        return self.session("tokenizer").run(None, feeds)

    def detokenize(self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
        feeds = {f"sent_{k}": m for k, m in enumerate(masks)} | {f"digits_{k}": d for k, d in enumerate(digits)}
        return self.session("detokenizer").run(None, feeds)[0]


def warn_if_both() -> None:
    """onnxruntime and onnxruntime-gpu overwrite each other's files."""
    found = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    if len(found) == 2:
        warnings.warn(f"{' and '.join(found)} are both installed and overwrite each other: keep one", stacklevel=3)

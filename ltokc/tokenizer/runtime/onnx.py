"""The networks on ONNX Runtime, CPU or CUDA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ltokc.errors import ModelError
from ltokc.tokenizer.generative import PLANES
from ltokc.tokenizer.runtime import Cuts, state_cut
from ltokc.tokenizer.runtime.onnx_cuts import with_cuts
from ltokc.tokenizer.runtime.silent_ort import ort

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"  # of a graph that comes from memory


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

    def session(self, name: str, cuts: Cuts | None = None) -> ort.InferenceSession:
        """The session of a graph, or of the same graph with cuts; those that it has are named by `cuts`."""
        key = name if cuts is None else f"{name} in windows"
        if key not in self.sessions:
            options = ort.SessionOptions()
            options.log_severity_level = 3
            if self.threads:
                options.intra_op_num_threads = self.threads
            path = self.folder / f"{name}.onnx"
            source: str | bytes = str(path)
            try:
                if cuts is not None:
                    options.add_session_config_entry(WEIGHTS_FOLDER, str(self.folder))
                    strides = [int(cut.removeprefix("state_")) for cut in cuts if cut.startswith("state_")]
                    source = with_cuts(path.read_bytes(), strides, features=name == "tokenizer")
                session = ort.InferenceSession(source, options, providers=self.providers)
            except ModelError:
                raise
            except Exception as error:  # ONNX Runtime raises a family of its own
                raise ModelError(f"cannot load {name}.onnx: {str(error).splitlines()[0]}") from error
            self.name = f"onnxruntime {ort.__version__} {session.get_providers()[0]}"
            self.sessions[key] = session
        return self.sessions[key]

    def tokenize(
        self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        feeds = {"packed": packed, **{f"sent_{k}": m for k, m in enumerate(masks)}, **_ends(cuts)}
        session = self.session("tokenizer", cuts)
        if any(each.name == "depth_0" for each in session.get_inputs()):
            everything = np.float32(len(masks))
            depth = depth or [np.full(mask.shape, everything) for mask in masks]
            feeds |= {f"depth_{k}": d for k, d in enumerate(depth)}
        return session.run(None, feeds)

    def detokenize(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None = None
    ) -> np.ndarray:
        feeds = {f"sent_{k}": m for k, m in enumerate(masks)} | {f"digits_{k}": d for k, d in enumerate(digits)}
        return self.session("detokenizer", cuts).run(None, feeds | _ends(cuts))[0]

    def generate(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
        cuts: Cuts | None = None,
    ) -> np.ndarray:  # fmt: skip
        feeds = {f"sent_{k}": m for k, m in enumerate(masks)} | {f"digits_{k}": d for k, d in enumerate(digits)}
        feeds |= {f"noise_{stride}": part for stride, part in zip(PLANES, noise, strict=True)}
        feeds["detail"] = np.array(detail, np.float32)
        return self.session("generative").run(None, feeds | _ends(cuts or _uncut(noise)))[0]


def _uncut(noise: Sequence[np.ndarray]) -> Cuts:
    """Cuts that leave everything, which the graph of the generative decoder always asks for."""
    height, width = noise[0].shape[2:]
    return {state_cut(stride): ((0, height * 8 // stride), (0, width * 8 // stride)) for stride in (32, 16, 8, 4)}


def _ends(cuts: Cuts | None) -> dict[str, np.ndarray]:
    """Cuts as inputs of the graph: `<name>_from` and `<name>_to`, int64 (2,)."""
    feeds = {}
    for name, (rows, columns) in (cuts or {}).items():
        feeds[f"{name}_from"], feeds[f"{name}_to"] = np.array(list(zip(rows, columns, strict=True)), np.int64)
    return feeds


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

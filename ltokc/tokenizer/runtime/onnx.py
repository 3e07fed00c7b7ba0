"""The networks on ONNX Runtime, CPU or CUDA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ltokc.errors import ModelError
from ltokc.ort.integers import multiplies_exactly
from ltokc.ort.sessions import empty_pool, session_options
from ltokc.ort.silent import ort
from ltokc.tokenizer.eight_bit import file_of
from ltokc.tokenizer.gradient import BACKWARD_8
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER, Cuts, feeds
from ltokc.tokenizer.runtime.graphs import GraphRuntime, OpenedOnce, key_of
from ltokc.tokenizer.runtime.onnx_cuts import with_cuts

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"  # of a graph that comes from memory


class OnnxRuntime(GraphRuntime):
    """Sessions are made on first use: decoding never loads the tokenizer."""

    def __init__(self, folder: Path, device: str = "auto", threads: int | None = None, precision: str = "auto"):
        warn_if_both()
        available = ort.get_available_providers()
        if device == "cuda" and "CUDAExecutionProvider" not in available:
            raise ModelError("this ONNX Runtime has no CUDA: pip uninstall onnxruntime, then pip install 'ltokc[gpu]'")
        cuda = device != "cpu" and "CUDAExecutionProvider" in available
        # TF32 would make the pixels of a GPU differ more than need be
        self.providers: list = [("CUDAExecutionProvider", {"use_tf32": "0"})] if cuda else []
        self.providers.append("CPUExecutionProvider")
        self.folder, self.threads = folder, threads
        self.fast = precision == "auto" and not cuda
        self.opened: OpenedOnce[ort.InferenceSession] = OpenedOnce()
        self.name = f"onnxruntime {ort.__version__} {'CUDA' if cuda else 'CPU'}ExecutionProvider"

    def session(self, name: str, cuts: Cuts | None = None) -> ort.InferenceSession:
        """The session of a graph, or of the same graph with cuts."""
        return self.opened.get(key_of(name, cuts), lambda: self._opened(name, cuts))

    def _open(self, name: str) -> ort.InferenceSession:
        return self.session(name)

    def _opened(self, name: str, cuts: Cuts | None) -> ort.InferenceSession:
        options = session_options(self.threads)
        path = self.folder / file_of(self.folder, name, self.fast and multiplies_exactly())
        source: str | bytes = str(path)
        try:
            if cuts is not None:
                options.add_session_config_entry(WEIGHTS_FOLDER, str(self.folder))
                strides = [int(cut.removeprefix("state_")) for cut in cuts if cut.startswith("state_")]
                source = with_cuts(path.read_bytes(), strides, features=name == TOKENIZER)
            session = ort.InferenceSession(source, options, providers=self.providers)
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime raises a family of its own
            raise ModelError(f"cannot load {path.name}: {str(error).splitlines()[0]}") from error
        self.name = f"onnxruntime {ort.__version__} {session.get_providers()[0]}"
        return session

    def _tokenized(
        self, outputs: Sequence[str], packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None,
        depth: Sequence[np.ndarray] | None,
    ) -> list[np.ndarray]:  # fmt: skip
        session = self.session(TOKENIZER, cuts)
        given = feeds.of_tokenizer(packed, masks, cuts)
        if any(each.name == feeds.DEPTH.format(0) for each in session.get_inputs()):
            given |= feeds.of_depth(masks, depth)
        return session.run(list(outputs), given)

    def detokenize(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None = None
    ) -> np.ndarray:
        return self.session(DETOKENIZER, cuts).run(None, feeds.of_decoder(digits, masks, cuts))[0]

    def generate(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
        cuts: Cuts | None = None,
    ) -> np.ndarray:  # fmt: skip
        return self.session("generative").run(None, feeds.of_generator(digits, masks, noise, detail, cuts))[0]

    def _backward(self) -> str:
        """In 8-bit integers on a processor, where the model has it so, unless everything is to be exact."""
        eight_bit = self.fast and (self.folder / f"{BACKWARD_8}.onnx").exists()
        return BACKWARD_8 if eight_bit else super()._backward()

    def _all(self, name: str, given: feeds.Feeds) -> feeds.Feeds:
        """All outputs of a graph by name.  It takes its inputs out of what is given."""
        session = self.session(name)
        outputs = [each.name for each in session.get_outputs()]
        found = session.run(outputs, {each.name: given[each.name] for each in session.get_inputs()})
        return dict(zip(outputs, found, strict=True))

    def _emptied(self) -> None:
        empty_pool()


def warn_if_both(place: Path = Path(ort.__file__).parents[1]) -> None:
    """onnxruntime and onnxruntime-gpu overwrite each other's files.

    place: the folder of packages.  Its names are read here, since the module for it takes 20 ms to load.
    """
    found = [name for name in ("onnxruntime", "onnxruntime_gpu") if any(place.glob(f"{name}-*.dist-info"))]
    if len(found) == 2:
        said = " and ".join(name.replace("_", "-") for name in found)
        warnings.warn(f"{said} are both installed and overwrite each other: keep one", stacklevel=3)

"""The networks on torch, CPU or CUDA, in float32 from the same weights file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open

from ltokc.errors import ModelError
from ltokc.nn.config import LadderConfig
from ltokc.nn.ladder import Ladder


class TorchRuntime:
    """See `ltokc.runtime.Runtime`."""

    def __init__(self, folder: Path, device: str = "auto", threads: int | None = None):
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("this torch has no CUDA device")
        self.device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        if threads:
            torch.set_num_threads(threads)
        try:
            with safe_open(folder / "model.safetensors", "pt") as f:
                self.net = Ladder(LadderConfig.from_json(f.metadata()["config"]))
                state = {k: f.get_tensor(k).float() for k in f.keys() if not k.startswith("prior.")}  # noqa: SIM118
            del self.net.prior
            self.net.load_state_dict(state)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"cannot load model.safetensors: {str(error).splitlines()[0]}") from error
        self.net = self.net.eval().requires_grad_(False).to(self.device)
        self.name = f"torch {torch.__version__} {self.device}"

    def _tensors(self, arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [torch.from_numpy(np.ascontiguousarray(a)).to(self.device).float() for a in arrays]

    @torch.no_grad()
    def tokenize(self, packed: np.ndarray, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
        x = F.pixel_shuffle(self._tensors([packed])[0], 4) / 127.5 - 1
        return [d.cpu().numpy().astype(np.int8) for d in self.net.tokenize(x, self._tensors(masks))]

    @torch.no_grad()
    def detokenize(self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
        y = self.net.detokenize(self._tensors(digits), self._tensors(masks))
        y = F.pixel_unshuffle(((y + 1) * 127.5).round().clamp(0, 255), 4)
        return y.to(torch.uint8).cpu().numpy()

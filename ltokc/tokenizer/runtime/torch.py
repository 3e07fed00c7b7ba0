"""The networks on torch, CPU or CUDA, in float32 from the same weights file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open

from ltokc.errors import ModelError
from ltokc.tokenizer.generative import WEIGHTS
from ltokc.tokenizer.gradient import first_level
from ltokc.tokenizer.nn.config import STRIDES, LadderConfig
from ltokc.tokenizer.nn.generative import Generator, GeneratorConfig
from ltokc.tokenizer.nn.ladder import Ladder
from ltokc.tokenizer.runtime import ByPixels, Cuts, feature_cut, state_cut


def multiplies_bf16(device: str) -> bool:
    """Whether a device ("cpu", "cuda") has instructions for products of bf16; without them fp32 is faster."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


class TorchRuntime:
    """See `ltokc.tokenizer.runtime.Runtime`.  Gradients are computed in bf16 unless `precision` is "exact"."""

    def __init__(self, folder: Path, device: str = "auto", threads: int | None = None, precision: str = "auto"):
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("this torch has no CUDA device")
        self.device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        if threads:
            torch.set_num_threads(threads)
        self.folder = folder
        try:
            with safe_open(folder / "model.safetensors", "pt") as f:
                self.net = Ladder(LadderConfig.from_json(f.metadata()["config"]))
                state = {k: f.get_tensor(k).float() for k in f.keys() if not k.startswith("prior.")}  # noqa: SIM118
            del self.net.prior
            self.net.load_state_dict(state)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"cannot load model.safetensors: {str(error).splitlines()[0]}") from error
        self.net = self.net.eval().requires_grad_(False).to(self.device)
        self.bf16 = precision == "auto" and multiplies_bf16(self.device)
        self.name = f"torch {torch.__version__} {self.device}"

    def _tensors(self, arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [torch.from_numpy(np.ascontiguousarray(a)).to(self.device).float() for a in arrays]

    def tokenize(
        self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        return self.tokenize_values(packed, masks, cuts, depth)[0]

    @torch.no_grad()
    def tokenize_values(
        self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: Cuts | None = None,
        depth: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:  # fmt: skip
        cuts = cuts or {}
        x = F.pixel_shuffle(self._tensors([packed])[0], 4) / 127.5 - 1
        net, sent, told = self.net, self._tensors(masks), self._tensors(depth) if depth else [None] * len(masks)
        features = [_cut(f, cuts.get(feature_cut(stride))) for f, stride in zip(net.features(x), STRIDES, strict=True)]
        out, values, state = [], [], net.start(1, *features[-1].shape[-2:])
        s = len(STRIDES) - 1
        with self._cutting(cuts):
            for k, level in enumerate(net.config.levels):
                target = STRIDES.index(level.stride)
                state, s = net.descend(state, s, target), target
                bounded, rounded = net.query(k, state, features, told[k])
                digits = rounded * sent[k]
                out.append(digits.cpu().numpy().astype(np.int8))
                values.append(bounded.cpu().numpy())
                state = net.absorb(k, state, digits / ((level.size - 1) / 2), sent[k])
        return out, values

    @torch.no_grad()
    def detokenize(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: Cuts | None = None
    ) -> np.ndarray:
        with self._cutting(cuts or {}):
            y = self.net.detokenize(self._tensors(digits), self._tensors(masks))
        return _to_bytes(y)

    @cached_property
    def generator(self) -> Generator:
        """Loaded when the first generative decode asks for it.  Raises ModelError."""
        try:
            with safe_open(self.folder / WEIGHTS, "pt") as f:
                net = Generator(GeneratorConfig.from_json(f.metadata()["config"]))
                net.load_state_dict({k: f.get_tensor(k).float() for k in f.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"cannot load {WEIGHTS}: {str(error).splitlines()[0]}") from error
        return net.eval().requires_grad_(False).to(self.device)

    @torch.no_grad()
    def generate(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], noise: Sequence[np.ndarray], detail: float,
        cuts: Cuts | None = None,
    ) -> np.ndarray:  # fmt: skip
        cuts = cuts or {}
        with self._cutting(cuts):
            f8, f4 = self.net.decoded_features(self._tensors(digits), self._tensors(masks))
        noise8, noise4, noise2 = self._tensors(noise)
        x = _cut(self.generator.at_stride_8(f8, noise8), cuts.get(state_cut(4)))
        y = self.net.picture_of(f4).clamp(-1, 1) + detail * self.generator.at_stride_4(x, f4, noise4, noise2)
        return _to_bytes(y)

    def digit_gradient(
        self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], by_pixels: ByPixels
    ) -> list[np.ndarray | None]:
        values, first = self._tensors(digits), first_level(self.net.config.levels)
        for value in values[first:]:
            value.requires_grad_(True)
        with torch.enable_grad(), torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            picture = self.net.picture(values, self._tensors(masks))
        by_picture = by_pixels(picture.detach()[0].permute(1, 2, 0).contiguous().cpu().numpy())
        picture.backward(torch.from_numpy(np.ascontiguousarray(by_picture)).to(picture).permute(2, 0, 1)[None])
        return [None if value.grad is None else value.grad.cpu().numpy() for value in values]

    def prepare(self, *graphs: str) -> None:
        """All is there already."""

    def release(self, done: str | None = None) -> None:
        if self.device == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _cutting(self, cuts: Cuts) -> Iterator[None]:
        """Cuts the state before the blocks (`pre`) that follow each doubling."""
        hooks = [
            blocks.register_forward_pre_hook(partial(_cut_input, cuts.get(state_cut(stride))))
            for blocks, stride in zip(self.net.pre, STRIDES, strict=False)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _to_bytes(y: torch.Tensor) -> np.ndarray:
    """Pixels (1, 3, H, W) around [-1, 1] to uint8 (1, 48, H/4, W/4)."""
    y = F.pixel_unshuffle(((y + 1) * 127.5).round().clamp(0, 255), 4)
    return y.to(torch.uint8).cpu().numpy()


Place = tuple[tuple[int, int], tuple[int, int]]


def _cut(x: torch.Tensor, place: Place | None) -> torch.Tensor:
    return x if place is None else x[..., slice(*place[0]), slice(*place[1])]


def _cut_input(place: Place | None, blocks: torch.nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
    return _cut(inputs[0], place)

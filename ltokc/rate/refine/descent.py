"""One window's digits by gradient descent: the torch side of `ltokc.rate.refine.search`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ltokc.losses.ssim import structural_loss
from ltokc.losses.ssimulacra2 import Original, distance
from ltokc.metrics.look import MSE_WEIGHT, STRUCTURE_WEIGHT
from ltokc.rate.refine.optimizer import DampedRMSprop
from ltokc.rate.refine.schedule import Schedule
from ltokc.rate.refine.window import Window
from ltokc.threads import runtime_threads
from ltokc.token_grid import cells_at
from ltokc.tokenizer.nn.config import CELL, STRIDES
from ltokc.tokenizer.nn.ladder import at_stride
from ltokc.tokenizer.nn.packed import load_packed
from ltokc.tokenizer.runtime.torch import multiplies_bf16
from ltokc.zoo.model import WEIGHTS


class Descent:
    """A model's networks, frozen, on a device ("auto", "cpu", "cuda")."""

    def __init__(self, folder: Path, device: str = "auto"):
        if (count := runtime_threads()) is not None:
            torch.set_num_threads(count)
        self.device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self.net = load_packed(folder / WEIGHTS).to(self.device, memory_format=torch.channels_last)
        self.bf16 = multiplies_bf16(self.device)  # a quarter faster, and the digits are as good
        self.levels = self.net.config.levels

    def run(self, window: Window, schedule: Schedule, rate: float, advance: Callable[[], None]) -> list[np.ndarray]:
        """Digits int8 of the window's shapes; rate: what a bit per pixel weighs; advance: called after every step."""
        rgb, digits, masks, core, counted = window.rgb, window.digits, window.masks, window.core, window.counted
        symbols = [torch.from_numpy(d.astype(np.float32)).permute(2, 0, 1)[None].to(self.device) for d in digits]
        sent = [torch.from_numpy(m.astype(np.float32))[None, None].to(self.device) for m in masks]
        free = [(self._cells(core, k) * m > 0).expand_as(s) for k, (m, s) in enumerate(zip(sent, symbols, strict=True))]
        rows, columns = (slice(a * CELL, b * CELL) for a, b in counted)
        x = torch.from_numpy(np.ascontiguousarray(rgb)).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        used = np.zeros(core.shape, bool)
        used[slice(*counted[0]), slice(*counted[1])] = True
        bits_of = [self._cells(used, k) * m for k, m in enumerate(sent)]
        values = self._values(x, symbols, sent)
        active = [k for k in range(len(values)) if bool(free[k].any())]
        if not active:
            return [np.array(d) for d in digits]
        depth = 1 + max(k for k, m in enumerate(sent) if bool(m.any()))
        wanted = x[:, :, rows, columns]
        original, pixels = Original.of(wanted), wanted.shape[2] * wanted.shape[3]
        for k in active:
            values[k].requires_grad_(True)
        optimizer = DampedRMSprop([values[k] for k in active], [free[k] for k in active])
        for step in range(schedule.steps):
            held = [torch.where(f, v, s) for f, v, s in zip(free, values, symbols, strict=True)]
            share = schedule.rounded(step)
            chosen = [h + share * (self._rounded(h, k) - h).detach() for k, h in enumerate(held)]
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
                whole = self.net.picture(chosen, sent)
            shown = whole[:, :, : x.shape[2], : x.shape[3]][:, :, rows, columns]
            told = self.net.prior([c * m for c, m in zip(chosen[:depth], sent[:depth], strict=True)], sent[:depth])
            bits = self.net.bits(held[:depth], told, bits_of[:depth])
            squared = ((shown - wanted) ** 2).mean() * 127.5**2
            look = distance(original.error(shown)).mean() + STRUCTURE_WEIGHT * structural_loss(shown, wanted).mean()
            (look + MSE_WEIGHT * squared + rate * bits.sum() / pixels).backward()
            optimizer.step(schedule.at(step))
            with torch.no_grad():
                for k in active:
                    bound = (self.levels[k].size - 1) / 2 + 0.49
                    values[k].clamp_(-bound, bound)
            advance()
        with torch.no_grad():
            kinds = enumerate(zip(free, values, symbols, strict=True))
            found = [torch.where(f, self._rounded(v, k), s) for k, (f, v, s) in kinds]
        return [f[0].permute(1, 2, 0).cpu().numpy().astype(np.int8) for f in found]

    def _cells(self, cells: np.ndarray, k: int) -> torch.Tensor:
        """A map of cells at the positions of level k: (1, 1, h, w) float."""
        grid = cells_at(cells, self.levels[k]).astype(np.float32)
        return torch.from_numpy(grid)[None, None].to(self.device)

    def _rounded(self, values: torch.Tensor, k: int) -> torch.Tensor:
        half = (self.levels[k].size - 1) / 2
        return values.detach().round().clamp(-half, half)

    @torch.no_grad()
    def _values(
        self, x: torch.Tensor, symbols: Sequence[torch.Tensor], sent: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """What the tokenizer rounds, where that gives the digits at hand; elsewhere the digits themselves."""
        height, width = (n * self.levels[0].stride for n in symbols[0].shape[-2:])
        x = torch.nn.functional.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), "replicate")
        features, out, stride = self.net.features(x), [], len(STRIDES) - 1
        state = self.net.start(1, *features[-1].shape[-2:])
        kept = sum(torch.nn.functional.avg_pool2d(m, CELL // v.stride) for m, v in zip(sent, self.levels, strict=True))
        for k, level in enumerate(self.levels):
            s = STRIDES.index(level.stride)
            state, stride = self.net.descend(state, stride, s), s
            bounded, rounded = self.net.query(k, state, features, at_stride(kept, level.stride))
            out.append(torch.where(rounded == symbols[k], bounded, symbols[k]).contiguous())
            state = self.net.absorb(k, state, symbols[k] / ((level.size - 1) / 2), sent[k])
        return out

"""The networks that bench.design.ablate compares: one choice of the design in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

from bench.design.latents_1d import Latents
from ltokc.entropy.number_formats import PriorConfig
from ltokc.tokenizer.nn.blocks import Block
from ltokc.tokenizer.nn.config import LadderConfig, Level
from ltokc.tokenizer.nn.ladder import Ladder
from ltokc.tokenizer.nn.prior import Prior
from ltokc.train.loop import Trainer
from ltokc.train.recipe import Loss, Recipe

HALF = LadderConfig(
    encoder_channels=(32, 64, 96, 112, 128),
    decoder_channels=(48, 80, 112, 128, 128),
    query_channels=(0, 48, 64, 80, 80),
)
BASE = Recipe(
    batch=16, steps=1250, optimizer="muon", lr=1e-3, muon_lr=3e-3, warmup=100, decay=0.6, ema=0.99, model=HALF
)


@dataclass(frozen=True)
class Variant:
    """`what` differs from the base: the recipe's fields, the network's parts, the way lengths are drawn, the time."""

    what: str
    fields: dict[str, Any]
    change: Callable[[Ladder], None] | None = None
    trainer: type[SmallTrainer] | None = None
    tiles: bool = False
    length: float = 1.0  # of the run, times that of the others


class SmallTrainer(Trainer):
    """A Trainer of half-size networks; `change` puts other parts in before anything is trained."""

    change: Callable[[Ladder], None] | None = None

    def network(self) -> Ladder:
        net = Ladder(self.recipe.model)
        net.prior = Prior(self.recipe.model, PriorConfig(channels=64, inner=32, hidden=64))
        if self.change:
            self.change(net)
        return net


class LatentsTrainer(SmallTrainer):
    def network(self) -> Ladder:
        return Latents(self.recipe.model)  # type: ignore[return-value]


class CrossLengthTrainer(SmallTrainer):
    """Half the crops, every one at full and at a random length in the same step (NesTok's cross-length training)."""

    def losses(self, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        few = x[: len(x) // 2]
        lengths = torch.cat([torch.full_like(keep[: len(few)], len(self.recipe.model.levels)), keep[: len(few)]])
        return super().losses(torch.cat([few, few]).contiguous(memory_format=torch.channels_last), lengths)


class Depthwise(nn.Module):
    """As Block, its 3x3 convolution channel by channel at full width."""

    def __init__(self, channels: int):
        super().__init__()
        self.a, self.c = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.b = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        with torch.no_grad():
            self.c.weight.mul_(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.c(F.relu(self.b(F.relu(self.a(x)))))


class Attending(nn.Module):
    """A block, then attention among all places of the grid."""

    def __init__(self, block: Block):
        super().__init__()
        channels = block.c.out_channels
        self.block, self.norm = block, nn.GroupNorm(1, channels)
        self.attention = nn.MultiheadAttention(channels, channels // 32, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block(x)
        flat = self.norm(x).flatten(2).mT
        return x + self.attention(flat, flat, flat, need_weights=False)[0].mT.unflatten(2, x.shape[2:])


def _exchange(net: nn.Module, new: Callable[[Block], nn.Module], where: str = "") -> None:
    for name, module in list(net.named_modules()):
        for child, block in list(module.named_children()):
            if isinstance(block, Block) and f"{name}.{child}".startswith(where):
                setattr(module, child, new(block))


def _depthwise(net: Ladder) -> None:
    _exchange(net, lambda block: Depthwise(block.c.out_channels))


def _attention(net: Ladder) -> None:
    coarse = [k for k, level in enumerate(net.config.levels) if level.stride >= 32]
    for where in (*(f"levels.{k}.block" for k in coarse), "pre.3"):
        _exchange(net, Attending, where)


def _levels(*groups: tuple[int, int, int, int]) -> LadderConfig:
    """(stride, digits, size, how many) -> the half-size network with these levels."""
    return replace(HALF, levels=tuple(Level(s, d, z) for s, d, z, n in groups for _ in range(n)))


def _loss(**fields: Any) -> dict[str, Any]:
    return {"loss": replace(Loss(), **fields)}


STEEP = (8.0, 6.0, 4.5, 3.2, 2.3, 1.7, 1.2, 0.9, 0.67, 0.48, 0.35)
STEEPER = tuple(2 * rate for rate in STEEP)
TAPERED = (16.0, 12.0, 9.0, 6.4, 4.6, 3.4, 2.2, 1.4, 0.85, 0.5, 0.3)
FEW = (0.8, 0.8, 0.8, 0.75, 0.6, 0.3)
VARIANTS: dict[str, Variant] = {
    "base": Variant("the first model's recipe with half its channels", {}),
    "again": Variant("the same from another seed: what chance does", {"seed": 1}),
    "half-time": Variant("half as many crops", {}, length=0.5),
    "twice": Variant("twice as many crops", {}, length=2.0),
    "four-times": Variant("four times as many crops", {}, length=4.0),
    "prefix-only": Variant("every crop at one random length", {"full_share": 0.0, "cell_share": 0.0}),
    "full-only": Variant("every crop at full length", {"full_share": 1.0, "cell_share": 0.0}),
    "cross-length": Variant("half the crops, each at full and at a random length", {}, trainer=CrossLengthTrainer),
    "no-cells": Variant("no lengths per cell", {"cell_share": 0.0}),
    "cells": Variant("half of the crops with lengths per cell", {"cell_share": 0.5, "full_share": 0.25}),
    "base-tiles": Variant("base, coded in tiles of 128 as `latents` is", {}, tiles=True),
    "latents": Variant("132 latents for 128x128, tied to no place", {}, trainer=LatentsTrainer, tiles=True),
    "adam": Variant("Adam for all weights", {"optimizer": "adam"}),
    "alive": Variant("centred steps, silent units drawn anew", {"alive": 100}),
    "short-decay": Variant("constant rate, decay over the last 20 %", {"decay": 0.2}),
    "no-texture": Variant("no texture term", _loss(texture=0.0)),
    "texture": Variant("four times the texture term", _loss(texture=0.2)),
    "half-lpips": Variant("half the weight of LPIPS", _loss(lpips=0.5)),
    "steep-rate": Variant("rate weights that follow the slope of what bits bring", _loss(rate=STEEP)),
    "steeper-rate": Variant("twice as heavy", _loss(rate=STEEPER)),
    "tapered-rate": Variant("twice as heavy for coarse levels, about the same for the last three", _loss(rate=TAPERED)),
    "depthwise": Variant("depthwise 3x3 in all blocks", {}, change=_depthwise),
    "attention": Variant("attention at strides 64 and 32", {}, change=_attention),
    "crops-256": Variant("crops of 256, a quarter as many", {"crop": 256, "batch": 4}),
    "few-levels": Variant(
        "6 levels of larger tokens: strides 64 (1), 32 (1), 16 (2), 8 (2)",
        {"model": _levels((64, 8, 7, 1), (32, 10, 7, 1), (16, 9, 5, 2), (8, 8, 5, 1), (8, 16, 5, 1))} | _loss(rate=FEW),
    ),
    "wide-digits": Variant(
        "7 values per digit at strides 16 and 8",
        {"model": _levels((64, 6, 7, 1), (32, 6, 7, 2), (16, 6, 7, 3), (8, 5, 7, 3), (8, 8, 7, 2))},
    ),
}  # fmt: skip


def trainer_of(variant: Variant, steps: int, lpips: Path) -> Trainer:
    """A fresh run of a variant."""
    trainer = variant.trainer or SmallTrainer
    chosen = type(trainer.__name__, (trainer,), {"change": staticmethod(variant.change) if variant.change else None})
    return chosen(replace(BASE, steps=round(steps * variant.length), **variant.fields), lpips)

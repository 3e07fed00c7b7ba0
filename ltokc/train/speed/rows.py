"""The rows: what may make a step faster, switched on and off for a trainer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from ltokc.tokenizer.nn.prior import IntegerConv
from ltokc.train.speed.aligned import align, aligned_conv, unalign
from ltokc.train.speed.integers import AllIntegers
from ltokc.train.speed.trained import Trained
from ltokc.train.update import Update


@dataclass(frozen=True, slots=True)
class Rows:
    """Which are on.

    benchmark: cuDNN times its algorithms; aligned: channels filled up to multiples of 8; integers: the prior's weights
    are quantised together; compiled: SSIM and SSIMULACRA2 as compiled functions; half: LPIPS's distances in bf16;
    together: both pictures in one call of LPIPS's network; update: clipping and the optimisers' steps as a CUDA graph.
    """

    benchmark: bool = False
    aligned: bool = False
    integers: bool = False
    compiled: bool = False
    half: bool = False
    together: bool = False
    update: bool = False

    @classmethod
    def of(cls, names: list[str]) -> Rows:
        """Raises TypeError for a name that none has."""
        return cls(**dict.fromkeys(names, True))

    @property
    def names(self) -> list[str]:
        return [each.name for each in fields(self) if getattr(self, each.name)]

    def with_(self, name: str) -> Rows:
        return replace(self, **{name: True})


def useful(trainer: Trained) -> list[str]:
    """Names of the rows that can matter for a trainer, in the order in which they are tried."""
    names = ["benchmark"] if trainer.on_gpu else []
    names.append("aligned")
    if trainer.recipe.quantised_prior and trainer.recipe.train not in ("finish",):
        names.append("integers")
    if trainer.recipe.train not in ("prior",):
        names.append("compiled")
        names += ["half", "together"] if trainer.recipe.precision == "bf16" else ["together"]
    return [*names, "update"] if trainer.on_gpu else names


def switch(trainer: Trained, rows: Rows) -> None:
    """Switches a trainer's rows to just these.  Graphs that were captured are thrown away."""
    trainer.graph, trainer.rows = None, rows
    apply = trainer.apply
    trainer.apply = Update(trainer.net, apply.optimizers, apply.rates, rows.update, apply.alive)
    trainer.lpips.half, trainer.lpips.together = rows.half, rows.together
    torch.backends.cudnn.benchmark = rows.benchmark
    for net in (trainer.net, trainer.lpips):
        (align if rows.aligned else unalign)(net)
        for module in net.modules():
            if isinstance(module, IntegerConv):
                module.ready = None
                module.convolve = aligned_conv if rows.aligned else None
    trainer.integers = AllIntegers(trainer.net) if rows.integers else None
    trainer.objective.compile(rows.compiled)

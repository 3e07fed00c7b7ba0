"""The rows: what may make a step faster, switched on and off for a trainer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch

from ltokc.tokenizer.nn.prior import IntegerConv
from ltokc.train.speed.aligned import align, aligned_conv, unalign
from ltokc.train.speed.integers import AllIntegers

if TYPE_CHECKING:
    from ltokc.train.loop import Trainer


@dataclass(frozen=True, slots=True)
class Rows:
    """Which are on.

    benchmark: cuDNN times its algorithms; aligned: channels filled up to multiples of 8; integers: the prior's weights
    are quantised together; compiled: SSIM and SSIMULACRA2 as compiled functions.
    """

    benchmark: bool = False
    aligned: bool = False
    integers: bool = False
    compiled: bool = False

    @classmethod
    def of(cls, names: list[str]) -> Rows:
        """Raises TypeError for a name that none has."""
        return cls(**dict.fromkeys(names, True))

    @property
    def names(self) -> list[str]:
        return [each.name for each in fields(self) if getattr(self, each.name)]

    def with_(self, name: str) -> Rows:
        return replace(self, **{name: True})


def useful(trainer: Trainer) -> list[str]:
    """Names of the rows that can matter for a trainer, in the order in which they are tried."""
    names = ["benchmark"] if trainer.on_gpu else []
    names.append("aligned")
    if trainer.recipe.quantised_prior and trainer.recipe.train not in ("finish",):
        names.append("integers")
    if trainer.recipe.train not in ("prior",):
        names.append("compiled")
    return names


def switch(trainer: Trainer, rows: Rows) -> None:
    """Switches a trainer's rows to just these.  A graph that was captured is thrown away."""
    trainer.graph, trainer.rows = None, rows
    torch.backends.cudnn.benchmark = rows.benchmark
    for net in (trainer.net, trainer.lpips):
        (align if rows.aligned else unalign)(net)
        for module in net.modules():
            if isinstance(module, IntegerConv):
                module.ready = None
                module.convolve = aligned_conv if rows.aligned else None
    trainer.integers = AllIntegers(trainer.net) if rows.integers else None
    trainer.objective.compile(rows.compiled)

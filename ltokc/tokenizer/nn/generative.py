"""The generator: a residual that is added to the faithful picture, drawn by seeded noise from the decoder's state.

    picture = clamp(clamp(faithful) + detail * residual(state at stride 8, features at stride 4, noise))

With a gate (`ltokc.tokenizer.nn.gate`) the residual is turned down where it does harm.

It reads two tensors that the faithful decoder has anyway: `f8`, the state behind `final` at stride 8, and `f4`, what
the faithful head reads at stride 4.  Everything is a convolution, so that it runs in windows; how far it sees is
counted from its weights (`ltokc.tokenizer.receptive_field`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from ltokc.tokenizer.generative import PLANES
from ltokc.tokenizer.nn.blocks import blocks
from ltokc.tokenizer.nn.gate import BANDS, Gate, doubled, gated


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Channels and numbers of blocks at strides 8 and 4, and of 3x3 convolutions at stride 2.

    `state8`, `state4`: channels of the faithful decoder's tensors.  `gate`: channels inside the gate, 0: there is none.
    """

    channels8: int = 128
    blocks8: int = 2
    channels4: int = 96
    blocks4: int = 4
    channels2: int = 32
    convolutions2: int = 2
    state8: int = 160
    state4: int = 96
    gate: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> GeneratorConfig:
        """Raises TypeError or ValueError for anything but what `to_json` writes."""
        return cls(**{str(key): int(value) for key, value in json.loads(text).items()})


class Generator(nn.Module):
    """f8 (B, state8, H/8, W/8), f4 (B, state4, H/4, W/4), noise -> residual (B, 3, H, W), in units of [-1, 1] pixels.

    noise: tensors (B, planes, H/stride, W/stride) at strides 8, 4, 2, with as many planes as `PLANES` says.
    """

    followed_by_relu = ("convolutions2.", "gate.context.")
    summed_before_relu = ("up4",)

    def __init__(self, config: GeneratorConfig | None = None):
        super().__init__()
        self.config = c = config or GeneratorConfig()
        planes8, planes4, planes2 = PLANES.values()
        self.in8 = nn.Conv2d(c.state8 + planes8, c.channels8, 1)
        self.blocks8 = blocks(c.channels8, c.blocks8)
        self.up8 = nn.Conv2d(c.channels8, c.channels4 * 4, 1)
        self.in4 = nn.Conv2d(c.state4 + planes4, c.channels4, 1)
        self.blocks4 = blocks(c.channels4, c.blocks4)
        self.up4 = nn.Conv2d(c.channels4, c.channels2 * 4, 1)
        self.in2 = nn.Conv2d(planes2, c.channels2, 1)
        self.convolutions2 = nn.ModuleList(
            nn.Conv2d(c.channels2, c.channels2, 3, padding=1) for _ in range(c.convolutions2)
        )
        self.last = nn.Conv2d(c.channels2, 12, 3, padding=1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()
        self.gate = Gate(c.state8, c.gate) if c.gate else None

    def at_stride_8(self, f8: torch.Tensor, noise8: torch.Tensor) -> torch.Tensor:
        """The part at stride 8, doubled: (B, channels4, H/4, W/4).  Windows are cut behind it.

        With a gate two channels more, its factors.
        """
        x = self.blocks8(self.in8(torch.cat([f8, noise8], 1)))
        x = F.pixel_shuffle(self.up8(F.relu(x)), 2)
        return x if self.gate is None else torch.cat([x, doubled(self.gate(f8))], 1)

    def at_stride_4(
        self, x: torch.Tensor, f4: torch.Tensor, noise4: torch.Tensor, noise2: torch.Tensor
    ) -> torch.Tensor:
        """The parts at strides 4 and 2: the residual (B, 3, H, W)."""
        factors = None
        if self.gate is not None:
            x, factors = x[:, :-BANDS], x[:, -BANDS:]
        x = self.blocks4(x + self.in4(torch.cat([f4, noise4], 1)))
        x = F.relu(F.pixel_shuffle(self.up4(F.relu(x)), 2) + self.in2(noise2))
        for convolution in self.convolutions2:
            x = x + F.relu(convolution(x))
        x = self.last(x)
        return F.pixel_shuffle(x if factors is None else gated(x, doubled(factors)), 2)

    def forward(self, f8: torch.Tensor, f4: torch.Tensor, noise: Sequence[torch.Tensor]) -> torch.Tensor:
        noise8, noise4, noise2 = noise
        return self.at_stride_4(self.at_stride_8(f8, noise8), f4, noise4, noise2)

    def multiplications(self) -> float:
        """Multiplications of one pixel."""
        total = 0.0
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                part = name.split(".")[0]
                stride = {"last": 2, "gate": 8}.get(part) or int(part[-1])
                total += module.weight.numel() / stride**2
        return total


def hidden_weights(net: Generator) -> list[nn.Parameter]:
    """Weights that Muon takes: convolutions, but not the one that writes pixels, the one that reads noise, the gate."""
    return [p for name, p in net.named_parameters() if p.ndim == 4 and not name.startswith(("last", "in2", "gate"))]


@torch.no_grad()
def with_more_detail(net: Generator, gain: float) -> Generator:
    """A copy whose residual has its details inside squares of 2x2 px times 1 + gain, their means as they were.

    The last layer writes such squares, four channels a colour, so that the step is one of its weights.  Squared errors
    make a generator's finest detail too faint; MS-SSIM hardly sees what this adds.
    """
    out = copy.deepcopy(net)
    for p in (out.last.weight, out.last.bias):
        squares = p.reshape(3, 4, -1)
        mean = squares.mean(1, keepdim=True)
        p.copy_((mean + (1 + gain) * (squares - mean)).reshape(p.shape))
    return out


@torch.no_grad()
def with_gain(net: Generator, gain: float) -> Generator:
    """A copy whose residual is `gain` times as large."""
    out = copy.deepcopy(net)
    for p in (out.last.weight, out.last.bias):
        p.mul_(gain)
    return out

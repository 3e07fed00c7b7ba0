"""The integer prior as a torch module for training: `ltokc.entropy.prior` computes the same numbers with numpy.

Every value on the way is an integer times a power of two: activations are multiples of 1/16 in [-127/16, 127/16],
weights int8 times 2**-shift (one shift per output channel), logits multiples of 1/64 nat.  Rounding has a
straight-through gradient, so that the network is trained as what it will be (quantisation-aware training).
`quantised=False` gives the float twin, to measure what the integers cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from ltokc.entropy.number_formats import ACTIVATION_BITS, CLIP, LOGIT_BITS, LOGIT_LIMIT, MAX_SHIFT, PriorConfig
from ltokc.tokenizer.nn.config import LadderConfig

STEP = 2.0**-ACTIVATION_BITS
BIAS_LIMIT = 2**20  # of a bias, in its units


def _straight_through(value: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    return value + (rounded - value).detach()


class RoundToGrid(torch.autograd.Function):
    """Rounds to multiples of 2**-bits within [low, high]; the gradient passes where y lies within.

    One function, since written out it is a dozen passes over memory and half of the prior's time in training.
    """

    @staticmethod
    def forward(ctx, y, low, high, bits):
        ctx.save_for_backward(y)
        ctx.range = low, high
        y = (y.float() * 2**bits).add_(0.5).floor_()
        return y.clamp_(low * 2**bits, high * 2**bits).mul_(2**-bits)

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad.to(y.dtype), y, *ctx.range), None, None, None


Convolution = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]  # input, weight, bias, padding


class IntegerConv(nn.Module):
    """Convolution (1x1 or 3x3, zero padding) with int8 weights, int32 bias, and rounding of its output to `bits`."""

    def __init__(self, ci: int, co: int, kernel: int = 1, gain: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(co, ci, kernel, kernel) * gain * (2 / (ci * kernel**2)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(co))
        self.quantised = True
        self.convolve: Convolution | None = None  # a faster way to the same numbers, None: torch's
        self.ready: tuple[torch.Tensor, torch.Tensor] | None = None  # integers as floats, where they were made before

    def shifts(self) -> torch.Tensor:
        """Shift of every output channel: (co,) float32 of integers 0 to MAX_SHIFT."""
        largest = self.weight.detach().abs().amax((1, 2, 3)).clamp_min(1e-8)
        return torch.floor(torch.log2(CLIP / largest)).clamp(0, MAX_SHIFT)

    def integers(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(weight, bias, shift): integers held in float32; the bias is in units of 2**-(shift + ACTIVATION_BITS)."""
        shift = self.shifts()
        unit = torch.exp2(shift)
        weight = torch.round(self.weight * unit.view(-1, 1, 1, 1)).clamp(-CLIP, CLIP)
        bias = torch.round(self.bias * unit * 2**ACTIVATION_BITS).clamp(-BIAS_LIMIT, BIAS_LIMIT)
        return weight, bias, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight, self.bias
        if self.quantised and self.ready is not None:
            weight, bias = self.ready
        elif self.quantised:
            w, b, shift = self.integers()
            unit = torch.exp2(-shift)
            weight = _straight_through(weight, (w * unit.view(-1, 1, 1, 1)).detach())
            bias = _straight_through(bias, (b * unit * STEP).detach())
        padding = weight.shape[-1] // 2
        if self.convolve is not None:
            return self.convolve(x, weight, bias, padding)
        return F.conv2d(x, weight, bias, padding=padding)

    def rounded(self, y: torch.Tensor, low: float, high: float, bits: int = ACTIVATION_BITS) -> torch.Tensor:
        """Nearest multiple of 2**-bits in [low, high], halves up; the bounds are such multiples."""
        return RoundToGrid.apply(y, low, high, bits) if self.quantised else y.float().clamp(low, high)

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return self.rounded(self(x), 0, CLIP * STEP)

    def signed(self, x: torch.Tensor) -> torch.Tensor:
        return self.rounded(self(x), -CLIP * STEP, CLIP * STEP)


class IntegerBlock(nn.Module):
    """h + bottleneck([h, extra]), saturating."""

    def __init__(self, channels: int, extra: int, inner: int):
        super().__init__()
        self.a = IntegerConv(channels + extra, inner)
        self.b = IntegerConv(inner, inner, 3)
        self.c = IntegerConv(inner, channels, gain=0.3)

    def forward(self, h: torch.Tensor, extra: torch.Tensor | None = None) -> torch.Tensor:
        x = h if extra is None else torch.cat([h, extra], 1)
        r = self.c(self.b.relu(self.a.relu(x)))
        limit = CLIP * STEP
        return (h + self.c.rounded(r, -4 * limit, 4 * limit)).clamp(-limit, limit)


class LevelPrior(nn.Module):
    """Logits of one level's digits in two checkerboard passes, and the update of the state by its tokens."""

    def __init__(self, config: PriorConfig, digits: int, size: int):
        super().__init__()
        token = 2 * digits + 1  # digits, their magnitudes, sent or not
        self.hidden = IntegerConv(config.channels, config.hidden)
        self.hidden_odd = IntegerConv(config.channels + 4 * token, config.hidden)
        self.logits = IntegerConv(config.hidden, digits * size, gain=0.5)
        self.logits_odd = IntegerConv(config.hidden, digits * size, gain=0.5)
        self.absorb = IntegerBlock(config.channels, token, config.inner)


def token_inputs(digits: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
    """Digits (B, d, h, w), mask (B, 1, h, w) -> (B, 2 d + 1, h, w): digits, magnitudes, mask; zero where not sent."""
    return torch.cat([digits * sent, digits.abs() * sent, sent], 1)


def four_neighbours(t: torch.Tensor) -> torch.Tensor:
    """Tokens above, left, right, below, zero outside: (B, c, h, w) -> (B, 4 c, h, w)."""
    p = F.pad(t, (1, 1, 1, 1))
    return torch.cat([p[:, :, :-2, 1:-1], p[:, :, 1:-1, :-2], p[:, :, 1:-1, 2:], p[:, :, 2:, 1:-1]], 1)


class Prior(nn.Module):
    """Log-probabilities of every digit given coarser and earlier levels, and on odd squares the even neighbours."""

    def __init__(self, ladder: LadderConfig, config: PriorConfig | None = None):
        super().__init__()
        self.config = config = config or PriorConfig()
        self.levels_config = ladder.levels
        self.start = nn.Parameter(torch.zeros(config.channels))
        strides = sorted({level.stride for level in ladder.levels}, reverse=True)
        self.up = nn.ModuleList(IntegerConv(config.channels, 4 * config.channels) for _ in strides[1:])
        self.mix = nn.ModuleList(IntegerBlock(config.channels, 0, config.inner) for _ in strides[1:])
        self.levels = nn.ModuleList(LevelPrior(config, level.digits, level.size) for level in ladder.levels)

    def set_quantised(self, quantised: bool) -> None:
        for module in self.modules():
            if isinstance(module, IntegerConv):
                module.quantised = quantised

    def forward(self, digits: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """digits: per level (B, d, h, w), integral floats; masks: (B, 1, h, w), of the first levels or all.

        Returns float32 (B, d, size, h, w) per level.
        """
        batch, _, rows, columns = digits[0].shape
        start = _straight_through(self.start, torch.round(self.start * 16).clamp(-CLIP, CLIP) / 16)
        h = start.view(1, -1, 1, 1).expand(batch, -1, rows, columns)
        stride, out, step = self.levels_config[0].stride, [], 0
        count = len(digits)
        for level, net, z, sent in zip(self.levels_config[:count], self.levels[:count], digits, masks, strict=True):
            while stride > level.stride:
                h = self.mix[step](F.pixel_shuffle(self.up[step].signed(h), 2))
                stride, step = stride // 2, step + 1
            tokens = token_inputs(z, sent)
            even = _even_squares(h)
            logits = net.logits.rounded(net.logits(net.hidden.relu(h)), -LOGIT_LIMIT, LOGIT_LIMIT, LOGIT_BITS)
            seen = torch.cat([h, four_neighbours(tokens * even)], 1)
            odd = net.logits_odd.rounded(
                net.logits_odd(net.hidden_odd.relu(seen)), -LOGIT_LIMIT, LOGIT_LIMIT, LOGIT_BITS
            )
            logits = torch.where(even > 0, logits, odd)
            out.append(F.log_softmax(logits.float().view(batch, level.digits, level.size, *logits.shape[-2:]), 2))
            h = net.absorb(h, tokens)
        return out


def _even_squares(h: torch.Tensor) -> torch.Tensor:
    y = torch.arange(h.shape[-2], device=h.device).view(-1, 1)
    x = torch.arange(h.shape[-1], device=h.device).view(1, -1)
    return ((x + y + 1) % 2).float()[None, None]

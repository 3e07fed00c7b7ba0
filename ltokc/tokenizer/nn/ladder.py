"""The tokenizer: a top-down multi-scale ladder of position-tied tokens (docs/architecture.md, section 1).

A bottom-up encoder makes features at strides 4 to 64.  A top-down state starts at stride 64 from a learned constant;
every level looks at the state and at the encoder's features, emits one token per position (FSQ digits) and adds it back
into the state; the state of stride 8 is finished at stride 4 and becomes pixels.

A token that was not sent (tail token drop, halting) is replaced by a fill that the network predicts from its state,
and a mask channel says so.  Which tokens are sent follows from one number per 64x64 cell, `keep`: level k at a
position of spread rank r (`ltokc.token_order`) is sent if keep - k > (r + 0.5) / 64.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn as nn
import torch.nn.functional as F

from ltokc.token_order import spread_rank
from ltokc.tokenizer.nn.blocks import Block, Down, Up, blocks
from ltokc.tokenizer.nn.config import CELL, STRIDES, LadderConfig
from ltokc.tokenizer.nn.fsq import fsq
from ltokc.tokenizer.nn.prior import Prior
from ltokc.tokenizer.nn.query import Query

# after the last token: may improve without changing the bitstream
PICTURE_ONLY = ("final.", "head.", "up.0.", "pre.0.")
# what chooses digits: another encoder writes files of the same model.  What an encoder adds has one of these names too
ENCODER_ONLY = re.compile(r"(stem|encoder|down|levels\.\d+\.query)\.")


class LevelNet(nn.Module):
    """Networks of one level at a stride with `c` state channels; `query` says its digits."""

    def __init__(self, c: int, digits: int, query: Query):
        super().__init__()
        self.query = query
        self.fill = nn.Conv2d(c, digits, 1)
        self.embed = nn.Conv2d(digits + 1, c, 1)
        self.block = Block(c)


class Ladder(nn.Module):
    """See the module's docstring. Pictures are (B, 3, H, W) in [-1, 1], sRGB, H and W multiples of 64."""

    def __init__(self, config: LadderConfig | None = None):
        super().__init__()
        self.config = config = config or LadderConfig()
        ec, dc, qc = config.encoder_channels, config.decoder_channels, config.query_channels
        self.stem = nn.Conv2d(3 * 16, ec[0], 3, padding=1)
        self.encoder = nn.ModuleList(blocks(c, n) for c, n in zip(ec, config.encoder_blocks, strict=True))
        self.down = nn.ModuleList(Down(a, b) for a, b in zip(ec, ec[1:], strict=False))
        self.top = nn.Parameter(torch.zeros(1, dc[-1], 1, 1))
        self.up = nn.ModuleList(Up(b, a) for a, b in zip(dc, dc[1:], strict=False))
        self.pre = nn.ModuleList(blocks(c, n) for c, n in zip(dc, config.decoder_blocks, strict=False))
        self.levels = nn.ModuleList(
            LevelNet(dc[s], level.digits, Query(dc[s] + ec[s], qc[s], level.digits, len(config.levels), config.told))
            for level in config.levels
            for s in (STRIDES.index(level.stride),)
        )
        self.final = blocks(dc[1], config.final_blocks)
        self.head = nn.Conv2d(dc[0], 3 * 16, 3, padding=1)
        self.prior = Prior(config)

    # -- bottom-up -----------------------------------------------------------------------------------------------
    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Encoder features at strides 4, 8, 16, 32, 64: a list of (B, encoder_channels[i], H / stride, W / stride)."""
        f, out = self.stem(F.pixel_unshuffle(x, 4)), []
        for i, stage in enumerate(self.encoder):
            f = stage(f)
            out.append(f)
            if i < len(self.down):
                f = self.down[i](f)
        return out

    # -- top-down ------------------------------------------------------------------------------------------------
    def start(self, batch: int, rows: int, columns: int) -> torch.Tensor:
        """State at stride 64 before the first level: (B, c, rows, columns)."""
        return self.top.expand(batch, -1, rows, columns)

    def descend(self, state: torch.Tensor, stride_index: int, target: int) -> torch.Tensor:
        while stride_index > target:
            stride_index -= 1
            state = self.pre[stride_index](self.up[stride_index](state))
        return state

    def query(
        self, k: int, state: torch.Tensor, features: Sequence[torch.Tensor], depth: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(bounded, digits) of level k, float32 (B, digits, h, w), centred on 0.

        depth: (B, 1, h, w), levels that each place will keep; None: all.  Only told networks look at it.
        """
        level = self.config.levels[k]
        if self.config.told and depth is None:
            depth = state.new_full((len(state), 1, *state.shape[-2:]), float(len(self.config.levels)))
        u = self.levels[k].query(torch.cat([state, features[STRIDES.index(level.stride)]], 1), depth)
        return fsq(u, level.size)

    def absorb(self, k: int, state: torch.Tensor, z: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
        """Adds level k's digits `z` (B, digits, h, w) in [-1, 1] to the state where `sent` (B, 1, h, w) is 1."""
        net = self.levels[k]
        sent = sent.to(state.dtype)
        z = z.to(state.dtype) * sent + net.fill(state) * (1 - sent)
        return net.block(state + net.embed(torch.cat([z, sent], 1)))

    def pixels(self, state: torch.Tensor, stride_index: int) -> torch.Tensor:
        """Last state to a picture: (B, 3, H, W) float32, about [-1, 1], not clamped."""
        return self.picture_of(self.descend(self.final(state), stride_index, 0))

    def picture_of(self, f4: torch.Tensor) -> torch.Tensor:
        """What the head makes of the features at stride 4: (B, 3, H, W) float32, about [-1, 1], not clamped."""
        return F.pixel_shuffle(self.head(f4), 4).float()

    # -- whole passes --------------------------------------------------------------------------------------------
    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Training pass. keep: (B, 1, H/64, W/64) float, levels kept per cell (a fraction: part of the next level).

        A told network is told just that.

        Returns the picture (B, 3, H, W) float32 and the bits of the sent tokens (B, levels) float32, differentiable:
        straight-through digits, and the rate interpolated between the two symbols that enclose the bounded value.
        """
        features, values, symbols, masks = self.features(x), [], [], []
        stride = len(STRIDES) - 1
        state = self.start(len(x), *features[-1].shape[-2:])
        for k, level in enumerate(self.config.levels):
            s = STRIDES.index(level.stride)
            state, stride = self.descend(state, stride, s), s
            bounded, digits = self.query(k, state, features, at_stride(keep, level.stride))
            values.append(bounded)
            symbols.append(bounded + (digits - bounded).detach())
            masks.append(sent_mask(keep, k, level.stride))
            state = self.absorb(k, state, symbols[k] / ((level.size - 1) / 2), masks[k])
        return self.pixels(state, stride), self.bits(values, self.prior(symbols, masks), masks)

    def bits(
        self, values: Sequence[torch.Tensor], logps: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Bits of the sent tokens, (B, levels), of the first levels or all.

        A value between two symbols costs their weighted mean.
        """
        out = []
        levels = self.config.levels[: len(values)]
        for level, value, logp, sent in zip(levels, values, logps, masks, strict=True):
            at = (value + (level.size - 1) / 2).clamp(0, level.size - 1 - 1e-4)
            low = at.floor().long().unsqueeze(2)
            weight = at - low.squeeze(2)
            nats = logp.gather(2, low).squeeze(2) * (1 - weight) + logp.gather(2, low + 1).squeeze(2) * weight
            out.append(-(nats * sent).sum((1, 2, 3)) / math.log(2))
        return torch.stack(out, 1)

    def walk(
        self, x: torch.Tensor, masks: Sequence[torch.Tensor], depth: Sequence[torch.Tensor | None] | None = None
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Digits of every level as `tokenize` gives them, and the state after the last one, at its stride."""
        features, out = self.features(x), []
        stride = len(STRIDES) - 1
        state = self.start(len(x), *features[-1].shape[-2:])
        for k, level in enumerate(self.config.levels):
            s = STRIDES.index(level.stride)
            state, stride = self.descend(state, stride, s), s
            digits = self.query(k, state, features, None if depth is None else depth[k])[1] * masks[k]
            out.append(digits)
            state = self.absorb(k, state, digits / ((level.size - 1) / 2), masks[k])
        return tuple(out), state

    def tokenize(
        self, x: torch.Tensor, masks: Sequence[torch.Tensor], depth: Sequence[torch.Tensor | None] | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Digits of every level, float32 (B, digits, H/stride, W/stride) centred on 0; positions not sent hold 0.

        masks: per level (B, 1, H/stride, W/stride), 1.0 where the token is sent (`sent_mask`); depth: of the same
        shapes, what a told network is told (`at_stride`); None: that everything is kept.
        """
        return self.walk(x, masks, depth)[0]

    def detokenize(self, digits: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Digits and sent-masks (B, 1, h, w) of every level to a picture (B, 3, H, W) float32 clamped to [-1, 1]."""
        return self.picture(digits, masks).clamp(-1, 1)

    def picture(self, digits: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """The same before it is clamped."""
        return self.picture_of(self.decoded_features(digits, masks)[1])

    def decoded_features(
        self, digits: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The finished state at stride 8, and the features at stride 4 of which the head makes the picture."""
        stride = len(STRIDES) - 1
        state = self.start(len(digits[0]), *digits[0].shape[-2:])
        for k, level in enumerate(self.config.levels):
            s = STRIDES.index(level.stride)
            state, stride = self.descend(state, stride, s), s
            state = self.absorb(k, state, digits[k] / ((level.size - 1) / 2), masks[k])
        f8 = self.final(state)
        return f8, self.descend(f8, stride, 0)


def sent_mask(keep: torch.Tensor, k: int, stride: int) -> torch.Tensor:
    """Which tokens of level k are sent: keep (B, 1, H/64, W/64) -> (B, 1, H/stride, W/stride) of 0.0 and 1.0."""
    keep = at_stride(keep, stride)
    return (keep - k > spread(*keep.shape[-2:], keep.device)).float()


def at_stride(cells: torch.Tensor, stride: int) -> torch.Tensor:
    """A map of cells (B, c, rows, columns) at a stride's positions: (B, c, rows * s, columns * s), s = 64 / stride."""
    scale = CELL // stride
    return cells.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


@lru_cache(maxsize=64)
def spread(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """Share of a level that is sent before each position: (rows, columns) float32 in (0, 1).

    Kept on the device, since copying it there anew makes a GPU wait, once per level of every step.
    """
    return ((torch.from_numpy(spread_rank(rows, columns)) + 0.5) / 64).to(device)

"""Latents that are tied to no place, for bench.design.ablate: a transformer writes and reads them, the tail may be
dropped.

As in One-D-Piece (Miwa et al. 2025) and TiTok (Yu et al. 2024) a fixed number of latents, here for a crop of 128x128,
attends to all patches; the decoder fills a grid of patches from those that were sent.  Convolutions to stride 8 and
from there back to pixels are the ladder's.  Every latent has digits as a ladder's token, coded with one learned table
for each latent and digit.  Twelve latents stand for one of the ladder's levels, so that `keep` is the same share.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from ltokc.tokenizer.nn.blocks import Down, Up, blocks
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.fsq import fsq

PER_LEVEL, DIGITS, SIZE, PATCHES = 12, 6, 5, 16  # patches on a side of the crop, at stride 8


class Latents(nn.Module):
    """The interface of `ltokc.tokenizer.nn.ladder.Ladder` as far as training and bench.design.ablate use it; crops of
    128x128 only.
    """

    def __init__(self, config: LadderConfig, width: int = 128, depth: int = 3):
        super().__init__()
        self.config, self.count = config, PER_LEVEL * len(config.levels)
        ec, dc = config.encoder_channels, config.decoder_channels
        self.stem = nn.Conv2d(3 * 16, ec[0], 3, padding=1)
        self.encoder = nn.Sequential(blocks(ec[0], config.encoder_blocks[0]), Down(ec[0], ec[1]), blocks(ec[1], 2))
        self.enter = nn.Conv2d(ec[1], width, 1)
        self.places = nn.Parameter(torch.randn(2, PATCHES**2, width) * 0.02)  # where a patch lies: encoder, decoder
        self.queries = nn.Parameter(torch.randn(self.count, width) * 0.02)
        self.names = nn.Parameter(torch.randn(self.count, width) * 0.02)  # which latent it is, for the decoder
        self.write, self.read = (self._transformer(width, depth) for _ in range(2))
        self.digits, self.embed = nn.Linear(width, DIGITS), nn.Linear(DIGITS, width)
        self.leave = nn.Conv2d(width, dc[1], 1)
        self.final = nn.Sequential(blocks(dc[1], config.final_blocks), Up(dc[1], dc[0]))
        self.last = blocks(dc[0], config.decoder_blocks[0])
        self.head = nn.Conv2d(dc[0], 3 * 16, 3, padding=1)
        self.prior = Tables(self.count)

    @staticmethod
    def _transformer(width: int, depth: int) -> nn.TransformerEncoder:
        layer = nn.TransformerEncoderLayer(
            width, width // 32, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True
        )
        return nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)

    def sent(self, keep: torch.Tensor) -> torch.Tensor:
        """Which latents are sent: keep (B, 1, 2, 2), its mean counts -> (B, latents) bool."""
        wanted = (keep.mean((1, 2, 3)) * PER_LEVEL).round()
        return torch.arange(self.count, device=keep.device)[None] < wanted[:, None]

    def written(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(bounded, digits) of every latent: (B, latents, digits)."""
        f = self.enter(self.encoder(self.stem(F.pixel_unshuffle(x, 4)))).flatten(2).mT
        seen = torch.cat([f + self.places[0], self.queries.expand(len(x), -1, -1)], 1)
        return fsq(self.digits(self.write(seen)[:, PATCHES**2 :]), SIZE)

    def shown(self, z: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
        """Digits (B, latents, digits) to the picture (B, 3, 128, 128) float32."""
        tokens = self.embed(z.to(self.places.dtype) / ((SIZE - 1) / 2)) + self.names
        grid = self.places[1].expand(len(z), -1, -1)
        hidden = torch.cat([sent.new_zeros(len(z), PATCHES**2), ~sent], 1)
        read = self.read(torch.cat([grid, tokens], 1), src_key_padding_mask=hidden)[:, : PATCHES**2]
        state = self.leave(read.mT.unflatten(2, (PATCHES, PATCHES)))
        return F.pixel_shuffle(self.head(self.last(self.final(state))), 4).float()

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As Ladder.forward: the picture, and bits (B, levels), a level being twelve latents."""
        bounded, digits = self.written(x)
        sent = self.sent(keep)
        return self.shown(bounded + (digits - bounded).detach(), sent), self.bits(bounded, sent)

    def coded(self, x: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The decoded picture and the bits (B,) of the rounded digits."""
        digits, sent = self.written(x)[1], self.sent(keep)
        return self.shown(digits, sent), self.bits(digits, sent).sum(1)

    def bits(self, value: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
        """Bits (B, levels); between two symbols their weighted mean, as in Ladder.bits."""
        logp = self.prior()
        at = (value + (SIZE - 1) / 2).clamp(0, SIZE - 1 - 1e-4)
        low = at.detach().floor().long()
        weight = at - low
        table = logp.expand(len(value), -1, -1, -1)
        below, above = (table.gather(3, (low + i).unsqueeze(3)).squeeze(3) for i in (0, 1))
        nats = (below * (1 - weight) + above * weight).sum(2) * sent
        return -nats.unflatten(1, (-1, PER_LEVEL)).sum(2) / math.log(2)


class Tables(nn.Module):
    """Log-probabilities of each latent's digits, (latents, digits, size): learned, the same for every picture."""

    def __init__(self, count: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(count, DIGITS, SIZE))

    def set_quantised(self, quantised: bool) -> None:
        """There is nothing to round."""

    def forward(self) -> torch.Tensor:
        return F.log_softmax(self.logits, 2)

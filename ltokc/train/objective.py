"""What a training step minimises: distortion and rate of a batch, weighted as the recipe says."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ltokc.losses.colour import colour_distance
from ltokc.losses.grid_pattern import grid_pattern_energy
from ltokc.losses.lpips import LPIPS
from ltokc.losses.ssim import structural_loss
from ltokc.losses.ssimulacra2 import Original, distance
from ltokc.losses.texture import texture_distance
from ltokc.tokenizer.nn.config import STRIDES
from ltokc.tokenizer.nn.ladder import Ladder, sent_mask
from ltokc.train.recipe import Recipe

Term = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def look_distance(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Distance of decoded pictures from 100 points of SSIMULACRA2, in hundreds: (B,)."""
    with torch.no_grad():
        original = Original.of(x)
    return distance(original.error(y))


def cut(side: int, *batches: torch.Tensor) -> list[torch.Tensor]:
    """The same window of `side`² px, at a place drawn anew, of batches (B, c, H, W) of one size.

    The place stays on the device, so that a graph that was captured draws it too.
    """
    height, width = batches[0].shape[2:]
    device = batches[0].device
    rows, columns = (
        torch.randint(length - side + 1, (1,), device=device) + torch.arange(side, device=device)
        for length in (height, width)
    )
    kept = torch.channels_last
    return [batch.index_select(2, rows).index_select(3, columns).contiguous(memory_format=kept) for batch in batches]


class Objective:
    """Losses of a network on pictures x (B, 3, H, W) in [-1, 1] that keep `keep` (B, 1, rows, columns) levels a cell.

    A dict of scalars: `loss`, the weighted sum; its terms unweighted, by the names of `ltokc.train.recipe.Loss`; `bpp`,
    bits per pixel of all levels together.  Where only the prior learns there are `loss` and `bpp` alone.
    """

    def __init__(self, recipe: Recipe, lpips: LPIPS, device: str = "cpu"):
        self.recipe, self.lpips, self.window = recipe, lpips, recipe.lpips_window
        self.rate_weights = torch.tensor(recipe.loss.rate, device=device)
        self.rate_at = torch.tensor(recipe.loss.rate_at, device=device)
        self.compile(False)

    def compile(self, compiled: bool) -> None:
        """Whether SSIM and SSIMULACRA2's distance run compiled: the same numbers but for rounding."""
        self.structure: Term = torch.compile(structural_loss) if compiled else structural_loss
        self.look_of: Term = torch.compile(look_distance) if compiled else look_distance

    def __call__(self, net: Ladder, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.recipe.train == "prior":
            return self.rate_alone(net, x, keep)
        weights = self.recipe.loss
        with self.arithmetic(x):
            y, bits = self.coded(net, x, keep)
            shown = y.clamp(-1.05, 1.05)
            lpips, texture = self.perceptual(shown, x)
        bpp = bits.float() / (x.shape[2] * x.shape[3])
        mse = F.mse_loss(y, x) * 127.5**2
        ssim = self.structure(shown, x).mean()
        look = self.look_of(y, x).mean() if weights.look else torch.zeros((), device=x.device)
        colour = colour_distance(y, x).mean() if weights.colour else torch.zeros((), device=x.device)
        total = weights.mse * mse + weights.lpips * lpips + weights.ssim * ssim + weights.texture * texture
        pattern = grid_pattern_energy((y - x) * 127.5) if weights.grid_pattern else torch.zeros((), device=x.device)
        total = total + weights.look * look + weights.grid_pattern * pattern + weights.colour * colour
        total = total + self.rate(bpp, keep)
        terms = {"mse": mse, "lpips": lpips, "ssim": ssim, "look": look, "texture": texture, "grid_pattern": pattern}
        return {"loss": total, **terms, "colour": colour, "bpp": bpp.mean(0).sum()}

    def rate(self, bpp: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """What the bits per pixel (B, levels) weigh, by level or by the levels that a picture keeps on average: ().

        A plan trades cells of one picture at one price, so that its deep cells pay what its shallow ones do.
        """
        if not len(self.rate_at):
            return (bpp.mean(0) * self.rate_weights).sum()
        at = (keep.mean((1, 2, 3)) - 1).clamp(0, len(self.rate_at) - 1)
        low = at.floor().long().clamp_max(len(self.rate_at) - 2)
        share = at - low
        price = self.rate_at[low] * (1 - share) + self.rate_at[low + 1] * share
        return (bpp.sum(1) * price).mean()

    def coded(self, net: Ladder, x: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Decoded pictures (B, 3, H, W), and bits (B, levels), which are zeros where only the last layers learn."""
        if self.recipe.train != "finish":
            return net(x, keep)
        with torch.no_grad():  # neither gradients nor rates are needed up to the last token
            state = net.walk(x, self.masks(keep))[1]
        y = net.pixels(state, STRIDES.index(self.recipe.model.levels[-1].stride))
        return y, torch.zeros(len(x), len(self.recipe.loss.rate), device=x.device)

    def perceptual(self, shown: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """LPIPS and the texture term, which share their features, of the whole pictures or of the recipe's window."""
        if self.window and self.window < x.shape[3]:
            shown, x = cut(self.window, shown, x)
        ours, theirs = self.lpips.taps_of_both(shown, x)
        lpips = self.lpips.distance(ours, theirs).mean()
        wanted = self.recipe.loss.texture
        return lpips, texture_distance(ours, theirs) if wanted else torch.zeros((), device=x.device)

    def rate_alone(self, net: Ladder, x: torch.Tensor, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        """Bits per pixel of the frozen tokenizer's tokens."""
        masks = self.masks(keep)
        with self.arithmetic(x):
            with torch.no_grad():
                digits = net.tokenize(x, masks)
            logps = net.prior(digits, masks)
        bpp = net.bits(digits, logps, masks).float().mean(0) / (x.shape[2] * x.shape[3])
        return {"loss": bpp.sum(), "bpp": bpp.sum()}

    def masks(self, keep: torch.Tensor) -> list[torch.Tensor]:
        """Which tokens are sent, by level."""
        return [sent_mask(keep, k, level.stride) for k, level in enumerate(self.recipe.model.levels)]

    def arithmetic(self, x: torch.Tensor) -> torch.autocast:
        """The precision in which the networks compute."""
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

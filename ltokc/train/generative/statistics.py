"""Local statistics of features, and the squared Wasserstein distortion between them.

Wasserstein distortion (Qiu et al. 2024, arXiv:2310.03629) compares the means and standard deviations of features in
windows: a texture may differ from the original's in every pixel and still have distance 0.  Here the features are 14
fixed Haar filters at full size and SqueezeNet's after its layers 1, 4, 7, 9 and 12 (strides 2, 4, 8, 16, 16).

There are three kinds of statistics.  `LOCAL` ones are those of all maps but the last, at points and in windows of 8 to
64 px.  `DEEP` ones are the last map's: what a place shows rather than how it is woven.  `WHOLE` ones are mean and
deviation over a whole crop: where the tokens do not say which places are rough, the best guess for each is too smooth,
and the crop's energy is what it lacks.

The square, not the norm, of the difference is taken: a norm forgives rare large errors, which show as bright bursts.
The square of one sample's difference also punishes the sample's own variance, so that a network learns to ignore its
noise.  `wasserstein` takes two samples p1, p2 of one picture q and gives a part of their variance back:

    mean of (p - q)^2 over both  -  returned / 2 * (p1 - p2)^2

With `returned` = 1 its expectation is that of the mean picture's distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from ltokc.losses.lpips import LPIPS

TAPS = (1, 4, 7, 9, 12)  # layers of SqueezeNet
STRIDES = (1, 2, 4, 8, 16, 16)  # of the feature maps
LEAST_VARIANCE = 1e-3  # under the root of a deviation, so that its gradient stays finite
TERM = 0.3  # weight of one group of statistics


@dataclass(frozen=True, slots=True)
class Group:
    """Statistics of one feature map: the values at every `step`-th point (0: none), and mean and deviation in windows.

    `window`: side of the smallest windows in positions of the map; `twice`: windows of twice that side too.
    """

    map: int
    step: int
    window: int
    twice: bool


LOCAL, DEEP, WHOLE = KINDS = ("local", "deep", "whole")
GROUPS = {
    LOCAL: (Group(0, 0, 8, True), Group(1, 2, 4, True), Group(2, 1, 4, True), Group(3, 1, 4, False),
            Group(4, 1, 4, False)),
    DEEP: (Group(5, 1, 4, False),),
}  # fmt: skip
SQUARE = 16  # px, in which an original is still or not
WHOLE_WEIGHTS = (4, 2, 1, 1, 1, 1)  # of the maps: fine detail is what a decoder lacks most
STILL = 0.15 / 127.5  # deviation under which a square is still: a photograph's own grain is above it

CHROMA = ((-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))  # of red, green, blue


def chroma_energy(residual: torch.Tensor) -> torch.Tensor:
    """Mean square of the two chroma signals of a residual (B, 3, H, W): ().  Drawn colour shows as coloured dots."""
    return torch.einsum("bchw,kc->bkhw", residual, residual.new_tensor(CHROMA)).square().mean()


def still_residual(residual: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Mean absolute residual (n * B, 3, H, W) in the 16x16 squares where the original (B, 3, H, W) is still: ().

    Other squares count as 0.  The distortion forgives a grain that is faint beside that of ordinary pictures, and on
    one colour every grain is seen.
    """
    mean, square = F.avg_pool2d(original, SQUARE), F.avg_pool2d(original * original, SQUARE)
    variance = (square - mean * mean).mean(1, keepdim=True)
    still = (variance < STILL**2).to(residual.dtype).repeat(len(residual) // len(original), 1, 1, 1)
    return (F.avg_pool2d(residual.abs(), SQUARE) * still).mean()


def haar_filters() -> torch.Tensor:
    """Haar details at scales 1 and 2 of luma, and those along the axes of two chroma signals: (14, 3, 4, 4)."""
    near, cross = torch.zeros(4, 4), torch.zeros(4, 4)
    near[1:3, 1:3] = torch.tensor([[0.5, -0.5], [0.5, -0.5]])
    cross[1:3, 1:3] = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    far = torch.tensor([[1.0, 1, -1, -1]]).repeat(4, 1) / 8
    far_cross = torch.cat([far[:2], -far[2:]])
    colours = torch.tensor([(0.299, 0.587, 0.114), *CHROMA])
    kernels = [(near, near.T, cross, far, far.T, far_cross), (near, near.T, far, far.T), (near, near.T, far, far.T)]
    return torch.stack([c.view(3, 1, 1) * k for c, ks in zip(colours, kernels, strict=True) for k in ks])


class Features:
    """Feature maps of pictures, and their scales: channels are divided by their deviation over the first originals.

    Call `fit` once, or set `scales`, before `statistics`.
    """

    def __init__(self, lpips: str | Path, device: str = "cpu"):
        self.net = LPIPS(lpips).to(device, memory_format=torch.channels_last)
        self.filters = haar_filters().to(device)
        self.scales: list[torch.Tensor] = []

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Pictures (B, 3, H, W) in [-1, 1] -> six maps, at `STRIDES`."""
        out, z = [F.conv2d(x, self.filters)], (x - self.net.shift) / self.net.scale
        for i, module in enumerate(self.net.features[: TAPS[-1] + 1]):
            z = module(z)
            if i in TAPS:
                out.append(z)
        return out

    @torch.no_grad()
    def fit(self, x: torch.Tensor) -> None:
        """Takes the scales from these originals; channels that hardly move are held back."""
        deviations = [f.float().var((0, 2, 3), keepdim=True).clamp_min(1e-6).sqrt() for f in self(x)]
        self.scales = [torch.maximum(s, s.mean() * 0.1) for s in deviations]

    def statistics(self, maps: Sequence[torch.Tensor], shift: tuple[int, int], kind: str = LOCAL) -> list[torch.Tensor]:
        """One (B, c, h, w) per group, point or window, float32.  shift: (y, x), moves the points between steps.

        Those of the whole crop are (B, c, 1, 1), times the roots of `WHOLE_WEIGHTS`.
        """
        if kind == WHOLE:
            floats = [f.float() for f in maps]
            pairs = [(f.mean((2, 3), keepdim=True), (f * f).mean((2, 3), keepdim=True)) for f in floats]
            found = [_mean_and_deviation(m, q, s) for (m, q), s in zip(pairs, self.scales, strict=True)]
            return [weight**0.5 * v for weight, v in zip(WHOLE_WEIGHTS, found, strict=True)]
        out = []
        for group in GROUPS[kind]:
            f, scale = maps[group.map].float(), self.scales[group.map]
            if group.step:
                out.append(f[..., shift[0] % group.step :: group.step, shift[1] % group.step :: group.step] / scale)
            mean, square = F.avg_pool2d(f, group.window), F.avg_pool2d(f * f, group.window)
            out.append(_mean_and_deviation(mean, square, scale))
            if group.twice:
                out.append(_mean_and_deviation(F.avg_pool2d(mean, 2), F.avg_pool2d(square, 2), scale))
        return out


def _mean_and_deviation(mean: torch.Tensor, square: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    mean = mean / scale
    deviation = ((square / scale**2 - mean * mean).clamp_min(0) + LEAST_VARIANCE).sqrt()
    return torch.cat([mean, deviation], 1)


def wasserstein(
    made: Sequence[torch.Tensor], original: Sequence[torch.Tensor], returned: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared Wasserstein distortion of one or two samples a picture, and the samples' own variance: (), ().

    made: statistics of all first samples, then of all second ones, (samples * B, c, h, w); original: (B, c, h, w).
    returned: share of the samples' variance that is given back (two samples only).
    """
    total, variance = (torch.zeros((), device=original[0].device) for _ in range(2))
    for p, q in zip(made, original, strict=True):
        samples = len(p) // len(q)
        total = total + TERM * (p - q.repeat(samples, 1, 1, 1)).square().mean()
        if samples == 2:
            variance = variance + TERM / 2 * (p[: len(q)] - p[len(q) :]).square().mean()
    return total - returned * variance, variance

"""Fits the rounding kernel (`ltokc.tokenizer.rounding`) to what random flips did to gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ltokc.geometry import Level
from ltokc.tokenizer.rounding import STRIDE, RoundingKernel, channels_of
from ltokc.train.rounding.samples import Sample

NOISE = 1.0  # times its variance is taken off the square of an entry; what is left of less than nothing is zero


def fitted(samples: Iterable[Sample], levels: Sequence[Level]) -> RoundingKernel:
    """The kernel by least squares, each entry alone since flips are independent.

    Made symmetric, as second derivatives are, and equal where places of stride 8 lie equally far apart.  Entries are
    then shrunk by the variance of their noise (James and Stein 1961), most of them to zero.
    """
    answers = flips = squares = counts = torch.zeros(1)
    for each in samples:
        sent, before = torch.from_numpy(each.sent), torch.from_numpy(each.before)
        for flip, after in zip(torch.from_numpy(each.flips), torch.from_numpy(each.after), strict=True):
            answer = ((after - before) * sent).flatten(1) * each.pixels
            around = F.unfold(flip[None], 3, padding=1)[0]
            answers = answers + answer @ around.T
            flips = flips + sent.flatten(1) @ around.square().T
            squares, counts = squares + answer.square().sum(1), counts + sent.flatten(1).sum(1)
    n = len(answers)
    flips = flips.clamp_min(1).view(n, n, 3, 3)
    weight = _alike(_symmetric(answers.view(n, n, 3, 3) / flips), levels)
    noise = _symmetric((squares / counts.clamp_min(1)).view(n, 1, 1, 1) / flips) / 2
    kept = (1 - NOISE * _alike(noise, levels) / _equals(levels) / weight.square().clamp_min(1e-30)).clamp(0, 1)
    return RoundingKernel((weight * kept).numpy().astype(np.float16).astype(np.float32))


def _symmetric(weight: torch.Tensor) -> torch.Tensor:
    return (weight + weight.flip(2, 3).transpose(0, 1)) / 2


def _blocks(levels: Sequence[Level]) -> list[tuple[slice, slice, int, int]]:
    """Pairs of levels of stride 8: their channels, and their digits."""
    edges = np.cumsum([0, *(channels_of(level) for level in levels)]).tolist()
    places = zip(edges, edges[1:], levels, strict=False)
    fine = [(slice(a, b), v.digits) for a, b, v in places if 2 * v.stride == STRIDE]
    return [(i, j, m, n) for i, m in fine for j, n in fine]


def _alike(weight: torch.Tensor, levels: Sequence[Level]) -> torch.Tensor:
    """Means over the entries of two digits of stride 8 that lie equally far apart."""
    out = weight.clone()
    far = _distances()
    for i, j, m, n in _blocks(levels):
        part = weight[i, j].reshape(m, 4, n, 4, 9).permute(0, 2, 1, 3, 4).reshape(m * n, -1)
        sums = torch.zeros(m * n, 49).index_add_(1, far, part)
        means = (sums / torch.bincount(far, minlength=49).clamp_min(1))[:, far]
        out[i, j] = means.view(m, n, 4, 4, 9).permute(0, 2, 1, 3, 4).reshape(4 * m, 4 * n, 3, 3)
    return out


def _equals(levels: Sequence[Level]) -> torch.Tensor:
    """Over how many entries of the kernel `_alike` takes means: (n, n, 3, 3)."""
    n = sum(map(channels_of, levels))
    out, far = torch.ones(n, n, 3, 3), _distances()
    counts = torch.bincount(far, minlength=49)[far].float()
    for i, j, a, b in _blocks(levels):
        out[i, j] = counts.view(1, 1, 4, 4, 9).expand(a, b, 4, 4, 9).permute(0, 2, 1, 3, 4).reshape(4 * a, 4 * b, 3, 3)
    return out


def _distances() -> torch.Tensor:
    """Number 0 to 48 of how far two places of stride 8 lie apart: (144,), by place, place, offset of their squares."""
    y, x = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    offsets = torch.arange(3) - 1
    down = 2 * offsets.view(1, 1, 3, 1) + y.view(1, 4, 1, 1) - y.view(4, 1, 1, 1)
    right = 2 * offsets.view(1, 1, 1, 3) + x.view(1, 4, 1, 1) - x.view(4, 1, 1, 1)
    return ((down + 3) * 7 + right + 3).flatten()

"""How well an error is seen at a place: visual masking, by which generator and gate learn where detail does harm.

A busy surrounding hides an error, a smooth one beside an edge does not.  In three bands of luma (Haar details of
squares of 2, 4 and 8 px) the energy of the error is therefore divided by the activity of the original around it: the
geometric mean of the energies of 3x3 squares, which a few strong edges among smooth squares hardly raise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

SQUARE = 8  # px, of the weights
BANDS = 3
FLOOR = (2.0 / 127.5) ** 2  # least activity: what is below is seen alike
MOST = 50.0  # of one square's terms: a hard edge beside one colour is not worth everything
LEAST_ENERGY = 1e-6  # under a root, so that its gradient stays finite
LUMA = (0.299, 0.587, 0.114)


def haar_bands(picture: torch.Tensor) -> list[torch.Tensor]:
    """Orthonormal details of luma of a picture (B, 3, H, W), finest first: (B, 3, H/2, W/2), then half of it."""
    y, out = torch.einsum("bchw,c->bhw", picture, picture.new_tensor(LUMA))[:, None], []
    for _ in range(BANDS):
        a, b, c, d = y[..., ::2, ::2], y[..., ::2, 1::2], y[..., 1::2, ::2], y[..., 1::2, 1::2]
        out.append(torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2)
        y = (a + b + c + d) / 2
    return out


def skin(picture: torch.Tensor) -> torch.Tensor:
    """Share of pixels that may be skin by their chroma, in squares of 8 px: (B, 3, H, W) -> (B, 1, H/8, W/8).

    The ranges are those of Chai and Ngan (1999), a little moved; wood and sand are in them too.
    """
    red, green, blue = ((picture + 1) * 127.5).split(1, 1)
    cb, cr = 128 - 0.169 * red - 0.331 * green + 0.5 * blue, 128 + 0.5 * red - 0.419 * green - 0.081 * blue
    inside = (cb > 77) & (cb < 127) & (cr > 138) & (cr < 173) & (red > 60)
    return F.avg_pool2d(inside.to(picture.dtype), SQUARE)


@dataclass(frozen=True, slots=True)
class Visible:
    """Over the activity around a place: mean squared error; excess and lack of amplitude against the original's: ()."""

    error: torch.Tensor
    excess: torch.Tensor
    lack: torch.Tensor


def visible(made: torch.Tensor, original: torch.Tensor, weight: torch.Tensor) -> Visible:
    """made, original: (B, 3, H, W), sides multiples of 8; weight of the error: (B, 1, H/8, W/8).

    Amplitudes are those of 3x3 squares: what is drawn need not lie where the original's detail lies.
    """
    error, excess, lack = (made.new_zeros(()) for _ in range(3))
    for m, o in zip(haar_bands(made), haar_bands(original), strict=True):
        side = m.shape[-1] * SQUARE // made.shape[-1]  # of a square, in positions of the band
        of_error, of_made, of_original = (_energy(x, max(1, side)) for x in (m - o, m, o))
        activity = _around(torch.log(of_original + FLOOR)).exp()
        error = error + (weight * of_error / activity).clamp_max(MOST).mean()
        ours, theirs = (torch.sqrt(_around(energy) + LEAST_ENERGY) for energy in (of_made, of_original))
        excess = excess + (F.relu(ours - theirs).square() / activity).clamp_max(MOST).mean()
        lack = lack + (F.relu(theirs - ours).square() / activity).clamp_max(MOST).mean()
    return Visible(error, excess, lack)


def _energy(band: torch.Tensor, side: int) -> torch.Tensor:
    return F.avg_pool2d(band.square().mean(1, keepdim=True), side)


def _around(x: torch.Tensor) -> torch.Tensor:
    """Mean over 3x3 squares, fewer at the border."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

"""What random flips of digits do to the gradient of the loss, on crops of training pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ltokc.geometry import CELL
from ltokc.metrics.look import loss_gradient
from ltokc.rate.rounding.folding import Folded, Folding
from ltokc.token_grid import full_masks
from ltokc.tokenizer.windows import Networks
from ltokc.train.data.pictures import Pictures

SIDE = 4 * CELL  # of a crop
DENSITY = 0.05  # share of the digits that flip in a draw
LEAST_DEPTH = 4  # of a crop


@dataclass(frozen=True, slots=True)
class Sample:
    """Draws at one crop of `pixels` pixels.

    Folded, (n, h, w): sent, 1 where there is a digit; before, the gradient at the tokenizer's digits; per draw flips of
    -1, 0, 1, and after, the gradient with them, (draws, n, h, w).
    """

    pixels: int
    sent: Folded
    before: Folded
    flips: Folded
    after: Folded


def large_enough(pictures: Pictures) -> list[int]:
    """Numbers of the pictures that a crop can be cut from."""
    return [i for i in range(len(pictures)) if min(pictures[i].shape[:2]) >= SIDE]


def cropped(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random crop of a picture, (SIDE, SIDE, 3)."""
    top, left = (int(rng.integers(side - SIDE + 1)) for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[top : top + SIDE, left : left + SIDE])


def sample(networks: Networks, rgb: np.ndarray, draws: int, rng: np.random.Generator) -> Sample:
    """Flips digits of a random crop of a picture (H, W, 3) uint8, whose cells have depths about a random one."""
    levels, most = networks.levels, len(networks.levels)
    crop = cropped(rgb, rng)
    cells = SIDE // CELL
    depths = np.clip(rng.uniform(LEAST_DEPTH, most + 0.5) + rng.uniform(-1, 1, (cells, cells)), 1, most).round()
    tokens = networks.tokenize(crop, kept=depths.astype(np.float32))
    masks = full_masks(levels, cells, cells, depths)
    folding = Folding(levels)
    gradient = _gradient_of(networks, folding, crop, masks)
    start = folding.fold(tokens.digits)
    sent = folding.fold([np.repeat(mask[..., None], v.digits, 2) for mask, v in zip(masks, levels, strict=True)])
    half = folding.fold([np.full(grid.shape, v.half) for grid, v in zip(tokens.digits, levels, strict=True)])
    flips, after = [], []
    for _ in range(draws):
        sign = rng.integers(0, 2, start.shape).astype(np.float32) * 2 - 1
        flip = sign * ((rng.random(start.shape) < DENSITY) & (sent > 0) & (np.abs(start + sign) <= half))
        flips.append(flip)
        after.append(gradient(folding.unfold(start + flip, tokens.digits)))
    return Sample(crop.shape[0] * crop.shape[1], sent, gradient(tokens.digits), np.stack(flips), np.stack(after))


def _gradient_of(
    networks: Networks, folding: Folding, crop: np.ndarray, masks: list[np.ndarray]
) -> Callable[[list[np.ndarray]], Folded]:
    """The gradient of how a crop looks, by digits of every level (rows, columns, d); folded."""
    sent = [mask[None, None].astype(np.uint8) for mask in masks]

    def gradient(digits: list[np.ndarray]) -> Folded:
        given = [np.ascontiguousarray(grid.transpose(2, 0, 1)[None]) for grid in digits]
        found = networks.runtime.digit_gradient(
            given, sent, lambda shown: loss_gradient(crop, np.ascontiguousarray(shown))[1]
        )
        return folding.fold([None if grid is None else grid[0].transpose(1, 2, 0) for grid in found])

    return gradient

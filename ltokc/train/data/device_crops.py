"""Random crops cut on the device: all pictures lie there as bytes, and a batch is a few operations on them.

From 1,500 crops a second on, processes that cut crops on the CPU cannot keep up with a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from ltokc.train.data.crops import Crops
from ltokc.train.data.pictures import Pictures
from ltokc.train.recipe import Recipe

POOL = 512  # pages of text, slopes and flat fields that are made beforehand
SHRINK = 0.6  # at most
TURNS = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float32)


class DeviceCrops:
    """Batches (B, crop, crop, 3) uint8 on a device: scaled as `Crops` does it, flipped, turned, colours changed.

    What is drawn follows from the seed, `rank`, the step and the pictures.
    """

    def __init__(self, pictures: Pictures, recipe: Recipe, device: str, rank: int = 0):
        self.pictures, self.recipe, self.device, self.rank = pictures, recipe, device, rank
        self.bytes = torch.zeros(0, dtype=torch.uint8, device=device)
        rng = np.random.default_rng((recipe.seed, rank))
        makers = Crops(pictures, recipe.crop, 1, rng)
        shares = recipe.text_share, recipe.smooth_share
        texts = round(POOL * shares[0] / max(sum(shares), 1e-9))
        made = [makers.text() if i < texts else makers.smooth() for i in range(POOL)] if sum(shares) else []
        self.pool = torch.from_numpy(np.stack(made)).to(device) if made else None

    def from_step(self, first: int) -> Iterator[torch.Tensor]:
        """Endless batches from a step on."""
        while True:
            yield self.batch(first)
            first += 1

    def batch(self, step: int) -> torch.Tensor:
        """The batch of a step."""
        recipe, size = self.recipe, self.recipe.crop
        if self.pictures.refresh() or not len(self.bytes):
            self._take()
        rng = np.random.default_rng((recipe.seed, self.rank, step))
        rows = self.pictures.index[rng.integers(len(self.pictures), size=recipe.batch)]
        u, enlarged, shrunk = (
            rng.random(len(rows)),
            rng.uniform(1.05, 2.0, len(rows)),
            rng.uniform(SHRINK, 0.95, len(rows)),
        )
        factor = np.where(u < 0.55, 1.0, np.where(u < 0.85, enlarged, shrunk))
        sides = np.minimum(np.round(size / factor).astype(np.int64), rows[:, 1:].min(1))
        corners = (rng.random((len(rows), 2)) * (rows[:, 1:] - sides[:, None] + 1)).astype(np.int64)
        matrices = TURNS[rng.integers(4, size=len(rows))] * np.where(
            rng.random((len(rows), 1, 1)) < 0.5, [[-1], [1]], 1
        )
        crops = self._cut(rows, corners, sides)
        out = self._scaled(crops, sides, matrices.astype(np.float32))
        if recipe.jitter:
            change = rng.uniform(-recipe.jitter, recipe.jitter, (2, len(rows), 3, 1, 1)).astype(np.float32)
            gain, offset = torch.from_numpy(change).to(self.device)
            out = out * (1 + gain) + 127.5 * offset
        found = out.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        made_up = np.flatnonzero(rng.random(len(rows)) < recipe.text_share + recipe.smooth_share)
        if self.pool is not None and len(made_up):
            found[torch.from_numpy(made_up).to(self.device)] = self.pool[
                torch.from_numpy(rng.integers(len(self.pool), size=len(made_up))).to(self.device)
            ]
        return found

    def _take(self) -> None:
        """Brings to the device what it lacks."""
        more = torch.from_numpy(np.array(self.pictures.bytes[len(self.bytes) :]))
        self.bytes = torch.cat([self.bytes, more.to(self.device)])

    def _cut(self, rows: np.ndarray, corners: np.ndarray, sides: np.ndarray) -> torch.Tensor:
        """Squares of the pictures, (B, 3, m, m) float of 0 to 255, m the largest side.

        What lies beyond a square repeats its border.
        """
        most = int(sides.max())
        about = torch.from_numpy(np.column_stack([rows, corners, sides])).to(self.device)
        offset, _, width, top, left, side = (column.view(-1, 1, 1) for column in about.T)
        steps = torch.arange(most, device=self.device)
        y, x = (torch.minimum(steps, side - 1) + first for first in (top, left))  # (B, 1, m)
        at = offset + (y.transpose(1, 2) * width + x) * 3
        return torch.stack([self.bytes[at + channel] for channel in range(3)], 1).float()

    def _scaled(self, crops: torch.Tensor, sides: np.ndarray, matrices: np.ndarray) -> torch.Tensor:
        """Squares of these sides at the crops' size, flipped and turned: bicubic, shrunk ones as means of 2x2."""
        size, most = self.recipe.crop, crops.shape[2]
        out = crops.new_empty(len(crops), 3, size, size)
        for finer in (1, 2):
            some = np.flatnonzero((sides > size) == (finer == 2))
            if not len(some):
                continue
            index = torch.from_numpy(some).to(self.device)
            centres = (torch.arange(size * finer, device=self.device) + 0.5) / (size * finer) * 2 - 1
            grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)  # (x, y) in [-1, 1] of the square
            turned = torch.einsum("hwi,bji->bhwj", grid, torch.from_numpy(matrices[some]).to(self.device))
            share = torch.from_numpy(sides[some] / most).to(self.device).float().view(-1, 1, 1, 1)
            inside = (turned + 1) * share - 1
            found = F.grid_sample(crops[index], inside, "bicubic", "border", align_corners=False)
            out[index] = F.avg_pool2d(found, finer) if finer > 1 else found
        return out

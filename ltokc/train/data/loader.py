"""Batches of crops for the training loop, made ahead by processes of their own where a GPU would wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ltokc.train.data.crops import Crops
from ltokc.train.data.pictures import Pictures
from ltokc.train.recipe import Recipe


class Batches(Dataset):
    """The batch of every step, (batch, crop, crop, 3) uint8: it follows from seed, rank, step and pictures."""

    def __init__(self, pictures: Pictures, recipe: Recipe, rank: int = 0):
        self.pictures, self.recipe, self.rank = pictures, recipe, rank

    def __getitem__(self, step: int) -> torch.Tensor:
        self.pictures.refresh()  # what a watched folder has got since
        recipe, rng = self.recipe, np.random.default_rng((self.recipe.seed, self.rank, step))
        crops = Crops(self.pictures, recipe.crop, recipe.batch, rng, recipe.text_share, recipe.smooth_share)
        return torch.from_numpy(next(crops))


def batches(source: Batches, first: int = 0, num_workers: int = 0, pinned: bool = False) -> Iterator[torch.Tensor]:
    """Endless batches from step `first` on, the same whether none or several processes (`num_workers`) draw them.

    pinned: in memory that a GPU copies from without being waited for.
    """
    ahead = 3 if num_workers else None
    loader = DataLoader(
        source, None, sampler=count(first), num_workers=num_workers, pin_memory=pinned, prefetch_factor=ahead
    )
    return iter(loader)

"""Which units of a network's blocks ever fire, on pictures that are coded and decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ltokc.geometry import CELL
from ltokc.tokenizer.nn.blocks import Block
from ltokc.tokenizer.nn.ladder import Ladder, at_stride, sent_mask
from ltokc.tokenizer.silent import Silent

Fired = dict[str, np.ndarray]  # block -> bool (channels,)


def silent_in(net: Ladder, crops: Iterable[np.ndarray], rng: np.random.Generator) -> Silent:
    """Units that fired on no crop.

    crops: (side, side, 3) uint8, sides whole cells, coded and decoded at random depths.
    """
    fired: Fired = {}
    with torch.inference_mode(), _watched(net, fired):
        for crop in crops:
            _code(net, crop, rng)
    found = {name: np.flatnonzero(~units) for name, units in fired.items()}
    return {name: tuple(map(int, units)) for name, units in sorted(found.items()) if len(units)}


@contextmanager
def _watched(net: Ladder, fired: Fired) -> Iterator[None]:
    """Notes in `fired` which channels of each block's 3x3 convolution are above zero anywhere."""

    def hook(name: str):  # type: ignore[no-untyped-def]
        def note(module: torch.nn.Module, inputs: tuple, found: torch.Tensor) -> None:
            above = (found.amax((0, 2, 3)) > 0).numpy()
            fired[name] = fired.get(name, np.zeros_like(above)) | above

        return note

    blocks = [(name, module) for name, module in net.named_modules() if isinstance(module, Block)]
    hooks = [module.b.register_forward_hook(hook(name)) for name, module in blocks]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _code(net: Ladder, crop: np.ndarray, rng: np.random.Generator) -> None:
    """All tokens of a crop, told random depths, and the picture of those that are sent then."""
    levels = net.config.levels
    x = torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32))[None] / 127.5 - 1
    rows, columns = crop.shape[0] // CELL, crop.shape[1] // CELL
    depths = np.clip(rng.uniform(1, len(levels)) + rng.uniform(-1.5, 1.5, (1, 1, rows, columns)), 0, len(levels))
    keep = torch.from_numpy(depths.astype(np.float32))
    every = [sent_mask(torch.full_like(keep, len(levels)), k, level.stride) for k, level in enumerate(levels)]
    digits = net.tokenize(x, every, [at_stride(keep, level.stride) for level in levels])
    masks = [sent_mask(keep, k, level.stride) for k, level in enumerate(levels)]
    net.detokenize([grid * mask for grid, mask in zip(digits, masks, strict=True)], masks)

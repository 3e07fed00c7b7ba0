"""Which units of a network's blocks ever fire: on pictures, and those of the decoder on any digits at all.

A file may hold digits that no encoder makes.  What it looks like should not depend on what was left out either, so that
the decoder's units have to be silent on random digits too, and on the largest ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ltokc.geometry import CELL
from ltokc.tokenizer.nn.blocks import Block
from ltokc.tokenizer.nn.ladder import ENCODER_ONLY, Ladder, at_stride, sent_mask
from ltokc.tokenizer.silent import Silent

Fired = dict[str, np.ndarray]  # block -> bool (channels,)
KINDS = ("any", "largest", "everywhere")  # of random digits


def silent_in(net: Ladder, crops: Iterable[np.ndarray], draws: int, rng: np.random.Generator) -> Silent:
    """Units that fired on no crop and, if they are the decoder's, on none of `draws` grids of random digits.

    crops: (side, side, 3) uint8, sides whole cells, coded and decoded at random depths.
    """
    fired: Fired = {}
    with torch.inference_mode(), _watched(net, fired):
        for crop in crops:
            _code(net, crop, rng)
        encoder = {name: units.copy() for name, units in fired.items() if ENCODER_ONLY.match(name + ".")}
        for i in range(draws):
            _decode_random(net, rng, KINDS[i % len(KINDS)])
    found = {name: np.flatnonzero(~units) for name, units in (fired | encoder).items()}
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


def _decode_random(net: Ladder, rng: np.random.Generator, kind: str) -> None:
    """The picture of random digits in 4x4 cells of random depths, or of all.

    kind: "any" digits, the "largest" and the smallest alone, or any, the same "everywhere" in a level.
    """
    levels = net.config.levels
    depths = rng.uniform(0, len(levels) + 1, (1, 1, 4, 4)) if rng.random() < 0.5 else np.full((1, 1, 4, 4), len(levels))
    keep = torch.from_numpy(depths.clip(0, len(levels)).astype(np.float32))
    masks = [sent_mask(keep, k, level.stride) for k, level in enumerate(levels)]
    digits = []
    for level, mask in zip(levels, masks, strict=True):
        half, shape = (level.size - 1) // 2, (1, level.digits, *mask.shape[2:])
        place = (1, level.digits, 1, 1) if kind == "everywhere" else shape
        drawn = rng.choice((-half, half), place) if kind == "largest" else rng.integers(-half, half + 1, place)
        digits.append(torch.from_numpy(np.broadcast_to(drawn, shape).astype(np.float32)) * mask)
    net.detokenize(digits, masks)

"""A small untrained ladder for tests that need networks but not a good picture."""

import numpy as np

from ltokc.geometry import Level

LEVELS = (Level(64, 3, 7), Level(32, 4, 5), Level(16, 3, 5), Level(8, 2, 5), Level(8, 3, 3))


def small_config():
    from ltokc.tokenizer.nn.config import LadderConfig, Level

    return LadderConfig(
        encoder_channels=(16, 16, 24, 24, 32), encoder_blocks=(1, 1, 1, 1, 1), decoder_channels=(16, 24, 24, 32, 32),
        decoder_blocks=(1, 1, 1, 1), query_channels=(0, 16, 16, 16, 16), final_blocks=1,
        levels=tuple(Level(v.stride, v.digits, v.size) for v in LEVELS),
    )  # fmt: skip


def small_ladder(seed=0):
    import torch

    from ltokc.tokenizer.nn.ladder import Ladder

    torch.manual_seed(seed)
    net = Ladder(small_config()).eval()
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1:  # biases start at zero, which would hide mistakes
                p.add_(torch.randn_like(p) * 0.1)
        net.top.normal_()
    return net


def random_grids(rows, columns, kept, seed=0):
    """Random digits (int8) and masks (bool) of a grid of cells."""
    rng = np.random.default_rng(seed)
    digits, masks = [], []
    for level in LEVELS:
        shape = (rows * 64 // level.stride, columns * 64 // level.stride)
        mask = rng.random(shape) < kept
        half = (level.size - 1) // 2
        digits.append((rng.integers(-half, half + 1, (*shape, level.digits)) * mask[..., None]).astype(np.int8))
        masks.append(mask)
    return digits, masks

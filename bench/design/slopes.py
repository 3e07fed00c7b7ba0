"""What a bit brings at every level, and the weights of the rate that follow from it.

    python -m bench slopes --images HELD --lpips lpips_squeeze.safetensors --recipe recipe.toml \
        --out slopes.json

The pictures are decoded after 1, 2, ... levels.  `slope`: by how much a level lowers the recipe's distortion (loss
without the rate) for a bit per pixel.  `margin`: the geometric mean with the next level's, what a bit is worth where
the prefix ends.  `weight`: the mean of the margins of a level and all later ones.  Bits of a level serve every longer
prefix; with all prefixes wanted alike, its rate should weigh that much.  Rate is what the model's prior says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import write_report
from ltokc.losses.lpips import LPIPS
from ltokc.losses.ssim import structural_loss
from ltokc.tokenizer.nn.ladder import Ladder, sent_mask
from ltokc.tokenizer.nn.packed import load_packed
from ltokc.train.recipe import Loss, read_recipe
from ltokc.zoo.model import WEIGHTS
from ltokc.zoo.registry import check, find

CELL, LARGEST = 64, 384
PARTS = ("mse", "lpips", "ssim")


@torch.no_grad()
def measured(net: Ladder, rgb: np.ndarray, lpips: LPIPS, loss: Loss) -> list[list[float]]:
    """Bits per pixel and the weighted parts of the distortion after 1, 2, ... levels; rgb (H, W, 3) uint8."""
    height, width = (min(side, LARGEST) // CELL * CELL for side in rgb.shape[:2])
    if not height or not width:
        raise click.UsageError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels has no whole cell of {CELL}x{CELL}")
    x = torch.tensor(rgb[:height, :width]).permute(2, 0, 1)[None].float().div(127.5).sub(1)
    levels = net.config.levels

    def masks(keep: int) -> list[torch.Tensor]:
        cells = torch.full((1, 1, height // CELL, width // CELL), float(keep))
        return [sent_mask(cells, k, level.stride) for k, level in enumerate(levels)]

    digits = net.tokenize(x, masks(len(levels)))
    bits = net.bits(digits, net.prior(digits, masks(len(levels))), masks(len(levels)))[0].cumsum(0)
    rows = []
    for keep in range(1, len(levels) + 1):
        sent = masks(keep)
        shown = net.detokenize([d * m for d, m in zip(digits, sent, strict=True)], sent)
        mse = F.mse_loss(shown, x).item() * 127.5**2
        ssim = structural_loss(shown, x).item()
        row = [bits[keep - 1].item() / height / width, loss.mse * mse, loss.lpips * lpips(shown, x).item()]
        rows.append([*row, loss.ssim * ssim])
    return rows


def slopes(rows: np.ndarray) -> list[dict[str, float]]:
    """Rows of `measured`, mean over pictures (levels, 4): slope, margin and weight of every level after the first."""
    bits = np.diff(rows[:, 0])
    slope = -np.diff(rows[:, 1:].sum(1)) / bits
    margin = np.append(np.sqrt(slope[:-1] * slope[1:]), slope[-1])
    weight = margin[::-1].cumsum()[::-1] / np.arange(len(margin), 0, -1)
    return [
        {"level": k + 2, "bpp": float(bits[k]), "slope": float(slope[k]), "margin": float(margin[k]),
         "weight": float(weight[k])}
        for k in range(len(slope))
    ]  # fmt: skip


@options.command()
@options.images()
@options.lpips(required=True)
@click.option("--recipe", type=options.FILE, required=True, help="Whose loss is meant.")
@options.model()
@options.out()
def main(images: Path, lpips: Path, recipe: Path, model: str | None, out: Path | None) -> None:
    """Measure what a bit brings at every level."""
    entry = find(model)
    net, judge, wanted = load_packed(check(entry) / WEIGHTS), LPIPS(lpips), read_recipe(recipe)
    found: dict[str, Any] = {
        path.name: measured(net, np.asarray(load_rgb(path)), judge, wanted.loss) for path in pictures(images)
    }
    levels = slopes(np.mean(list(found.values()), 0))
    for row in levels:
        click.echo(f"level {row['level']:2}: {row['bpp']:.4f} bpp, {row['slope']:7.2f} for a bit per pixel; "
                   f"weight {row['weight']:.2f}")  # fmt: skip
    write_report(entry.name, {"columns": ["bpp", *PARTS], "levels": levels, "rows": found}, out)


if __name__ == "__main__":
    main()

"""Measures a network on a folder of pictures, level by level: bits per pixel of the integer prior, PSNR, LPIPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ltokc.losses.lpips import LPIPS
from ltokc.pictures.formats import FORMATS
from ltokc.tokenizer.nn.config import CELL
from ltokc.tokenizer.nn.ladder import Ladder, sent_mask
from ltokc.train.data.pictures import SUFFIXES


@torch.no_grad()
def evaluate_folder(net: Ladder, folder: Path, lpips: LPIPS) -> Iterator[dict[str, float]]:
    """Yields one row per number of levels kept: mean over the folder's pictures, cropped to multiples of 64 px."""
    device = next(net.parameters()).device
    levels = net.config.levels
    rows = np.zeros((len(levels), 3))
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    for path in paths:
        picture = np.array(Image.open(path, formats=FORMATS).convert("RGB"))
        height, width = (n // CELL * CELL for n in picture.shape[:2])
        x = torch.from_numpy(picture[:height, :width]).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        keep = torch.ones(1, 1, height // CELL, width // CELL, device=device)
        everything = [sent_mask(keep * len(levels), k, level.stride) for k, level in enumerate(levels)]
        digits = net.tokenize(x, everything)
        bits = net.bits(digits, net.prior(digits, everything), everything)[0].cumsum(0) / (height * width)
        for n in range(1, len(levels) + 1):
            masks = [m if k < n else torch.zeros_like(m) for k, m in enumerate(everything)]
            y = net.detokenize([d * m for d, m in zip(digits, masks, strict=True)], masks)
            mse = (((y - x) * 127.5).round() ** 2).mean().item()
            rows[n - 1] += (bits[n - 1].item(), 10 * np.log10(255**2 / max(mse, 1e-9)), lpips(y, x).item())
    for n, (bpp, psnr, distance) in enumerate(rows / max(1, len(paths)), 1):
        yield {"levels": n, "bpp": round(bpp, 5), "psnr": round(psnr, 3), "lpips": round(distance, 5)}

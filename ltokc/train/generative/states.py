"""What the generator learns from: the frozen decoder's tensors and the originals, of crops at many depths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

from ltokc.codec import encode, tokens
from ltokc.geometry import CELL, Level
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.nn.ladder import Ladder, sent_mask
from ltokc.train.data.crops import Crops
from ltokc.train.data.pictures import Pictures
from ltokc.train.generative.recipe import StatesRecipe

DEPTHS = 2  # of each window
LEAST_SIDE = 200  # px, below which no picture is made smaller

Told = tuple[list[torch.Tensor], list[torch.Tensor]]  # a level each: digits (B, d, h, w), whether sent (B, 1, h, w)


@dataclass(frozen=True, slots=True)
class States:
    """A batch: `f8` (B, c, s/8, s/8) and `f4` (B, c, s/4, s/4) float, `original` (B, 3, s, s) in [-1, 1].

    `text`: float (B,), 1 for crops of a page of synthetic text, else 0.
    """

    f8: torch.Tensor
    f4: torch.Tensor
    original: torch.Tensor
    text: torch.Tensor


class FrozenDecoder:
    """The networks of a packed model, without the prior, for reading only."""

    def __init__(self, weights: Path, device: str = "cpu"):
        with safe_open(weights, "pt") as f:
            net = Ladder(LadderConfig.from_json(f.metadata()["config"]))
            state = {k: f.get_tensor(k).float() for k in f.keys() if not k.startswith("prior.")}  # noqa: SIM118
        del net.prior
        net.load_state_dict(state)
        self.net = net.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self.device, self.levels = device, net.config.levels

    def faithful(self, f4: torch.Tensor) -> torch.Tensor:
        """The faithful picture (B, 3, H, W), clamped to [-1, 1], float32."""
        return self.net.picture_of(f4).clamp(-1, 1)


class StateSource:
    """Draws windows of pictures, tokenizes them, and cuts crops of the decoder's tensors.

    depth_of: levels kept of an ordinary picture at a quality 0..1; model: name or id of the decoder's model, None for
    the default one, with which the recipe's `encoded` share is encoded.
    """

    def __init__(
        self,
        decoder: FrozenDecoder,
        pictures: Pictures,
        recipe: StatesRecipe,
        depth_of: Callable[[float], float],
        model: str | int | None = None,
    ):
        self.decoder, self.pictures, self.recipe, self.depth_of = decoder, pictures, recipe, depth_of
        self.model = model

    def window(self, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
        """(h, w, 3) uint8, sides multiples of 64 between the crop's and the window's; whether it is a page of text."""
        recipe, u = self.recipe, rng.random()
        synthetic = Crops(self.pictures, recipe.window, 1, rng)
        if u < recipe.text:
            return synthetic.text(), True
        if u < recipe.text + recipe.smooth:
            return (_flat(rng, recipe.window) if rng.random() < 0.3 else synthetic.smooth()), False
        while True:
            picture = self.pictures[int(rng.integers(len(self.pictures)))]
            factor = min(rng.uniform(1.2, 2.0), min(picture.shape[:2]) / LEAST_SIDE)
            if rng.random() < recipe.shrunk and factor > 1:
                size = round(picture.shape[1] / factor), round(picture.shape[0] / factor)
                picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
            height, width = (min(recipe.window, side // CELL * CELL) for side in picture.shape[:2])
            if min(height, width) >= recipe.crop + 8:
                break
        top, left = (int(rng.integers(a - b + 1)) for a, b in zip(picture.shape, (height, width), strict=False))
        part = picture[top : top + height, left : left + width]
        return (part[:, ::-1] if rng.random() < 0.5 else part), False

    def quality(self, rng: np.random.Generator) -> float:
        """A quality, 0 to 1, as the recipe spreads them."""
        return float(rng.uniform(0, 0.1) if rng.random() < self.recipe.low else rng.uniform(*self.recipe.quality))

    def depths(self, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        """Levels kept per cell, float32 (rows, columns): one depth for all, or one a cell around a common one."""
        recipe = self.recipe
        keep = np.full((rows, columns), self.depth_of(self.quality(rng)) + rng.normal(0, 0.35))
        if rng.random() < 0.6:
            keep = np.round(keep + rng.normal(0, 0.6, keep.shape))
        keep = np.clip(keep, 0.5 if rng.random() < 0.15 else 1, len(self.decoder.levels))
        if rng.random() < recipe.lost:
            keep = np.where(rng.random(keep.shape) < 0.1, keep * rng.random(keep.shape), keep)
        return keep.astype(np.float32)

    @torch.no_grad()
    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Crops of one window: f8, f4 as float16, originals (n, 3, crop, crop) and whether text (n,) as uint8."""
        side = self.recipe.crop
        window, text = self.window(rng)
        picture = np.array(window)
        digits, masks = (self.encoded if rng.random() < self.recipe.encoded else self.tokenized)(picture, rng)
        decodes = len(digits[0])
        wrong = np.where(rng.random(decodes) < self.recipe.wrong, 1 / 200, 0.0)
        told = [
            _changed(d, v, wrong, rng) * m for d, v, m in zip(digits, self.decoder.levels, masks, strict=True)
        ]  # fmt: skip
        f8, f4 = self.decoder.net.decoded_features(told, masks)
        count = max(1, min(self.recipe.crops, picture.shape[0] * picture.shape[1] // side**2))
        out: list[tuple[np.ndarray, ...]] = []
        for i in (i for i in range(decodes) for _ in range(count)):
            y, z = (int(rng.integers((n - side) // 8 + 1)) for n in picture.shape[:2])
            n = side // 8
            coarse = f8[i, :, y : y + n, z : z + n]
            fine = f4[i, :, 2 * y : 2 * (y + n), 2 * z : 2 * (z + n)]
            pixels = picture[y * 8 : y * 8 + side, z * 8 : z * 8 + side].transpose(2, 0, 1)
            out.append((coarse.half().cpu().numpy(), fine.half().cpu().numpy(), pixels))
        a, b, c = (np.stack(part) for part in zip(*out, strict=True))
        return a, b, c, np.full(len(c), text, np.uint8)

    def tokenized(self, picture: np.ndarray, rng: np.random.Generator) -> Told:
        """All tokens of a picture (H, W, 3) uint8, cut to `DEPTHS` depths."""
        decoder = self.decoder
        rows, columns = (n // CELL for n in picture.shape[:2])
        x = torch.from_numpy(picture).to(decoder.device).permute(2, 0, 1)[None].float().div(127.5).sub(1)
        scales = [CELL // level.stride for level in decoder.levels]
        full = [torch.ones(1, 1, rows * n, columns * n, device=decoder.device) for n in scales]
        digits = decoder.net.tokenize(x.contiguous(memory_format=torch.channels_last), full)
        keep = torch.from_numpy(np.stack([self.depths(rng, rows, columns) for _ in range(DEPTHS)]))[:, None]
        masks = [sent_mask(keep.to(decoder.device), k, v.stride) for k, v in enumerate(decoder.levels)]
        return [d.expand(DEPTHS, -1, -1, -1) for d in digits], masks

    def encoded(self, picture: np.ndarray, rng: np.random.Generator) -> Told:
        """The tokens of a picture (H, W, 3) uint8 as a file of one quality has them."""
        found = tokens(encode(picture, self.quality(rng), effort=1, patches="off", model=self.model))
        to = self.decoder.device
        digits = [torch.from_numpy(d.transpose(2, 0, 1)[None].copy()).float().to(to) for d in found.digits]
        masks = [torch.from_numpy(m[None, None].astype(np.float32)).to(to) for m in found.masks]
        return digits, masks


def _changed(digits: torch.Tensor, level: Level, share: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Digits of which a share, per picture, is replaced by random ones."""
    if not share.any():
        return digits
    hit = rng.random(digits.shape) < share[:, None, None, None]
    other = rng.integers(0, level.size, digits.shape) - (level.size - 1) / 2
    to = digits.device
    return torch.where(torch.from_numpy(hit).to(to), torch.from_numpy(other).float().to(to), digits)


def _flat(rng: np.random.Generator, side: int) -> np.ndarray:
    """One colour, or one gray."""
    colour = rng.integers(0, 256, 3) if rng.random() < 0.6 else np.repeat(rng.integers(0, 256), 3)
    return np.broadcast_to(colour.astype(np.uint8), (side, side, 3))

"""Pictures to label for the halting head: training pictures, and variants that look like what they lack.

Most training pictures are small and were resized, so that large and sharp photographs, grain and blur, pages of text,
noise and flat fields would be strange to a head that saw only them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFilter

from ltokc.geometry import CELL
from ltokc.train.data.crops import Crops
from ltokc.train.data.pictures import Pictures

LARGEST = 512  # side of a labelled picture
Picture = np.ndarray


def variants(pictures: Pictures, count: int, seed: int) -> Iterator[Picture]:
    """`count` pictures (H, W, 3) uint8, sides multiples of 64 up to 512; each depends on the seed and its number."""
    kinds = {
        _plain: 0.5, _enlarged: 0.22, _grainy: 0.1, _sharpened: 0.07, _shrunk: 0.05, _page: 0.04, _noise: 0.02,
    }  # fmt: skip
    shares = np.cumsum(list(kinds.values()))
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        make = list(kinds)[int(np.searchsorted(shares, (i + 0.5) / count * shares[-1]))]
        yield _crop(make(pictures, rng), rng)


def _any(pictures: Pictures, rng: np.random.Generator, least: int = 0) -> Picture:
    found = np.flatnonzero(pictures.index[:, 1:].min(1) >= least)
    return pictures[int(rng.choice(found))] if len(found) else pictures[int(rng.integers(len(pictures)))]


def _plain(pictures: Pictures, rng: np.random.Generator) -> Picture:
    return _any(pictures, rng, 320 if rng.random() < 0.6 else 0)


def _enlarged(pictures: Pictures, rng: np.random.Generator) -> Picture:
    """Softened by enlarging, mostly sharpened again, with some film grain: like a large photograph."""
    picture = Image.fromarray(_any(pictures, rng))
    factor = rng.uniform(1.3, 2.0)
    how = Image.Resampling.LANCZOS if rng.random() < 0.5 else Image.Resampling.BICUBIC
    picture = picture.resize((round(picture.width * factor), round(picture.height * factor)), how)
    if rng.random() < 0.7:
        picture = picture.filter(ImageFilter.UnsharpMask(float(rng.uniform(0.8, 2)), int(rng.integers(40, 180)), 0))
    return _with_grain(np.asarray(picture), max(0.0, float(rng.uniform(-1, 3.5))), True, rng)


def _grainy(pictures: Pictures, rng: np.random.Generator) -> Picture:
    return _with_grain(_any(pictures, rng), float(rng.uniform(1, 6)), rng.random() < 0.5, rng)


def _sharpened(pictures: Pictures, rng: np.random.Generator) -> Picture:
    picture = Image.fromarray(_any(pictures, rng))
    return np.asarray(picture.filter(ImageFilter.UnsharpMask(1.0, int(rng.integers(40, 140)), 0)))


def _shrunk(pictures: Pictures, rng: np.random.Generator) -> Picture:
    picture = Image.fromarray(_any(pictures, rng, 448))
    factor = rng.uniform(0.58, 0.8)
    size = (max(CELL, round(picture.width * factor)), max(CELL, round(picture.height * factor)))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _page(pictures: Pictures, rng: np.random.Generator) -> Picture:
    return Crops(pictures, 320, 1, rng).text()


def _noise(pictures: Pictures, rng: np.random.Generator) -> Picture:
    """A gray field or a slope with noise, from none to plenty."""
    field = np.full((256, 256, 3), rng.integers(0, 256, 3), float)
    field += rng.choice([0.0, 60.0]) * np.linspace(-1, 1, 256)[:, None, None] * rng.uniform(-1, 1, 3)
    field += rng.normal(0, rng.uniform(0, 60), (256, 256, int(rng.choice([1, 3]))))
    return np.clip(field, 0, 255).astype(np.uint8)


def _with_grain(picture: Picture, sigma: float, soft: bool, rng: np.random.Generator) -> Picture:
    h, w = picture.shape[:2]
    grain = rng.normal(0, sigma, (h, w, 1)) + rng.normal(0, sigma * rng.uniform(0, 0.6), (h, w, 3))
    if soft:
        grain = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1) + np.roll(grain, (1, 1), (0, 1))) / 2.2
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def _crop(picture: Picture, rng: np.random.Generator) -> Picture:
    h, w = (max(CELL, min(LARGEST, side) // CELL * CELL) for side in picture.shape[:2])
    y, x = (int(rng.integers(max(side - n, 0) + 1)) for side, n in zip(picture.shape[:2], (h, w), strict=True))
    return np.ascontiguousarray(picture[y : y + h, x : x + w])

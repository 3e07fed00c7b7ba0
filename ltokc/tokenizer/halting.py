"""Halting: predicts, without a decode, the picture's error and each cell's distortion and bits after every level.

KARL (Duggal et al. 2025) lets a tokenizer stop by itself once a wanted quality is reached.  Here a small network reads
the digits of all levels, which one pass of the encoder has made, and a few statistics of the pixels.  Rate control
makes depths of its predictions.  `ltokc.train.halting.fit` fits the network to what decodes of training pictures
really measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ltokc.errors import ModelError
from ltokc.geometry import CELL, Level, cells_of
from ltokc.tokenizer.tensors import read_tensors

if TYPE_CHECKING:
    from pathlib import Path


FILE = "halting.safetensors"
DIGIT_FEATURES = 3  # per level
PIXEL_FEATURES = 20
USUAL = "usual.bits"
_SSIM = np.float32(81)  # SSIMULACRA2's constant of structure, as a variance of 8-bit luma
_LEAST = np.float32(0.25)  # of a mean difference in 8-bit values, so that logarithms are bounded
FAR = 8.0  # standard deviations, beyond which a feature is not believed
FEW = 4  # samples of a side of the squares that variances are of
_STRIP = 2  # rows of cells that `pixel_features` works on at a time
Floats = npt.NDArray[np.float32]


class Prediction(NamedTuple):
    """After each level, all cells alike: errors (levels,) of the picture; distortion and bits (levels, rows, columns)
    of each cell, bits summed over the levels so far."""

    errors: npt.NDArray[np.float64]
    distortion: npt.NDArray[np.float64]
    bits: npt.NDArray[np.float64]


def digit_features(digits: Sequence[np.ndarray], levels: Sequence[Level]) -> Floats:
    """Of each cell and level: mean magnitude of its digits, share that is not zero, mean square; digits scaled to 1.

    digits: per level (rows * s, columns * s, d) int8, s = 64 / stride.  Returns (rows, columns, 3 * levels).
    """
    out = []
    for grid, level in zip(digits, levels, strict=True):
        scale = level.per_side
        rows, columns = grid.shape[0] // scale, grid.shape[1] // scale
        cells = np.abs(grid).reshape(rows, scale, columns, scale * level.digits)
        each = [(cells == v).view(np.uint8) for v in range(1, (level.size + 1) // 2)]
        counts = [np.add.reduce(found, 1, np.uint8).sum(2) for found in each]  # a cell has 16 rows of a level at most
        per, half = level.tokens * level.digits, (level.size - 1) / 2
        values = np.arange(1, len(counts) + 1)[:, None, None] / half
        shares = np.stack(counts) / per
        out += [(shares * values).sum(0), shares.sum(0), (shares * values * values).sum(0)]
    return np.stack(out, -1).astype(np.float32)


def pixel_features(rgb: npt.NDArray[np.uint8]) -> Floats:
    """What of each cell could be lost: differences of neighbours, and the share of structure in them, by scale.

    At scales 1, 1/2, 1/4 the logarithm of the mean difference of neighbours in luma, of its fourth-power mean, and of
    that in two colour differences; at these and 1/8 the mean, and the mean fourth power, of v / (v + c), v the variance
    of 4x4 px: the SSIM that is lost with all detail; spread and mean of luma, and strength of colour.
    rgb: (H, W, 3).  Returns (ceil(H / 64), ceil(W / 64), 20).
    """
    rows, columns = (cells_of(side) for side in rgb.shape[:2])
    out = np.empty((rows, columns, PIXEL_FEATURES), np.float32)
    for first in range(0, rows, _STRIP):
        strip = rgb[first * CELL : (first + _STRIP) * CELL]
        high = min(_STRIP, rows - first)
        if strip.shape[:2] != (full := (high * CELL, columns * CELL)):
            lack = [(0, whole - had) for whole, had in zip(full, strip.shape, strict=False)]
            strip = np.pad(strip, (*lack, (0, 0)), "edge")
        r, g, b = (strip[..., i].astype(np.float32) for i in range(3))
        luma, red, blue = 0.25 * (r + b) + 0.5 * g, r - g, b - 0.5 * (r + g)
        features: list[np.ndarray] = []
        for scale in range(4):
            if scale:
                luma, red, blue = (_halved(plane) for plane in (luma, red, blue))
            side = CELL >> scale
            if scale < 3:
                steps = _steps(luma)
                features.append(np.log(_LEAST + _means(steps, side)))
                features.append(np.log(_LEAST + _means((steps * steps) ** 2, side) ** 0.25))
                features.append(np.log(_LEAST + _means(_steps(red) + _steps(blue), side)))
            variance = np.maximum(_means(luma * luma, 4) - _means(luma, 4) ** 2, 0)
            lost = variance / (variance + _SSIM)
            features += [_means(lost, side // 4), _means((lost * lost) ** 2, side // 4)]
        mean = _means(luma, CELL >> 3)
        spread = np.maximum(_means(luma * luma, CELL >> 3) - mean * mean, 0)
        features += [np.log(1 + np.sqrt(spread)), mean / 64, np.sqrt(_means(red * red + blue * blue, CELL >> 3)) / 64]
        out[first : first + high] = np.stack(features, -1)
    return out


def _halved(plane: Floats) -> Floats:
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) * np.float32(0.25)


def _steps(plane: Floats) -> Floats:
    """Differences to the right and lower neighbour, absolute, summed; the last row and column repeat theirs."""
    out = np.zeros_like(plane)
    across = np.subtract(plane[:, 1:], plane[:, :-1], out=out[:, :-1])
    np.abs(across, out=across)
    down = plane[1:] - plane[:-1]
    out[:-1] += np.abs(down, out=down)
    return out


def _means(plane: Floats, side: int) -> Floats:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    if side != FEW:
        return plane.reshape(rows, side, columns, side).mean((1, 3))
    # the same sums in the same order: numpy takes longer for a few samples of a row than for the addition
    across = plane[:, ::FEW] + plane[:, 1::FEW]
    for i in range(2, FEW):
        across += plane[:, i::FEW]
    sums = across[::FEW] + across[1::FEW]
    for i in range(2, FEW):
        sums += across[i::FEW]
    sums /= np.float32(FEW * FEW)
    return sums


def with_context(cells: Floats) -> Floats:
    """Beside each cell's features: the mean over its 3x3 neighbours inside the picture, and over the whole picture."""
    padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), "edge")
    rows, columns = cells.shape[:2]
    around = np.zeros_like(cells)
    for y in range(3):
        for x in range(3):
            around += padded[y : y + rows, x : x + columns]
    whole = np.broadcast_to(cells.mean((0, 1)), cells.shape)
    return np.concatenate([cells, around / np.float32(9), whole], -1)


def picture_features(cells: Floats) -> Floats:
    """Mean and standard deviation of every feature over the cells: (2 * features,)."""
    return np.concatenate([cells.mean((0, 1)), cells.std((0, 1))])


class Head:
    """The fitted network.  Tensors are float32."""

    def __init__(self, tensors: dict[str, np.ndarray], levels: Sequence[Level]):
        self.tensors, self.levels = tensors, tuple(levels)
        features = DIGIT_FEATURES * len(self.levels) + PIXEL_FEATURES
        try:
            shapes = {name: tensors[name].shape for name in TENSORS}
        except KeyError as error:
            raise ModelError(f"{FILE} has no {error.args[0]}") from error
        if shapes["out.bias"] != (2 * len(self.levels),) or shapes["mean"] != (3 * features,):
            raise ModelError(f"{FILE} is of a model with other levels")
        if not all(np.isfinite(tensors[name]).all() for name in TENSORS):
            raise ModelError(f"{FILE} holds values that are no numbers")

    @classmethod
    def load(cls, path: Path, levels: Sequence[Level]) -> Head:
        """Raises ModelError on a file that is none of ours."""
        return cls(read_tensors(path), levels)

    @property
    def sensitivity(self) -> Floats:
        """(3, 6, 2, 3): what makes a distortion of a cell's moments (`ltokc.metrics.by_cell`)."""
        return self.tensors["slopes"]

    @property
    def usual_bits(self) -> Floats | None:
        """(levels,) bits of a cell up to every level, as the mean of the pictures that the head was fitted to.

        None: the head is one of those that do not say it.
        """
        return self.tensors.get(USUAL)

    def predict(self, digits: Sequence[np.ndarray], rgb: npt.NDArray[np.uint8]) -> Prediction:
        """Errors, distortion and bits of a picture, without a decode.

        digits: of all levels, per level (rows * s, columns * s, d) int8; rgb: the picture (H, W, 3).
        """
        cells = np.concatenate([digit_features(digits, self.levels), pixel_features(rgb)], -1)
        return predict(self.tensors, cells)


def predict(tensors: dict[str, np.ndarray], cells: Floats) -> Prediction:
    """What a head's tensors predict from features (rows, columns, features)."""
    t, levels = tensors, len(tensors["pooled"])
    x = np.clip((with_context(cells) - t["mean"]) / t["deviation"], -FAR, FAR)
    hidden = np.maximum(x @ t["hidden.weight"].T + t["hidden.bias"], 0)
    out = (hidden @ t["out.weight"].T + t["out.bias"]).transpose(2, 0, 1).astype(np.float64)
    distortion = np.exp(np.minimum.accumulate(out[:levels], 0))
    about = np.clip((picture_features(cells) - t["picture.mean"]) / t["picture.deviation"], -FAR, FAR)
    logs = np.log(distortion.mean((1, 2))) * t["pooled"] + about @ t["picture.weight"].T + t["picture.bias"]
    errors = np.exp(np.minimum.accumulate(logs.astype(np.float64)))
    return Prediction(errors, distortion, np.exp(out[levels:]).cumsum(0))


TENSORS = (
    "slopes", "mean", "deviation", "hidden.weight", "hidden.bias", "out.weight", "out.bias",
    "picture.mean", "picture.deviation", "picture.weight", "picture.bias", "pooled",
)  # fmt: skip

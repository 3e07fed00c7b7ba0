"""Fits what coarse digits do to the colour of large areas (`ltokc.tokenizer.colour`) to decodes of training pictures.

A picture is decoded after some level, and again with some of the digits of one level moved by one, for every coarse
level.  The differences of the means of 16x16 pixels are regressed on the moves, those inside the areas on their number.
Needs the decoder alone: the tokenizer may be another one later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ltokc.geometry import Level, Size
from ltokc.metrics.colour import SIDE
from ltokc.rate.plan import uniform
from ltokc.token_grid import Tokens
from ltokc.tokenizer.colour import ColourResponse, LevelResponse, coarse
from ltokc.tokenizer.windows import Networks

MOVED = {64: 0.06, 32: 0.05, 16: 0.04}  # share of the digits of a stride
KEEPS = (2, 9)  # levels kept, from and up to
RIDGE = 1.0
LEAST = 1e-4  # of a value's share, so that bits are bounded


def fit(pictures: Iterable[np.ndarray], networks: Networks, seed: int = 0) -> ColourResponse:
    """From pictures (H, W, 3) uint8 whose sides are multiples of 64."""
    rng, sums = np.random.default_rng(seed), [_Sums(level) for level in coarse(networks.levels)]
    for rgb in pictures:
        size, tokens = Size.of(rgb), networks.tokenize(rgb)
        for k, each in enumerate(sums):
            each.count(tokens.digits[k])
        keep = int(rng.integers(*KEEPS))
        kept = tokens.only(uniform(keep, tuple(size.grid)).masks(networks.levels))
        base = networks.detokenize(kept, size).astype(np.float32)
        for k, each in enumerate(sums[:keep]):
            digits = list(kept.digits)
            digits[k], moves = each.moved(digits[k], rng)
            other = networks.detokenize(Tokens(kept.levels, digits, kept.masks), size)
            each.add(moves, other - base)
    return ColourResponse(tuple(each.solved() for each in sums))


class _Sums:
    """Normal equations of one level."""

    def __init__(self, level: Level):
        self.level, self.side = level, level.stride // SIDE
        around = 9 * level.digits
        self.moves, self.changes = np.zeros((around, around)), np.zeros((around, self.side**2 * 3))
        self.counts, self.texture = np.zeros((level.digits, level.digits)), np.zeros((level.digits, 2))
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # moves, their number, changes of means
        self.values = np.zeros((level.digits, level.size))

    def count(self, digits: np.ndarray) -> None:
        """Counts how often each value occurs."""
        for value in range(self.level.size):
            self.values[:, value] += (digits == value - self.level.size // 2).sum((0, 1))

    def moved(self, digits: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Some digits moved by one, and the moves (rows, columns, d)."""
        half = self.level.size // 2
        step = (rng.random(digits.shape) < MOVED[self.level.stride]) * rng.choice([-1, 1], digits.shape)
        new = np.clip(digits + step, -half, half).astype(np.int8)
        return new, (new - digits).astype(float)

    def add(self, moves: np.ndarray, change: np.ndarray) -> None:
        """Moves (rows, columns, d) and what they did to the pixels (H, W, 3)."""
        rows, columns, digits = moves.shape
        areas = _areas(change)
        mean = areas.mean(2)
        inside = areas - mean[:, :, None]
        luma = inside @ np.array([0.299, 0.587, 0.114])
        texture = np.stack([np.square(luma).mean(2), np.square(inside - luma[..., None]).sum(-1).mean(2)], -1)
        padded = np.pad(moves, ((1, 1), (1, 1), (0, 0)))
        near = [padded[a : a + rows, b : b + columns].reshape(-1, digits) for a in range(3) for b in range(3)]
        features, side = np.concatenate(near, -1), self.side
        split = mean.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)
        self.moves += features.T @ features
        self.changes += features.T @ split
        number = sum(np.square(each) for each in near)
        self.counts += number.T @ number
        self.seen.append((features, number, split))
        self.texture += number.T @ texture.reshape(rows, side, columns, side, 2).sum((1, 3)).reshape(-1, 2)

    def solved(self) -> LevelResponse:
        side, digits = self.side, self.level.digits
        weights = np.linalg.solve(self.moves + RIDGE * np.eye(len(self.moves)), self.changes)
        # a token at offset (a, b) of the areas it changes: those lie at the opposite offset of the token
        turned = weights.reshape(3, 3, digits, side, side, 3)[::-1, ::-1]
        kernels = turned.transpose(2, 0, 3, 1, 4, 5).reshape(digits, 3 * side, 3 * side, 3)
        missed = sum(n.T @ np.square(y - f @ weights).sum(1, keepdims=True) for f, n, y in self.seen)
        squares = np.concatenate([self.texture, missed], 1)
        texture = 9 * np.linalg.solve(self.counts + RIDGE * np.eye(digits), squares)
        shares = self.values / self.values.sum(1, keepdims=True)
        bits = -np.log2(np.maximum(shares, LEAST))
        kinds: Sequence[np.ndarray] = kernels, np.maximum(texture, 0), bits
        return LevelResponse(*(np.ascontiguousarray(each, np.float32) for each in kinds))


def _areas(change: np.ndarray) -> np.ndarray:
    """(H, W, 3) by areas: (H / 16, W / 16, 256, 3)."""
    high, wide = change.shape[0] // SIDE, change.shape[1] // SIDE
    split = change.reshape(high, SIDE, wide, SIDE, 3).transpose(0, 2, 1, 3, 4)
    return split.reshape(high, wide, SIDE * SIDE, 3)

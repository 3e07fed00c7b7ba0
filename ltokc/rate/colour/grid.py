"""The colour grid of a file (chunk cOLr): what large areas of the decode lack, where that is worth its bytes.

The values at the points are those whose blend is nearest to the lacking means of 16x16 pixels (least squares, and a
ridge that keeps them from swinging), rounded to steps.  Of several spacings and steps that is taken whose error and
bytes cost least:

    sum of squared differences, CIE76, over areas of 16x16 pixels  +  worth of a byte, times bytes of the chunk

Then single values move by one step while that gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.container.chunks import COLOUR
from ltokc.container.colour import LARGEST_VALUE, WHOLE, Head
from ltokc.container.records import Chunk, Ltk
from ltokc.entropy.colour import (
    FIRST,
    FROM_BLUE,
    FROM_RED,
    MOST_QUARTERS,
    SHAPES,
    counts_of,
    differences,
    encode,
    quarters,
)
from ltokc.geometry import CELL
from ltokc.metrics.colour import SIDE
from ltokc.rate.colour.digits import GRAY, Means, total

SMOOTH_BYTE = 1.0  # worth of a byte in flat fields and gradients, where nothing hides an error
SHARE = 22.0  # in other pictures: worth of as many bytes as the tokens take, for every area
OVERHEAD = 10  # bytes of a chunk beside its data
QUARTERS = 4  # of an 8-bit step, is the unit of the grid
CHOICES = ((0, (12,)), (1, (8, 10, 12, 15, 18, 24)))  # fineness, and steps in quarters
SMOOTH_CHOICES = (
    (WHOLE, (1, 2, 4)), (0, (1, 2, 3, 4, 6, 8, 12, 16)), (1, (2, 4, 6, 8, 12, 16)),
)  # fmt: skip
SWEEPS = 2  # of moves by one step
USUAL_BITS = np.array([0.6, 4.0, 5.5, 7.0, 8.5, 10.0, 11.5, 13.0])  # of a value, before there is any
RIDGE = 0.05
LARGEST_DATA = 1 << 31
MOST = 0.25
OF_RGB = np.linalg.inv(
    np.array([[1, 0, 1], [1, -FROM_BLUE / 256, -FROM_RED / 256], [1, 1, 0]])
).astype(np.float32)  # luma, blue and red of red, green, blue  # fmt: skip
TO_RGB = np.linalg.inv(OF_RGB).astype(np.float32)
_FIRST_WEIGHTS = np.array(FIRST) / 256
_DECAYS = (16 * np.arange(SHAPES) + 8) / 256
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


def with_grid(ltk: Ltk, means: Means | None, size: int | None = None) -> Ltk:
    """The record with a colour grid, if that pays.

    means: of the picture and of what its tokens decode to, as far as is known, None where nothing is; size: of the
    file, in bytes, of which a grid takes `MOST` at most.
    """
    most = LARGEST_DATA if size is None else int(MOST * size)
    data = None if means is None else best_grid(means, most).data
    return ltk if data is None else ltk.with_chunks((Chunk(COLOUR, data), *ltk.chunks))


def worth_of_byte(areas: int, tokens: float, smooth: bool) -> float:
    """What a byte of the grid has to save, as a sum of squared differences over `areas`; tokens: their bytes."""
    return SMOOTH_BYTE if smooth else SHARE * areas / max(tokens, 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """data: of the chunk, None for no grid; cost: error that is left, and bytes, as squared differences, CIE76; given:
    what it adds to the means, (rows * 4, columns * 4, 3) or nothing.
    """

    data: bytes | None
    cost: float
    given: Floats | float = 0.0


def best_grid(means: Means, most: int = LARGEST_DATA) -> Grid:
    """The grid whose cost is least, or none; of `most` bytes at most with all that a chunk takes."""
    residual = means.residual
    best = Grid(None, total(residual, means.metric))
    tries: list[tuple[float, _Lattice, int, Integers]] = []
    for fineness, steps in SMOOTH_CHOICES if means.smooth else CHOICES:
        work = _Lattice.of(means, fineness)
        tries += [work.tried(step) for step in steps]
    _, work, step, values = min(tries, key=lambda each: each[0])
    values = work.moved(values, step)
    data, given = work.data(values, step), work.given(values, step)
    cost = total(residual - given, means.metric) + means.byte * (len(data) + OVERHEAD)
    return Grid(data, cost, given) if len(data) + OVERHEAD <= most and cost < best.cost else best


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Points of one fineness and what they do to the means.

    blends: what a value adds to the mean of each area along a side, (areas, points), of y and x; exact: values that fit
    best, (planes, rows, columns), 8-bit steps; lacking: (h, w, planes) of luma and colour differences; metric: (h, w,
    planes, planes), of their squared difference; bit: worth of one.
    """

    fineness: int
    blends: tuple[Floats, Floats]
    exact: Floats
    lacking: Floats
    metric: Floats
    bit: float

    @classmethod
    def of(cls, means: Means, fineness: int) -> _Lattice:
        residual, metric = means.residual, means.metric
        to_rgb = np.ones((3, 1), np.float32) if means.gray else TO_RGB
        lacking = (residual @ GRAY)[..., None] if means.gray else residual @ OF_RGB.T
        metric = (to_rgb.T @ metric @ to_rgb).astype(np.float32)
        spacing = CELL >> fineness
        y, x = (
            np.ones((areas, 1), np.float32) if fineness == WHOLE else _blend(areas, spacing)
            for areas in residual.shape[:2]
        )
        exact = np.einsum("iy,yxc,jx->cij", _inverse(y), lacking, _inverse(x), optimize=True)
        return cls(fineness, (y, x), exact, lacking, metric, means.byte / 8)

    def tried(self, step: int) -> tuple[float, _Lattice, int, Integers]:
        """(cost, self, step, values) of the exact ones rounded, those near to zero the more so."""
        unit = step / QUARTERS
        at = np.abs(self.exact) / unit
        weights = self._squares(np.einsum("yxcc->yxc", self.metric)) * unit * unit
        values, bits = np.rint(at).astype(np.int64), USUAL_BITS
        values = values.clip(0, min(LARGEST_VALUE, MOST_QUARTERS // step))
        for _ in range(2):
            saved = bits[(values - 1).clip(0, len(bits) - 1)] - bits[values.clip(0, len(bits) - 1)]
            lower = (values > 0) & (weights * (2 * (at - values) + 1) < -self.bit * saved)
            values = values - lower
        values = np.where(self.exact < 0, -values, values)
        left = self.lacking - self._means(values, step)
        cost = float((left * (self.metric @ left[..., None])[..., 0]).sum()) + self.bit * self._bits(values)
        return cost, self, step, values

    def moved(self, values: Integers, step: int) -> Integers:
        """Values that move by one step where that gains; those that share no area at the same time."""
        unit, (y, x), values = np.float32(step / QUARTERS), self.blends, values.copy()
        left = self.lacking - self._means(values, step)
        largest = min(LARGEST_VALUE, MOST_QUARTERS // step)
        squares = self._squares(np.einsum("yxcc->yxc", self.metric)) * unit * unit
        for sweep in range(SWEEPS * 4):
            places = np.s_[sweep % 4 // 2 :: 2, sweep % 2 :: 2]
            bits = self._bits_of_values(values)
            for c, plane in enumerate(values):
                pull = y.T @ np.einsum("yxd,yxd->yx", self.metric[:, :, c], left) @ x * unit
                here, gains = np.abs(plane), []
                for way in (-1, 1):
                    cost = bits[c][np.abs(plane + way).clip(0, largest)] - bits[c][here]
                    gains.append(
                        np.where(np.abs(plane + way) > largest, 0, 2 * way * pull - squares[c] - self.bit * cost)
                    )
                move = np.where(gains[0] > np.maximum(gains[1], 0), -1, gains[1] > 0)
                step_ = np.zeros_like(plane)
                step_[places] = move[places]
                plane += step_
                left[..., c] -= y @ step_.astype(np.float32) @ x.T * unit
        return values

    def given(self, values: Integers, step: int) -> Floats:
        """What values add to the means of red, green and blue."""
        y, x = self.blends
        return np.einsum("yi,cij,xj->yxc", y, quarters(values, step).astype(np.float32) / QUARTERS, x, optimize=True)

    def data(self, values: Integers, step: int) -> bytes:
        """The chunk's data, the shorter of values as they are and of differences."""
        found = []
        for told in (False, True):
            symbols = differences(values) if told else values
            largest = int(np.abs(symbols).max(initial=1))
            if largest <= LARGEST_VALUE:
                shapes = tuple(_shape_of(plane)[0] for plane in _histograms(symbols, largest))
                found.append(encode(values, Head(self.fineness, step, told, largest, shapes)))
        return min(found, key=len)

    def _means(self, values: Integers, step: int) -> Floats:
        y, x = self.blends
        scaled = values.astype(np.float32) * np.float32(step / QUARTERS)
        return np.einsum("yi,cij,xj->yxc", y, scaled, x, optimize=True)

    def _squares(self, field: Floats) -> Floats:
        """Squares of what each point adds, weighed by (h, w, planes): (planes, rows, columns)."""
        y, x = self.blends
        return np.einsum("yi,yxc,xj->cij", y * y, field, x * x, optimize=True)

    def _bits(self, values: Integers) -> float:
        """About the bits of the chunk's stream."""
        found = []
        for symbols in (values, differences(values)):
            largest = int(np.abs(symbols).max(initial=1))
            if largest <= LARGEST_VALUE:
                found.append(sum(_shape_of(plane)[1] for plane in _histograms(symbols, largest)))
        return min(found)

    def _bits_of_values(self, values: Integers) -> list[npt.NDArray[np.float64]]:
        """Bits of each magnitude, for each plane, at the distribution that these values have."""
        largest = LARGEST_VALUE
        return [
            -np.log2(counts_of(_shape_of(plane)[0], largest)[largest:] / 65536)
            for plane in _histograms(values, largest)
        ]  # fmt: skip


def _histograms(values: Integers, largest: int) -> Sequence[Integers]:
    """How often each magnitude occurs: (largest + 1,) for each plane."""
    return [np.bincount(np.abs(plane).ravel(), minlength=largest + 1) for plane in values]


def _shape_of(histogram: Integers) -> tuple[tuple[int, int], float]:
    """The shape whose probabilities fit magnitudes that occur so often, and the bits that they take."""
    zeros, ones, others = histogram[0], histogram[1], histogram[2:]
    above = (others * np.arange(1, len(others) + 1)).sum()
    first, decay = _FIRST_WEIGHTS, _DECAYS
    mass = 1 + 2 * first[:, None] / (1 - decay)
    bits = (zeros + ones + others.sum()) * np.log2(mass) - (ones + others.sum()) * np.log2(first)[:, None]
    bits -= above * np.log2(decay)
    i, j = divmod(int(bits.argmin()), SHAPES)
    return (i, j), float(bits[i, j])


def _blend(areas: int, spacing: int) -> Floats:
    """What each point's value adds to the mean of each area along a side: (areas, points)."""
    points = areas * SIDE // spacing
    at = (np.arange(areas * SIDE) + 0.5) / spacing - 0.5
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)
    out = np.zeros((areas * SIDE, points), np.float32)
    pixels = np.arange(areas * SIDE)
    np.add.at(out, (pixels, low.clip(0, points - 1)), 1 - share)
    np.add.at(out, (pixels, (low + 1).clip(0, points - 1)), share)
    return out.reshape(areas, SIDE, points).mean(1)


def _inverse(blend: Floats) -> Floats:
    """Least squares of a blend, with a ridge: (points, areas)."""
    return np.linalg.solve(blend.T @ blend + RIDGE * np.eye(blend.shape[1], dtype=np.float32), blend.T)

"""Rate control: from a wanted quality, size or number of tokens to a depth for every cell.

Depths minimise D + lambda R, the sum of the cells' distortion plus a multiplier times the sum of their bits (Shoham and
Gersho 1988).  Both are predicted (`ltokc.tokenizer.halting`) or measured.  A wanted quality fixes D, a wanted size R;
either way the depths of all cells rise together.

A model's table has (quality, error) pairs, between which logarithms of errors are interpolated.  Below its first
quality the target rises to what one level gives at q = 0, above the last it falls to what all give at q = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.geometry import Grid, Level
from ltokc.rate.curves import RDCurves
from ltokc.token_grid import Masks, first_tokens, full_masks, tokens_of_keep

Table = Sequence[tuple[float, float]]
Depths = npt.NDArray[np.int64]
_DEPTH_BITS = (0.75, 2.0)  # of a depth that is as predicted, and for every level that it is off (LTK.md, section 4)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many levels each cell keeps.

    depths: (rows, columns) of cells; keep: with the same depth for all cells, that as a fraction, for no depth map;
    dropped_tail: otherwise, how many tokens of the depths to leave out at the end.
    """

    depths: Depths
    keep: float | None = None
    dropped_tail: int = 0

    @property
    def grid(self) -> Grid:
        """Rows and columns of cells."""
        return Grid(*self.depths.shape)

    @property
    def levels_kept(self) -> npt.NDArray[np.float64]:
        """Levels of each cell, a fraction for a part of one where all are alike; what the dropped tail takes apart."""
        return self.depths.astype(np.float64) if self.keep is None else np.full(self.depths.shape, self.keep)

    def distortion(self, curves: RDCurves) -> npt.NDArray[np.float64]:
        """What is expected of each cell, (rows, columns)."""
        if self.keep is not None:
            return curves.at(self.keep)
        return np.take_along_axis(curves.distortion, self.depths[None] - 1, 0)[0]

    def masks(self, levels: Sequence[Level]) -> Masks:
        """Positions whose tokens are sent, of the picture as one segment: per level bool (rows * s, columns * s)."""
        masks = full_masks(levels, *self.grid, self.depths)
        if self.keep is not None:
            left = tokens_of_keep(self.keep, [int(mask.sum()) for mask in masks])
        else:
            left = sum(int(mask.sum()) for mask in masks) - self.dropped_tail
        out = []
        for mask in masks:
            out.append(first_tokens(mask, max(left, 0)))
            left -= int(mask.sum())
        return out


def uniform(keep: float, shape: tuple[int, ...]) -> Plan:
    """The plan of the same depth for all (rows, columns) cells, a fraction for a part of a level."""
    return Plan(np.full(shape, math.ceil(keep), np.int64), keep)


def error_of_quality(quality: float, quality_errors: Table) -> float:
    """The error wanted at a quality within the table; outside it, its end's."""
    table = np.asarray(quality_errors, float)
    return float(np.exp(np.interp(quality, table[:, 0], np.log(table[:, 1]))))


def target_distortion(quality: float, quality_errors: Table, curves: RDCurves, error_left: float = 1.0) -> float:
    """Mean distortion of a cell wanted at a quality; never rises with the quality.

    error_left: error after the search for digits, as a share of the error before it.
    """
    first, last = quality_errors[0][0], quality_errors[-1][0]
    distortion = distortion_of_error(error_of_quality(quality, quality_errors) / error_left, curves)
    means = curves.distortion.mean((1, 2))
    if quality < first:
        return float(np.exp(np.interp(quality, [0, first], np.log([max(means[0], distortion), distortion]))))
    if quality > last:
        return float(np.exp(np.interp(quality, [last, 1], np.log([distortion, min(means[-1], distortion)]))))
    return distortion


def distortion_of_error(error: float, curves: RDCurves) -> float:
    """Mean distortion of the cells of a picture that is expected to have this error; within what its levels reach."""
    means = np.log(curves.distortion.mean((1, 2)))
    return float(np.exp(np.interp(-np.log(error), -np.log(curves.errors), means)))


def keep_for_distortion(distortion: float, curves: RDCurves, least: float = 1.0) -> float:
    """Levels that all cells need for a mean distortion of at most this: `least` to all, or a part of one."""
    means = curves.distortion.mean((1, 2))
    if distortion >= means[0] * (1 - 1e-9):
        return least
    if distortion <= means[-1] * (1 + 1e-9):
        return float(len(means))
    level = int(np.searchsorted(-means, -distortion))  # the first that reaches it
    return max(least, level + 1 - _share(means[level - 1], means[level], distortion))


def plan_for_distortion(distortion: float, curves: RDCurves, tokens: Sequence[int], least: float = 1.0) -> Plan:
    """The fewest bits for a mean distortion of at most this, every cell with `least` levels or more (rounded).

    tokens: of one cell after 1, 2, ... levels.
    """
    keep, shape = keep_for_distortion(distortion, curves, least), curves.distortion.shape[1:]
    if keep in (least, float(len(curves.distortion))):
        return uniform(keep, shape)
    coarse, fine = _search(curves, lambda depths: _mean(curves.distortion, depths) <= distortion, round(least))
    if _bits(curves, fine) >= np.interp(keep, np.arange(1, len(tokens) + 1), curves.bits.sum((1, 2))):
        return uniform(keep, shape)
    share = _share(_mean(curves.distortion, coarse), _mean(curves.distortion, fine), distortion)
    count = np.asarray(tokens)
    return Plan(fine, dropped_tail=round(share * int(count[fine - 1].sum() - count[coarse - 1].sum())))


def keep_for_bits(bits: float, curves: RDCurves) -> float:
    """Levels of all cells that take about so many bits, 1 to all."""
    return float(np.interp(bits, curves.bits.sum((1, 2)), np.arange(1, len(curves.bits) + 1)))


def plan_for_bits(bits: float, curves: RDCurves, least: float = 1.0) -> Plan:
    """The least distortion for about so many bits, depth map included; the least plan that is expected to take more.

    least: levels of every cell (rounded).
    """
    keep, shape = keep_for_bits(bits, curves), curves.bits.shape[1:]
    if keep in (1.0, float(len(curves.bits))):
        return uniform(keep, shape)
    _, fine = _search(curves, lambda depths: _bits(curves, depths) >= bits, round(least))
    means = np.interp(keep, np.arange(1, len(curves.bits) + 1), curves.distortion.mean((1, 2)))
    return Plan(fine) if _mean(curves.distortion, fine) < means else uniform(math.ceil(keep), shape)


def plan_for_tokens(tokens: int, curves: RDCurves, of_cell: Sequence[int], least: float = 1.0) -> Plan:
    """The least distortion for the least number of tokens that is at least `tokens`.

    of_cell: tokens of a cell after 1, 2, ... levels; least: levels of every cell (rounded).
    """
    count = np.asarray(of_cell)
    if tokens >= count[-1] * curves.bits[0].size:
        return uniform(len(count), curves.bits.shape[1:])
    _, fine = _search(curves, lambda depths: int(count[depths - 1].sum()) >= tokens, round(least))
    return Plan(fine) if fine.min() < fine.max() else uniform(int(fine.max()), fine.shape)


def _search(curves: RDCurves, enough: Callable[[Depths], bool], least: int) -> tuple[Depths, Depths]:
    """The two neighbouring choices of the multiplier, the finer of which is `enough`."""
    low, high = -60.0, 60.0  # logarithm of the multiplier: everything, one level
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if enough(_chosen(curves, middle, least)) else (low, middle)
    return _chosen(curves, high, least), _chosen(curves, low, least)


def _chosen(curves: RDCurves, log_multiplier: float, least: int) -> Depths:
    distortion, bits = curves.distortion[least - 1 :], curves.bits[least - 1 :]
    return (distortion + 2.0**log_multiplier * bits).argmin(0) + least


def _mean(values: np.ndarray, depths: Depths) -> float:
    return float(np.take_along_axis(values, depths[None] - 1, 0).mean())


def _bits(curves: RDCurves, depths: Depths) -> float:
    """Bits expected of these depths and their map."""
    return float(np.take_along_axis(curves.bits, depths[None] - 1, 0).sum()) + map_bits(depths)


def map_bits(depths: Depths) -> float:
    """About what the depth map takes; nothing where all cells are alike."""
    if depths.min() == depths.max():
        return 0.0
    left, up = np.roll(depths, 1, 1), np.roll(depths, 1, 0)
    left[:, 0], up[0] = up[:, 0], left[0]
    off = np.abs(depths - (left + up + 1) // 2)
    off[0, 0] = 0
    return _DEPTH_BITS[0] * depths.size + _DEPTH_BITS[1] * float(off.sum())


def _share(coarse: float, fine: float, distortion: float) -> float:
    """The share of the step from the distortion `coarse` down to `fine` that is not needed for `distortion`."""
    return min(max((distortion - fine) / (coarse - fine), 0.0), 1.0) if coarse > fine else 0.0

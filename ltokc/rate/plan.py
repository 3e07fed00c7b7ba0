"""Rate control: from what is wanted, a look or a size, to a depth for every cell.

Cells get levels by gain per bit: depths minimise the sum of prices plus a multiplier times the sum of bits (Shoham and
Gersho 1988).  Prices and bits are the halting head's (`ltokc.tokenizer.halting`) or measured ones.  A wanted look fixes
the sum of prices, a wanted size the sum of bits; either way the depths of all cells rise together.

`-q` is a look: a model's table has (quality, error) pairs, between which logarithms of errors are interpolated.  Below
its first quality the target rises to what one level gives at q = 0, above the last it falls to what all give at q = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ltokc.entropy.prior import LevelShape
from ltokc.entropy.segment import Masks, first_tokens, full_masks, tokens_of_keep
from ltokc.tokenizer.halting import Outlook

Table = Sequence[tuple[float, float]]
Depths = npt.NDArray[np.int64]
_DEPTH_BITS = (0.75, 2.0)  # of a depth that is as predicted, and for every level that it is off (LTK.md, section 4)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many levels each cell keeps.  keep: with the same depth for all cells, that as a fraction, for no depth map;
    left_out: otherwise, how many tokens of the depths to leave out at the end."""

    depths: Depths
    keep: float | None = None
    left_out: int = 0

    def masks(self, levels: Sequence[LevelShape]) -> Masks:
        """Positions whose tokens are sent, of the picture as one segment: per level bool (rows * s, columns * s)."""
        rows, columns = self.depths.shape
        masks = full_masks(levels, rows, columns, self.depths)
        if self.keep is not None:
            left = tokens_of_keep(self.keep, [int(mask.sum()) for mask in masks])
        else:
            left = sum(int(mask.sum()) for mask in masks) - self.left_out
        out = []
        for mask in masks:
            out.append(first_tokens(mask, max(left, 0)))
            left -= int(mask.sum())
        return out


def alike(keep: float, shape: tuple[int, ...]) -> Plan:
    """The plan of the same depth for all (rows, columns) cells, a fraction for a part of a level."""
    return Plan(np.full(shape, math.ceil(keep), np.int64), keep)


def error_of_quality(quality: float, looks: Table) -> float:
    """The error wanted at a quality within the table; outside it, its end's."""
    table = np.asarray(looks, float)
    return float(np.exp(np.interp(quality, table[:, 0], np.log(table[:, 1]))))


def target_price(quality: float, looks: Table, outlook: Outlook, eased: float = 1.0) -> float:
    """Mean price of a cell wanted at a quality; never rises with the quality.

    eased: the share of the error that will be left by what comes after the plan.
    """
    first, last = looks[0][0], looks[-1][0]
    price = price_of_error(error_of_quality(quality, looks) / eased, outlook)
    means = outlook.prices.mean((1, 2))
    if quality < first:
        return float(np.exp(np.interp(quality, [0, first], np.log([max(means[0], price), price]))))
    if quality > last:
        return float(np.exp(np.interp(quality, [last, 1], np.log([price, min(means[-1], price)]))))
    return price


def price_of_error(error: float, outlook: Outlook) -> float:
    """Mean price of the cells of a picture that is expected to have this error; within what its levels reach."""
    means = np.log(outlook.prices.mean((1, 2)))
    return float(np.exp(np.interp(-np.log(error), -np.log(outlook.errors), means)))


def keep_for_price(price: float, outlook: Outlook, least: float = 1.0) -> float:
    """Levels that all cells need for a mean price of at most this, `least` to all, a fraction for a part of one."""
    means = outlook.prices.mean((1, 2))
    if price >= means[0] * (1 - 1e-9):
        return least
    if price <= means[-1] * (1 + 1e-9):
        return float(len(means))
    level = int(np.searchsorted(-means, -price))  # the first that reaches it
    return max(least, level + 1 - _share(means[level - 1], means[level], price))


def plan_for_price(price: float, outlook: Outlook, tokens: Sequence[int], least: float = 1.0) -> Plan:
    """The fewest bits for a mean price of at most this, every cell with `least` levels or more (rounded).

    tokens: of one cell after 1, 2, ... levels.
    """
    keep, shape = keep_for_price(price, outlook, least), outlook.prices.shape[1:]
    if keep in (least, float(len(outlook.prices))):
        return alike(keep, shape)
    coarse, fine = _search(outlook, lambda depths: _mean(outlook.prices, depths) <= price, round(least))
    if _bits(outlook, fine) >= np.interp(keep, np.arange(1, len(tokens) + 1), outlook.bits.sum((1, 2))):
        return alike(keep, shape)
    share = _share(_mean(outlook.prices, coarse), _mean(outlook.prices, fine), price)
    count = np.asarray(tokens)
    return Plan(fine, left_out=round(share * int(count[fine - 1].sum() - count[coarse - 1].sum())))


def keep_for_bits(bits: float, outlook: Outlook) -> float:
    """Levels of all cells that take about so many bits, 1 to all."""
    return float(np.interp(bits, outlook.bits.sum((1, 2)), np.arange(1, len(outlook.bits) + 1)))


def plan_for_bits(bits: float, outlook: Outlook, least: float = 1.0) -> Plan:
    """The best look for about so many bits, depth map included; the least plan that is expected to take more.

    least: levels of every cell (rounded).
    """
    keep, shape = keep_for_bits(bits, outlook), outlook.bits.shape[1:]
    if keep in (1.0, float(len(outlook.bits))):
        return alike(keep, shape)
    _, fine = _search(outlook, lambda depths: _bits(outlook, depths) >= bits, round(least))
    means = np.interp(keep, np.arange(1, len(outlook.bits) + 1), outlook.prices.mean((1, 2)))
    return Plan(fine) if _mean(outlook.prices, fine) < means else alike(math.ceil(keep), shape)


def plan_for_tokens(tokens: int, outlook: Outlook, of_cell: Sequence[int], least: float = 1.0) -> Plan:
    """The best look for the least number of tokens that is at least `tokens`, every cell with `least` levels (rounded).

    of_cell: tokens after 1, 2, ... levels.
    """
    count = np.asarray(of_cell)
    if tokens >= count[-1] * outlook.bits[0].size:
        return alike(len(count), outlook.bits.shape[1:])
    _, fine = _search(outlook, lambda depths: int(count[depths - 1].sum()) >= tokens, round(least))
    return Plan(fine) if fine.min() < fine.max() else alike(int(fine.max()), fine.shape)


def _search(outlook: Outlook, enough: Callable[[Depths], bool], least: int) -> tuple[Depths, Depths]:
    """The two neighbouring choices of the multiplier's, the finer of which is `enough`."""
    low, high = -60.0, 60.0  # logarithm of the multiplier: everything, one level
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if enough(_chosen(outlook, middle, least)) else (low, middle)
    return _chosen(outlook, high, least), _chosen(outlook, low, least)


def _chosen(outlook: Outlook, log_multiplier: float, least: int) -> Depths:
    prices, bits = outlook.prices[least - 1 :], outlook.bits[least - 1 :]
    return (prices + 2.0**log_multiplier * bits).argmin(0) + least


def _mean(values: np.ndarray, depths: Depths) -> float:
    return float(np.take_along_axis(values, depths[None] - 1, 0).mean())


def _bits(outlook: Outlook, depths: Depths) -> float:
    """Bits expected of these depths and their map."""
    return float(np.take_along_axis(outlook.bits, depths[None] - 1, 0).sum()) + map_bits(depths)


def map_bits(depths: Depths) -> float:
    """About what the depth map takes; nothing where all cells are alike."""
    if depths.min() == depths.max():
        return 0.0
    left, up = np.roll(depths, 1, 1), np.roll(depths, 1, 0)
    left[:, 0], up[0] = up[:, 0], left[0]
    off = np.abs(depths - (left + up + 1) // 2)
    off[0, 0] = 0
    return _DEPTH_BITS[0] * depths.size + _DEPTH_BITS[1] * float(off.sum())


def _share(coarse: float, fine: float, price: float) -> float:
    """The share of the step from the price `coarse` down to `fine` that is not needed for `price`."""
    return min(max((price - fine) / (coarse - fine), 0.0), 1.0) if coarse > fine else 0.0

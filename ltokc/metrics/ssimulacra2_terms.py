"""What SSIMULACRA2's error is a sum of, at one scale, and how every term changes with the decoded picture.

A *term* is a norm of one map of one channel: its mean, or its fourth-power norm.  The derivative of a term by a sample
of the map is known only up to a factor until the whole map is summed, so the derivatives here lack that factor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2_tiles import C2, GAINED, LOST, STRUCTURE

Array = npt.NDArray[np.float32]
LEAST_MOMENT = 1e-20  # is added to the mean fourth power, so that the slope of its root is finite


class Term(NamedTuple):
    """Its place in the arrays (channels, norms, maps)."""

    channel: int
    norm: int  # 0: mean, 1: fourth-power norm
    kind: int  # STRUCTURE, GAINED or LOST


def terms_of(wanted: npt.NDArray[np.bool_], channel: int) -> list[Term]:
    """The terms of a channel that are wanted, those of structure first; wanted: (channels, norms, maps)."""
    kinds = (STRUCTURE, GAINED, LOST)
    return [Term(channel, norm, kind) for kind in kinds for norm in range(2) if wanted[channel, norm, kind]]


def norm_of(moment: float, norm: int) -> float:
    """A term's value, given the mean of the map's first or fourth power."""
    return (moment + LEAST_MOMENT) ** 0.25 if norm else moment


def slope_of(moment: float, norm: int) -> float:
    """The factor that the derivatives lack, but for 1 / samples."""
    return (moment + LEAST_MOMENT) ** -0.75 if norm else 1.0


class Structure:
    """The structural difference x of a tile, and its derivatives by three blurred maps of the decoded picture.

    mean_a, mean_b: blurred a and b; squares: blurred a^2 + b^2; products: blurred a b.  The last two are overwritten.
    """

    def __init__(self, mean_a: Array, mean_b: Array, squares: Array, products: Array):
        gap = mean_a - mean_b
        closeness = gap * gap
        product = mean_a * mean_b
        products -= product
        products *= 2
        products += np.float32(C2)
        product *= 2
        product += closeness  # a^2 + b^2 of the means
        squares -= product
        squares += np.float32(C2)
        inverse = np.divide(1, squares, out=squares)
        np.subtract(1, closeness, out=closeness)
        likeness = np.multiply(closeness, products, out=product)
        likeness *= inverse
        self.map: Array = np.maximum(1 - likeness, 0)
        # x = 1 - closeness * products / squares
        gap *= products
        gap -= closeness * mean_a
        gap += likeness * mean_b
        gap *= inverse
        gap *= -2
        closeness *= inverse
        closeness *= -2
        likeness *= inverse
        self.by_mean, self.by_squares, self.by_products = gap, likeness, closeness

    def term(self, norm: int, out: Array) -> float:
        """Sum of the map's power; writes the derivatives by mean_b, squares and products to `out`, (3, h, w)."""
        total, outer = _outer(self.map, norm)
        for values, plane in zip((self.by_mean, self.by_squares, self.by_products), out, strict=True):
            np.multiply(values, outer, out=plane)
        return total


class Edges:
    """How much stronger the edges of b are than those of a, and the derivative by b - mean_b."""

    def __init__(self, a: Array, b: Array, mean_a: Array, mean_b: Array):
        below = a - mean_a
        np.abs(below, out=below)
        below += 1
        np.divide(1, below, out=below)
        edge = b - mean_b
        change = np.abs(edge)
        change += 1
        change *= below
        change -= 1
        self.change = change
        self.by_edge = np.copysign(below, edge, out=below)

    def term(self, kind: int, norm: int, out: Array) -> float:
        """Sum of the power of the edges that came to be or were lost; writes the derivative to `out`, (h, w)."""
        signed = self.change if kind == GAINED else -self.change
        total, outer = _outer(np.maximum(signed, 0), norm)
        np.multiply(self.by_edge, outer, out=out)
        if kind == LOST:
            np.negative(out, out=out)
        return total


def _outer(values: Array, norm: int) -> tuple[float, Array]:
    """Sum of the power, and the derivative of a sample's power, up to the factor that `slope_of` gives."""
    if not norm:
        return float(values.sum(dtype=np.float64)), (values > 0).astype(np.float32)
    cubes = values * values
    cubes *= values
    return float(np.einsum("yx,yx->y", cubes, values).sum(dtype=np.float64)), cubes

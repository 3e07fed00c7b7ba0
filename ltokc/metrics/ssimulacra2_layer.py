"""One scale of SSIMULACRA2 and its derivative: what is kept of it between the pass forward and the pass back.

Maps that are blurred lie in frames of zeros, RADIUS wide, so that a tile with what is around it is a view of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2_blur import RADIUS, blur_inside
from ltokc.metrics.ssimulacra2_terms import Edges, Structure, Term, norm_of, slope_of, terms_of
from ltokc.metrics.ssimulacra2_tiles import BIAS, OPSIN, STRUCTURE, B, X, Y

Array = npt.NDArray[np.float32]
Tile = tuple[slice, slice]
FRAME = 2 * RADIUS  # what both sides of a frame add to a side
INSIDE = (..., slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
CUBE_ROOT_OF_BIAS = np.cbrt(BIAS)
# the positive XYB as a mixture of the cube roots of the cones, and what is added to it
MIXTURE = np.array([[7, -7, 0], [0.5, 0.5, 0], [-0.5, -0.5, 1]], np.float32)
OFFSETS = np.array([0.42, 0.01 - CUBE_ROOT_OF_BIAS, 0.55], np.float32)
BACK = np.ascontiguousarray(OPSIN.T / 3)  # the derivative of a cube root c is 1 / (3 c^2)


class Layer:
    """A scale: `fill` it strip by strip, add up `measure` of its tiles in `sums`; then `gradient` gives its tiles."""

    def __init__(self, shape: tuple[int, int], wanted: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]):
        """wanted: the terms that count, (3 channels, 2 norms, 3 maps), maybe none; weights: theirs, of that shape."""
        height, width = shape
        self.shape, self.weights = shape, weights
        self.sums: npt.NDArray[np.float64] = np.zeros(weights.shape)
        self.channels = [c for c in (X, Y, B) if wanted[c].any()]
        self.terms = [terms_of(wanted, c) for c in self.channels]
        cones = 3 if B in self.channels else 2 if self.channels else 0
        self.cones: Array = np.empty((cones, height, width), np.float32)
        framed = (height + FRAME, width + FRAME)
        self.pair: Array = np.zeros((len(self.channels), 2, *framed), np.float32)
        # of every term the derivatives by the blurred maps, or for edges by what stands out of the blurred one
        self.slopes: list[list[Array]] = [
            [np.zeros((3 if term.kind == STRUCTURE else 1, *framed), np.float32) for term in terms]
            for terms in self.terms
        ]

    def fill(self, a: Array, b: Array, top: int) -> None:
        """Takes rows from `top` on of the original's and the decoded picture's linear light, (3, rows, W) each."""
        rows = slice(top, top + a.shape[1])
        if not self.channels:
            return
        for which, linear in enumerate((a, b)):
            cones = self.cones[:, rows] if which else np.empty((len(self.cones), *a.shape[1:]), np.float32)
            mixed = OPSIN[: len(cones)] @ linear.reshape(3, -1)
            mixed += BIAS
            np.cbrt(mixed.reshape(cones.shape), out=cones)
            for framed, channel in zip(self.pair, self.channels, strict=True):
                plane = framed[which][INSIDE][rows]
                if channel == X:
                    np.subtract(cones[0], cones[1], out=plane)
                    plane *= MIXTURE[X, 0]
                else:
                    np.add(cones[0], cones[1], out=plane)
                    plane *= MIXTURE[channel, 0]
                    if channel == B:
                        plane += cones[2]
                plane += OFFSETS[channel]

    def measure(self, tile: Tile) -> npt.NDArray[np.float64]:
        """Sums of the powers of the maps over a tile, (3 channels, 2 norms, 3 maps); keeps their derivatives."""
        sums = np.zeros((3, 2, 3))
        around = _around(tile)
        for pair, terms, slopes in zip(self.pair, self.terms, self.slopes, strict=True):
            a, b = pair[:, *around]
            structural = any(term.kind == STRUCTURE for term in terms)
            stack: Array = np.empty((4 if structural else 2, *a.shape), np.float32)
            stack[0], stack[1] = a, b
            if structural:
                np.multiply(a, a, out=stack[2])
                np.multiply(b, b, out=stack[3])
                stack[2] += stack[3]
                np.multiply(a, b, out=stack[3])
            mean_a, mean_b, *moments = blur_inside(stack)
            structure = Structure(mean_a, mean_b, *moments) if structural else None
            edges: Edges | None = None
            for term, framed in zip(terms, slopes, strict=True):
                out = framed[INSIDE][:, *tile]
                if structure is not None and term.kind == STRUCTURE:
                    sums[term] = structure.term(term.norm, out)
                else:
                    edges = edges or Edges(a[INSIDE], b[INSIDE], mean_a, mean_b)
                    sums[term] = edges.term(term.kind, term.norm, out[0])
        return sums

    def error(self) -> float:
        """What this scale adds to the error, once `sums` are those of all tiles."""
        return float(sum(self.weights[t] * norm_of(moment, t.norm) for t, moment in self._moments()))

    def factors(self, slope: float) -> dict[Term, np.float32]:
        """What the kept derivatives of every term lack, times `slope`, the derivative of a loss by the error."""
        samples = self.shape[0] * self.shape[1]
        return {
            t: np.float32(slope * self.weights[t] / samples * slope_of(moment, t.norm)) for t, moment in self._moments()
        }

    def _moments(self) -> list[tuple[Term, float]]:
        """Every term and the mean of its map's power."""
        samples = self.shape[0] * self.shape[1]
        return [(term, self.sums[term] / samples) for terms in self.terms for term in terms]

    def gradient(self, tile: Tile, factors: dict[Term, np.float32]) -> Array:
        """Derivative of the weighted terms by the decoded picture's linear light in a tile, (3, h, w)."""
        cones = self.cones[:, *tile]
        count, h, w = cones.shape
        if not count:
            return np.zeros((3, h, w), np.float32)
        by_channels: Array = np.empty((len(self.channels), h, w), np.float32)
        for i, out in enumerate(by_channels):
            self._by_channel(i, tile, factors, out)
        by_cones = MIXTURE[self.channels, :count].T @ by_channels.reshape(len(by_channels), -1)
        by_cones = by_cones.reshape(cones.shape)
        by_cones /= cones
        by_cones /= cones
        by_light: Array = BACK[:, :count] @ by_cones.reshape(count, -1)
        return by_light.reshape(3, h, w)

    def _by_channel(self, i: int, tile: Tile, factors: dict[Term, np.float32], out: Array) -> None:
        """Writes the derivative by a channel of the decoded picture's XYB to `out`, (h, w)."""
        around = _around(tile)
        terms = self.terms[i]
        a, b = self.pair[i][:, *around]
        structure = [(t, s) for t, s in zip(terms, self.slopes[i], strict=True) if t.kind == STRUCTURE]
        edges = [(t, s) for t, s in zip(terms, self.slopes[i], strict=True) if t.kind != STRUCTURE]
        by_edge = _weighted_sum([(factors[term], slopes[0, *around]) for term, slopes in edges])
        by_blurred = _weighted_sum([(factors[term], slopes[:, *around]) for term, slopes in structure])
        if by_blurred is None:
            by_blurred = np.zeros((1, *a.shape), np.float32)
        if by_edge is not None:
            by_blurred[0] -= by_edge
        found = blur_inside(by_blurred)  # the blur is its own adjoint
        if structure:
            found[1] *= b[INSIDE]
            found[1] *= 2
            found[0] += found[1]
            found[2] *= a[INSIDE]
            found[0] += found[2]
        if by_edge is not None:
            found[0] += by_edge[INSIDE]
        out[:] = found[0]


def _weighted_sum(maps: Sequence[tuple[np.float32, Array]]) -> Array | None:
    """None of no maps."""
    out: Array | None = None
    for factor, values in maps:
        weighted = factor * values
        out = weighted if out is None else np.add(out, weighted, out=out)
    return out


def _around(tile: Sequence[slice]) -> Tile:
    """The tile with RADIUS samples around it, in a framed map."""
    rows, columns = (slice(s.start, s.stop + FRAME) for s in tile)
    return rows, columns

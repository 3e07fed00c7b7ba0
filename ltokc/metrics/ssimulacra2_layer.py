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
FRAME = 2 * RADIUS
INSIDE = (..., slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
CUBE_ROOT_OF_BIAS = np.cbrt(BIAS)
# the positive XYB as a mixture of the cube roots of the cones, and what is added to it
MIXTURE = np.array([[7, -7, 0], [0.5, 0.5, 0], [-0.5, -0.5, 1]], np.float32)
OFFSETS = np.array([0.42, 0.01 - CUBE_ROOT_OF_BIAS, 0.55], np.float32)
BACK = np.ascontiguousarray(OPSIN.T / 3)  # the derivative of a cube root c is 1 / (3 c^2)


class Layer:
    """A scale: `fill` it strip by strip, add up `measure` of its tiles in `sums`; then `gradient` gives its tiles."""

    def __init__(self, shape: tuple[int, int], wanted: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]):
        """wanted: the terms that count, (3 channels, 2 norms, 3 maps); weights: theirs, of the same shape."""
        height, width = shape
        self.shape, self.weights = shape, weights
        self.sums: npt.NDArray[np.float64] = np.zeros(weights.shape)
        self.channels = [c for c in (X, Y, B) if wanted[c].any()]
        self.terms = [terms_of(wanted, c) for c in self.channels]
        self.cones: Array = np.empty((3 if B in self.channels else 2, height, width), np.float32)
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
        by_cone: Array = np.zeros(cones.shape, np.float32)
        for i, channel in enumerate(self.channels):
            by_channel = self._by_channel(i, tile, factors)
            for plane, share in zip(by_cone, MIXTURE[channel], strict=False):
                if share:
                    plane += share * by_channel
        by_cone /= cones
        by_cone /= cones
        h, w = cones.shape[1:]
        by_light: Array = BACK[:, : len(cones)] @ by_cone.reshape(len(cones), -1)
        return by_light.reshape(3, h, w)

    def _by_channel(self, i: int, tile: Tile, factors: dict[Term, np.float32]) -> Array:
        """Derivative by a channel of the decoded picture's XYB."""
        around = _around(tile)
        terms = self.terms[i]
        structural = any(term.kind == STRUCTURE for term in terms)
        a, b = self.pair[i][:, *around]
        maps: Array = np.zeros((3 if structural else 1, *a.shape), np.float32)
        direct: Array | None = None
        for term, slopes in zip(terms, self.slopes[i], strict=True):
            scaled = slopes[:, *around] * factors[term]
            if term.kind == STRUCTURE:
                maps += scaled
            else:
                maps[0] -= scaled[0]
                direct = scaled[0] if direct is None else direct + scaled[0]
        found = blur_inside(maps)  # the blur is its own adjoint
        out: Array = found[0]
        if structural:
            found[1] *= b[INSIDE]
            found[1] *= 2
            out += found[1]
            found[2] *= a[INSIDE]
            out += found[2]
        if direct is not None:
            out += direct[INSIDE]
        return out


def _around(tile: Sequence[slice]) -> Tile:
    """The tile with RADIUS samples around it, in a framed map."""
    rows, columns = (slice(s.start, s.stop + FRAME) for s in tile)
    return rows, columns

"""Predicted rate-distortion curves of a picture: its error, and each cell's distortion and bits, after every level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ltokc.metrics.by_cell import Moments

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a decode showed, as it would be with `keep` levels in all cells; sensitivity: of the error to moments."""

    keep: float
    moments: Moments
    sensitivity: npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class RDCurves:
    """What is expected of a picture after each of `levels` levels, all cells alike.

    errors: (levels,) of the picture (SSIMULACRA2's weighted sum), falling; distortion: (levels, rows, columns) of each
    cell, in the same unit, falling; bits: (levels, rows, columns) that each cell takes in all up to that level, rising;
    measured: what a decode showed, if there was one.
    """

    errors: Floats
    distortion: Floats
    bits: Floats
    measured: Measured | None = None

    def at(self, keep: float) -> Floats:
        """Distortion (rows, columns) after `keep` levels, 1 to all, a fraction for a part of one."""
        low, share = self._between(keep)
        return np.exp(np.log(self.distortion[low]) * (1 - share) + np.log(self.distortion[low + 1]) * share)

    def error_at(self, keep: float) -> float:
        """The picture's error after `keep` levels."""
        low, share = self._between(keep)
        return float(np.exp(np.log(self.errors[low]) * (1 - share) + np.log(self.errors[low + 1]) * share))

    def tempered(self, power: float) -> RDCurves:
        """Each cell's distortion relative to the picture's mean, to this power: 0 makes all cells alike, 1 none."""
        means = self.distortion.mean((1, 2), keepdims=True)
        distortion = means * (self.distortion / means) ** power
        distortion *= means / distortion.mean((1, 2), keepdims=True)
        bits = self.bits.mean((1, 2), keepdims=True) * np.ones_like(self.bits) if power == 0 else self.bits
        return replace(self, distortion=np.minimum.accumulate(distortion), bits=bits)

    def moments_at(self, distortion: Floats) -> Moments | None:
        """Moments where the cells have this distortion, (rows, columns), scaled from what was measured.

        None if nothing was measured.
        """
        if (seen := self.measured) is None:
            return None
        return seen.moments.scaled(distortion / self.at(seen.keep), seen.sensitivity)

    def error_of(self, depths: np.ndarray) -> float | None:
        """The picture's error at depths (rows, columns); None if nothing was measured."""
        found = self.moments_at(np.take_along_axis(self.distortion, depths[None] - 1, 0)[0])
        return None if found is None else found.error()

    def within(self, cells: npt.NDArray[np.bool_]) -> RDCurves:
        """The curves of a part of the picture, the cells set in (rows, columns), as one row of them."""
        distortion, bits = self.distortion[:, cells][:, None], self.bits[:, cells][:, None]
        if self.measured is None:
            ratio = distortion.mean((1, 2)) / self.distortion.mean((1, 2))
            return RDCurves(self.errors * ratio, distortion, bits)
        seen = Moments(self.measured.moments.cells[cells][None])
        errors = self.errors * (seen.error() / self.measured.moments.error())
        return RDCurves(errors, distortion, bits, replace(self.measured, moments=seen))

    def _between(self, keep: float) -> tuple[int, float]:
        low = min(int(keep) - 1, len(self.errors) - 2)
        return low, keep - 1 - low

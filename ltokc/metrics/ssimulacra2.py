"""SSIMULACRA2 2.1 (Sneyers, Cloudinary 2022/2023) with numpy alone: how alike two pictures look, in points.

100 is equal, 90 near lossless, 70 good, 50 medium, 30 low, under 0 bad.  Constants and weights are the published ones
of the reference program (libjxl, tools/ssimulacra2.cc); so is the blur, the truncated-cosine approximation of a
Gaussian of Charalampidis 2016 with zeros beyond every border.  Arithmetic is float32, blurs are products with banded
matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ltokc.metrics.ssimulacra2_weights import WEIGHTS

Array = npt.NDArray[np.float32]
SCALES = 6
LEAST_SIDE = 8  # a scale with a smaller side is left out
C2 = 0.0009
SIGMA = 1.5
POWER = 0.6276336467831387  # of the last step
_STRIP = 128
# linear RGB to mixed cone responses, and their bias
OPSIN = np.array([[0.3, 0.622, 0.078], [0.23, 0.692, 0.078],
                   [0.24342268924547819, 0.20476744424496821, 0.55180986650955360]], np.float32)  # fmt: skip
BIAS = np.float32(0.0037930732552754493)


def kernel(sigma: float = SIGMA) -> npt.NDArray[np.float64]:
    """Impulse response of the recursive Gaussian with three cosines: (2 * radius + 1,), sums to 1."""
    radius = round(3.2795 * sigma + 0.2546)
    omega = np.pi / (2 * radius) * np.array([1, 3, 5])
    p = np.array([1, -1, 1]) / np.tan(omega / 2)
    r = np.array([1, -1, 1]) * p * p / np.sin(omega)
    rho = np.exp(-0.5 * sigma**2 * omega**2) / radius
    first = (p[1] * r[2] - r[1] * p[2]) / (p[0] * r[1] - r[0] * p[1])
    second = (p[2] * r[0] - r[2] * p[0]) / (p[0] * r[1] - r[0] * p[1])
    system = np.array([p, r, [first, second, 1]])
    beta = np.linalg.solve(system, [1, radius**2 - sigma**2, first * rho[0] + second * rho[1] + rho[2]])
    return np.cos(np.outer(np.arange(-radius, radius + 1), omega)) @ beta


def _band(outputs: int) -> Array:
    """(outputs, outputs + 2 * radius): row i holds the kernel from column i on."""
    taps = kernel().astype(np.float32)
    band = np.zeros((outputs, outputs + len(taps) - 1), np.float32)
    for i in range(outputs):
        band[i, i : i + len(taps)] = taps
    return band


_BAND = _band(_STRIP)
_RADIUS = (_BAND.shape[1] - _STRIP) // 2


def _blur_rows(x: Array) -> Array:
    """Blur along the second axis of (channels, n, m), zeros beyond the ends."""
    n = x.shape[1]
    padded = np.pad(x, ((0, 0), (_RADIUS, _RADIUS), (0, 0)))
    out = np.empty_like(x)
    for start in range(0, n, _STRIP):
        rows = min(_STRIP, n - start)
        np.matmul(_BAND[:rows, : rows + 2 * _RADIUS], padded[:, start : start + rows + 2 * _RADIUS],
                  out=out[:, start : start + rows])  # fmt: skip
    return out


def blur(x: Array) -> Array:
    """Gaussian of sigma 1.5 over the last two axes: (channels, H, W) float32 -> same."""
    across = _blur_rows(_blur_rows(x).transpose(0, 2, 1))
    return np.ascontiguousarray(across.transpose(0, 2, 1))


def to_linear(rgb: npt.NDArray[np.uint8]) -> Array:
    """sRGB (H, W, 3) uint8 to linear light, (3, H, W) float32 in [0, 1]."""
    code = np.arange(256) / 255.0
    table = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[np.ascontiguousarray(rgb.transpose(2, 0, 1))]


def to_xyb(linear: Array) -> Array:
    """Linear RGB (3, H, W) to the metric's positive XYB, same shape."""
    mixed: Array = np.tensordot(OPSIN, linear, 1).astype(np.float32)
    mixed += BIAS
    np.cbrt(np.maximum(mixed, 0, out=mixed), out=mixed)
    mixed -= np.cbrt(BIAS)
    y = 0.5 * (mixed[0] + mixed[1])
    out: Array = np.empty_like(mixed)
    out[0], out[1], out[2] = 7 * (mixed[0] - mixed[1]) + np.float32(0.42), y + np.float32(0.01), mixed[2] - y
    out[2] += np.float32(0.55)
    return out


def halve(linear: Array) -> Array:
    """Mean of 2x2, the last row or column alone where a side is odd: (3, H, W) -> (3, ceil(H / 2), ceil(W / 2))."""
    h, w = linear.shape[1:]
    if h % 2 or w % 2:
        linear = np.pad(linear, ((0, 0), (0, h % 2), (0, w % 2)), "edge")
    quarters: Array = linear[:, ::2, ::2] + linear[:, 1::2, ::2] + linear[:, ::2, 1::2] + linear[:, 1::2, 1::2]
    quarters *= np.float32(0.25)
    return quarters


@dataclass(frozen=True, slots=True)
class Scale:
    """One picture at one scale, (3, H, W) each: XYB, its blur, and the variance under the blur."""

    xyb: Array
    mean: Array
    variance: Array


def scales(rgb: npt.NDArray[np.uint8]) -> list[Scale]:
    """A picture (H, W, 3) at scales 1, 1/2, ... 1/32, as far as its sides are 8 or more."""
    linear = to_linear(rgb)
    out: list[Scale] = []
    while len(out) < SCALES and min(linear.shape[1:]) >= LEAST_SIDE:
        xyb = to_xyb(linear)
        mean = blur(xyb)
        out.append(Scale(xyb, mean, blur(xyb * xyb) - mean * mean))
        linear = halve(linear)
    return out


def difference_maps(a: Scale, b: Scale) -> tuple[Array, Array, Array]:
    """Original a, decoded b: structural difference, edges that came to be, edges that were lost; (3, H, W) each."""
    covariance = blur(a.xyb * b.xyb) - a.mean * b.mean
    likeness = (1 - (a.mean - b.mean) ** 2) * (2 * covariance + C2) / (a.variance + b.variance + C2)
    edges = (1 + np.abs(b.xyb - b.mean)) / (1 + np.abs(a.xyb - a.mean)) - 1
    return np.maximum(1 - likeness, 0), np.maximum(edges, 0), np.maximum(-edges, 0)


def score_of(norms: npt.NDArray[np.float64]) -> float:
    """Mean and fourth-power norm of every map, (3 channels, scales, 2 norms, 3 maps), to points."""
    return points(float((WEIGHTS[:, : norms.shape[1]] * norms).sum()))


def points(error: float) -> float:
    """The last step: weighted sum of norms to points."""
    total = stretched(error)
    return 100.0 - 10.0 * total**POWER if total > 0 else 100.0


def stretched(error: Any) -> Any:
    """The cubic of the last step, of a number, an array or a tensor; its power follows."""
    total = error * 0.9562382616834844
    return 2.326765642916932 * total - 0.020884521182843837 * total**2 + 6.248496625763138e-05 * total**3


class Reference:
    """An original (H, W, 3) uint8 with sides of 8 or more, whose own blurs are computed once."""

    def __init__(self, rgb: npt.NDArray[np.uint8]):
        if min(rgb.shape[:2]) < LEAST_SIDE:
            raise ValueError(f"SSIMULACRA2 needs sides of {LEAST_SIDE} or more, not {rgb.shape[1]}x{rgb.shape[0]}")
        self.shape, self.scales = rgb.shape, scales(rgb)

    def norms(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """(3 channels, scales, 2 norms, 3 maps) float64 of a decoded picture of the same shape."""
        if rgb.shape != self.shape:
            raise ValueError(f"pictures of different shapes: {self.shape} and {rgb.shape}")
        out = np.zeros((3, len(self.scales), 2, 3))
        for i, (a, b) in enumerate(zip(self.scales, scales(rgb), strict=True)):
            for j, each in enumerate(difference_maps(a, b)):
                out[:, i, 0, j] = each.mean((1, 2), dtype=np.float64)
                square = each * each
                out[:, i, 1, j] = (square * square).mean((1, 2), dtype=np.float64) ** 0.25
        return out

    def score(self, rgb: npt.NDArray[np.uint8]) -> float:
        """Points of a decoded picture (H, W, 3) uint8.  Raises ValueError on another shape."""
        return score_of(self.norms(rgb))

"""SSIMULACRA2 of arrays: the parts of the package `ssimulacra2` 0.3, with the blur of the reference program.

The package blurs with a plain Gaussian, and with zeros beyond two borders but mirrored pixels beyond the other two.
The reference (libjxl) uses the truncated-cosine approximation of Charalampidis 2016 with zeros beyond every border.
On Kodak that is 0.7 points at 60, 1.6 at 20 and 3.9 at -15; with the blur below the two agree to a few hundredths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d
from ssimulacra2 import ssimulacra2 as package

SIGMA = 1.5
LEAST_SIDE = 8  # a scale with a smaller side is left out


def kernel(sigma: float = SIGMA) -> np.ndarray:
    """Impulse response of the recursive Gaussian with three cosines: (2 * radius + 1,) float64, sums to 1."""
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


_KERNEL = kernel()


def _blur(x: np.ndarray) -> np.ndarray:
    down = correlate1d(x, _KERNEL, axis=0, mode="constant")
    return correlate1d(down, _KERNEL, axis=1, mode="constant")


@dataclass(frozen=True, slots=True)
class _Scale:
    """One picture at one scale, float64 (H, W, 3) each: XYB, its blur, the blur of its square."""

    xyb: np.ndarray
    mean: np.ndarray
    square: np.ndarray


def _scales(rgb: np.ndarray) -> list[_Scale]:
    linear = package.srgb_to_linear(rgb)
    out: list[_Scale] = []
    while len(out) < package.kNumScales and min(linear.shape[:2]) >= LEAST_SIDE:
        # the package's conversion to XYB transposes the picture, which a symmetric blur and means do not see
        xyb = package.make_positive_xyb(package.linear_rgb_to_xyb(linear))
        out.append(_Scale(xyb, _blur(xyb), _blur(xyb * xyb)))
        linear = package.downsample(linear, 2, 2)
    return out


class Reference:
    """An original (H, W, 3) uint8 with sides of 8 or more, whose own blurs are computed once."""

    def __init__(self, rgb: np.ndarray):
        self.scales = _scales(rgb)

    def score(self, rgb: np.ndarray) -> float:
        """SSIMULACRA2 of a decoded picture of the same shape: 100 equal, 90 near lossless, 50 medium, under 0 bad."""
        total = package.Msssim()
        for a, b in zip(self.scales, _scales(rgb), strict=True):
            scale = package.MsssimScale()
            scale.avg_ssim = package.ssim_map(a.mean, b.mean, a.square, b.square, _blur(a.xyb * b.xyb))
            scale.avg_edgediff = package.edge_diff_map(a.xyb, a.mean, b.xyb, b.mean)
            total.scales.append(scale)
        return float(total.score())

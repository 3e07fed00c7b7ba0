"""The blur of SSIMULACRA2: a Gaussian by three cosines (Charalampidis 2016), as products with small banded matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
SIGMA = 1.5
BLOCK = 16  # outputs of a product: small enough that BLAS starts no threads for it, which only wait for each other


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


def _band() -> Array:
    """(BLOCK, BLOCK + 2 * radius): row i holds the kernel from column i on."""
    taps = kernel().astype(np.float32)
    band = np.zeros((BLOCK, BLOCK + len(taps) - 1), np.float32)
    for i in range(BLOCK):
        band[i, i : i + len(taps)] = taps
    return band


_BAND = _band()
_ACROSS = np.ascontiguousarray(_BAND.T)
RADIUS = (_BAND.shape[1] - BLOCK) // 2


def blur_inside(x: Array) -> Array:
    """The blur where the kernel lies inside: (channels, H + 2 RADIUS, W + 2 RADIUS) -> (channels, H, W)."""
    channels, height, width = x.shape
    height, width = height - 2 * RADIUS, width - 2 * RADIUS
    down: Array = np.empty((channels, height, x.shape[2]), np.float32)
    for top in range(0, height, BLOCK):
        n = min(BLOCK, height - top)
        np.matmul(_BAND[:n, : n + 2 * RADIUS], x[:, top : top + n + 2 * RADIUS], out=down[:, top : top + n])
    out: Array = np.empty((channels, height, width), np.float32)
    for left in range(0, width, BLOCK):
        n = min(BLOCK, width - left)
        part = down[:, :, left : left + n + 2 * RADIUS]
        np.matmul(part, _ACROSS[: n + 2 * RADIUS, :n], out=out[:, :, left : left + n])
    return out


def blur(x: Array) -> Array:
    """Gaussian of sigma 1.5 over the last two axes, zeros beyond every border: (channels, H, W) float32 -> same."""
    return blur_inside(np.pad(x, ((0, 0), (RADIUS, RADIUS), (RADIUS, RADIUS))))

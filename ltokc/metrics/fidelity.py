"""Quality of a decoded picture, in numpy: PSNR and MS-SSIM on 8-bit RGB, and bits per pixel.

MS-SSIM is Wang, Simoncelli and Bovik 2003 in the form of the package pytorch-msssim, which published tables use.
"""

from __future__ import annotations

import math

import numpy as np

from ltokc.errors import UsageError

PEAK = 255.0
STRIP, TILE = 64, 512  # rows and columns that are worked on at a time; STRIP is even
WINDOW, SIGMA = 11, 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_LEAST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # the window must still fit at the coarsest scale


def bits_per_pixel(size: int, width: int, height: int) -> float:
    """Bits of a whole file of `size` bytes per pixel of the original.  Raises UsageError when a side is under 1."""
    if width < 1 or height < 1:
        raise UsageError(f"a picture of {width}x{height} has no pixels")
    return 8 * size / (width * height)


def mean_squared_error(reference: np.ndarray, decoded: np.ndarray) -> float:
    """Mean squared difference of two (H, W, 3) uint8 pictures, in [0, 65025].  Raises UsageError on other arrays."""
    _check(reference, decoded)
    total = 0
    for top in range(0, len(reference), STRIP):
        difference = reference[top : top + STRIP].astype(np.int32) - decoded[top : top + STRIP]
        difference *= difference
        total += int(difference.sum(dtype=np.int64))
    return total / reference.size


def psnr(reference: np.ndarray, decoded: np.ndarray) -> float:
    """PSNR in dB of two (H, W, 3) uint8 pictures, over all three channels; inf when equal.  Raises UsageError."""
    return psnr_of_error(mean_squared_error(reference, decoded))


def psnr_of_error(error: float) -> float:
    """PSNR in dB of a mean squared error on the 8-bit scale; inf for 0."""
    return math.inf if error == 0 else 10 * math.log10(PEAK * PEAK / error)


def ms_ssim(reference: np.ndarray, decoded: np.ndarray) -> float:
    """MS-SSIM in [0, 1] of two (H, W, 3) uint8 pictures: mean of the channels, five scales, valid 11x11 windows.

    Raises UsageError on other arrays and when a side is under 161 pixels.
    """
    _check(reference, decoded)
    if min(reference.shape[:2]) < MS_SSIM_LEAST_SIDE:
        height, width = reference.shape[:2]
        raise UsageError(f"MS-SSIM needs sides of {MS_SSIM_LEAST_SIDE} pixels or more, not {width}x{height}")
    return float(np.mean([_ms_ssim_plane(reference[..., c], decoded[..., c]) for c in range(3)]))


def _check(reference: np.ndarray, decoded: np.ndarray) -> None:
    for array in (reference, decoded):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
            raise UsageError(f"expected a (height, width, 3) uint8 picture, not {array.shape} {array.dtype}")
    if reference.shape != decoded.shape:
        raise UsageError(f"pictures of different shapes: {reference.shape} and {decoded.shape}")


def _gaussian() -> np.ndarray:
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    return taps / taps.sum()


_TAPS = _gaussian()  # (11,) float64, sums to 1


def _blur(x: np.ndarray) -> np.ndarray:
    """Separable Gaussian over the windows that lie inside: (H, W) float64 -> (H - 10, W - 10)."""
    rows, columns = x.shape[0] - WINDOW + 1, x.shape[1] - WINDOW + 1
    down = _TAPS[WINDOW // 2] * x[WINDOW // 2 : WINDOW // 2 + rows]
    for k in range(WINDOW // 2):  # the taps are symmetric
        down += _TAPS[k] * (x[k : k + rows] + x[WINDOW - 1 - k : WINDOW - 1 - k + rows])
    out = _TAPS[WINDOW // 2] * down[:, WINDOW // 2 : WINDOW // 2 + columns]
    for k in range(WINDOW // 2):
        out += _TAPS[k] * (down[:, k : k + columns] + down[:, WINDOW - 1 - k : WINDOW - 1 - k + columns])
    return out


def _halve(x: np.ndarray) -> np.ndarray:
    """Mean of 2x2 blocks; an odd side first gets one row or column of zeros in front, as pytorch-msssim pads.

    (H, W) uint8 or float64 -> (ceil(H / 2), ceil(W / 2)) float64.
    """
    odd = x.shape[0] % 2, x.shape[1] % 2
    out = np.empty(((x.shape[0] + odd[0]) // 2, (x.shape[1] + odd[1]) // 2))
    for top in range(0, len(out), STRIP):
        rows = x[max(0, 2 * top - odd[0]) : 2 * (top + STRIP) - odd[0]].astype(np.float64)
        rows = np.pad(rows, ((odd[0] if top == 0 else 0, 0), (odd[1], 0)))
        out[top : top + STRIP] = (rows[::2, ::2] + rows[::2, 1::2] + rows[1::2, ::2] + rows[1::2, 1::2]) / 4
    return out


def _similarity(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term of two planes (H, W) on the 8-bit scale, tile by tile."""
    rows, columns = x.shape[0] - WINDOW + 1, x.shape[1] - WINDOW + 1
    ssim = contrast = 0.0
    for top in range(0, rows, STRIP):
        for left in range(0, columns, TILE):
            tile = slice(top, top + STRIP + WINDOW - 1), slice(left, left + TILE + WINDOW - 1)
            found = _similarity_of_tile(x[tile].astype(np.float64), y[tile].astype(np.float64))
            ssim, contrast = ssim + found[0], contrast + found[1]
    return ssim / (rows * columns), contrast / (rows * columns)


def _similarity_of_tile(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Sums of SSIM and of its contrast-structure term over the windows inside."""
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    product = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    covariance = _blur(x * y) - product
    variances = _blur(x * x + y * y) - squares
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * product + c1) / (squares + c1)
    return float((luminance * contrast).sum()), float(contrast.sum())


def _ms_ssim_plane(reference: np.ndarray, decoded: np.ndarray) -> float:
    """MS-SSIM of two planes (H, W) uint8."""
    x, y = reference, decoded
    value = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        ssim, contrast = _similarity(x, y)
        last = scale == len(SCALE_WEIGHTS) - 1
        value *= max(ssim if last else contrast, 0.0) ** weight
        if not last:
            x, y = _halve(x), _halve(y)
    return value

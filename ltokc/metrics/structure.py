"""SSIM (Wang et al. 2004) of the luma at three scales and its derivative, with numpy alone.

The value is that of `ltokc.losses.ssim.structural_loss`: windows are 8x8 boxes at stride 2, made as 4x4 boxes of the
means of 2x2, which are also the picture at the next scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.metrics.strips import row_strips

Array = npt.NDArray[np.float32]
WINDOW = 8  # side of the box window, in pixels
SCALES = 3
C1, C2 = 0.01**2, 0.03**2
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (BT.601)
BOX = WINDOW // 2  # side of the window in means of 2x2


def scales_of(height: int, width: int) -> int:
    """Scales at which both sides have eight pixels or more, at least 1 and at most SCALES."""
    return max(1, min(SCALES, (min(height, width) // WINDOW).bit_length()))


def structural_gradient(a: Array, b: Array) -> tuple[float, Array]:
    """Mean over scales of 1 - SSIM of an original's and a decoded picture's luma, and its derivative by the latter.

    a, b: (H, W) float32, black 0 to white 1, sides of 8 and more.  Gives the derivative as (H, W) float32.
    """
    scales = scales_of(*a.shape)
    return _dissimilarity(a, b, scales, 1 / scales)


def _dissimilarity(a: Array, b: Array, scales: int, weight: float) -> tuple[float, Array]:
    """Sum over so many scales of 1 - SSIM, times `weight`, and its derivative by b."""
    moments = _moments(a, b)
    boxes = _boxes(moments)
    total, by_boxes = _of_boxes(boxes, weight)
    by_moments = _boxes_back(by_boxes)
    if scales > 1:
        coarser, slope = _dissimilarity(moments[0], moments[1], scales - 1, weight)
        total += coarser
        by_moments[0] += slope
    return total, _moments_back(a, b, by_moments)


def _moments(a: Array, b: Array) -> Array:
    """Means over 2x2 of a, b, a^2 + b^2 and a b; the last row or column of an odd side is left out."""
    height, width = (side // 2 for side in a.shape)
    out: Array = np.empty((4, height, width), np.float32)
    for rows in row_strips((2 * height, 2 * width)):
        halves = slice(rows.start // 2, rows.stop // 2)
        x, y = a[rows, : 2 * width], b[rows, : 2 * width]
        planes: Array = np.empty((4, *x.shape), np.float32)
        planes[0], planes[1] = x, y
        np.multiply(x, x, out=planes[2])
        np.multiply(y, y, out=planes[3])
        planes[2] += planes[3]
        np.multiply(x, y, out=planes[3])
        tall = planes[:, ::2] + planes[:, 1::2]
        part = out[:, halves]
        np.add(tall[:, :, ::2], tall[:, :, 1::2], out=part)
        part *= np.float32(0.25)
    return out


def _moments_back(a: Array, b: Array, slopes: Array) -> Array:
    """Derivative by b, (H, W), given that by the means of b, a^2 + b^2 and a b, (3, H // 2, W // 2)."""
    height, width = slopes.shape[1:]
    out: Array = np.zeros(b.shape, np.float32)
    for rows in row_strips((2 * height, 2 * width)):
        halves = slice(rows.start // 2, rows.stop // 2)
        quarters = slopes[:, halves] * np.float32(0.25)
        quarters[1] *= 2
        by_mean, by_squares, by_products = np.repeat(np.repeat(quarters, 2, axis=2), 2, axis=1)
        by_squares *= b[rows, : 2 * width]
        by_products *= a[rows, : 2 * width]
        by_mean += by_squares
        np.add(by_mean, by_products, out=out[rows, : 2 * width])
    return out


def _of_boxes(boxes: Array, weight: float) -> tuple[float, Array]:
    """weight * mean of 1 - SSIM, and its derivative by the means of b, a^2 + b^2 and a b; boxes: (4, h, w)."""
    a, b, squares, products = boxes
    product = a * b
    product *= 2
    means = a * a
    means += b * b
    contrast = squares - means
    contrast += np.float32(C2)
    covariance = products * np.float32(2)
    covariance -= product
    covariance += np.float32(C2)
    means += np.float32(C1)
    product += np.float32(C1)
    # SSIM = product * covariance / (means * contrast)
    out: Array = np.empty((3, *a.shape), np.float32)
    scale = np.float32(-2 * weight / a.size)
    inverse = np.float32(1) / (means * contrast)
    light, likeness = product * inverse, covariance * inverse
    ssim = product * likeness
    np.multiply(light, scale, out=out[2])
    np.divide(ssim, contrast, out=out[1])
    # by the mean of b: 2 (a likeness - a light + b ssim (1 / contrast - 1 / means))
    likeness -= light
    likeness *= a
    np.divide(ssim, means, out=light)
    np.subtract(out[1], light, out=light)
    light *= b
    likeness += light
    np.multiply(likeness, scale, out=out[0])
    out[1] *= -scale / 2
    return weight * (1 - float(ssim.mean(dtype=np.float64))), out


def _boxes(x: Array) -> Array:
    """Means over BOX x BOX at stride 1, inside: (maps, h, w) -> (maps, h - BOX + 1, w - BOX + 1)."""
    maps, height, width = x.shape
    out: Array = np.empty((maps, height - BOX + 1, width - BOX + 1), np.float32)
    for plane, means in zip(x, out, strict=True):
        pairs = plane[1:] + plane[:-1]
        tall = pairs[2:] + pairs[:-2]
        pairs = tall[:, 1:] + tall[:, :-1]
        np.add(pairs[:, 2:], pairs[:, :-2], out=means)
        means *= np.float32(1 / BOX**2)
    return out


def _boxes_back(x: Array) -> Array:
    """The adjoint of `_boxes`: sums over all boxes that a sample lies in."""
    return _boxes(np.pad(x, ((0, 0), (BOX - 1, BOX - 1), (BOX - 1, BOX - 1))))

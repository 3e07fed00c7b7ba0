"""PSNR, MS-SSIM and bits per pixel: definitions, agreement with pytorch-msssim, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ltokc.errors import UsageError
from ltokc.metrics.fidelity import MS_SSIM_LEAST_SIDE, bits_per_pixel, mean_squared_error, ms_ssim, psnr


def smooth_picture(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / rng.uniform(4, 40) + y / rng.uniform(4, 40) + rng.uniform(0, 6)) for _ in range(6)]
    planes = [sum(rng.uniform(5, 30) * wave for wave in waves) + 128 for _ in range(3)]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def disturbed(picture: np.ndarray, amount: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_psnr_of_a_known_difference() -> None:
    dark = np.full((4, 5, 3), 100, np.uint8)
    assert mean_squared_error(dark, dark + np.uint8(5)) == 25
    assert psnr(dark + np.uint8(5), dark) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == pytest.approx(0)


def test_psnr_of_equal_pictures_is_infinite() -> None:
    picture = smooth_picture(16, 16, 1)
    assert psnr(picture, picture) == math.inf


def test_bits_per_pixel() -> None:
    assert bits_per_pixel(100, 20, 10) == 4
    with pytest.raises(UsageError):
        bits_per_pixel(100, 0, 10)


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_noise() -> None:
    picture = smooth_picture(200, 180, 2)
    values = [ms_ssim(picture, disturbed(picture, amount, 3)) for amount in (0, 4, 12, 40)]
    assert values[0] > 0.999 and ms_ssim(picture, picture) == pytest.approx(1, abs=1e-12)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("size", [(256, 192), (161, 161), (203, 250), (177, 341)])
@pytest.mark.parametrize("amount", [2.0, 15.0, 80.0])
def test_ms_ssim_equals_pytorch_msssim(size: tuple[int, int], amount: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("pytorch_msssim")
    picture = smooth_picture(*size, seed=4)
    decoded = disturbed(picture, amount, 5)
    a, b = (torch.from_numpy(p.astype(np.float32)).permute(2, 0, 1)[None] for p in (picture, decoded))
    assert ms_ssim(picture, decoded) == pytest.approx(float(theirs.ms_ssim(a, b, data_range=255)), abs=1e-5)


def test_ms_ssim_of_an_inverted_picture_does_not_go_below_zero() -> None:
    picture = smooth_picture(170, 170, 6)
    assert 0 <= ms_ssim(picture, 255 - picture) < 0.5


def test_pictures_that_do_not_fit_are_refused() -> None:
    picture = smooth_picture(64, 64, 7)
    for other in (picture[:32], picture.astype(np.float32), picture[..., 0], picture[:0]):
        with pytest.raises(UsageError):
            psnr(picture, other)
    with pytest.raises(UsageError, match=str(MS_SSIM_LEAST_SIDE)):
        ms_ssim(picture, picture)

"""The loss of a decoded picture and its derivative by pixels, in numpy, beside what torch derives."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ltokc.metrics import ssimulacra2_gradient, strips
from ltokc.metrics.by_cell import DECIDING
from ltokc.metrics.look import MSE_WEIGHT, STRUCTURE_WEIGHT, loss_gradient
from ltokc.metrics.ssimulacra2 import Reference, stretched, stretched_slope
from ltokc.metrics.ssimulacra2_gradient import distance_gradient
from ltokc.metrics.ssimulacra2_weights import WEIGHTS
from ltokc.metrics.structure import structural_gradient
from tests.support.pictures import smooth

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Pair = tuple[np.ndarray, np.ndarray]


def crop(name: str, left: int, top: int, width: int, height: int) -> Pair:
    """Of a photograph: (H, W, 3) uint8, and what a decoder may give for it, float32, not clamped."""
    picture = Image.open(EXAMPLES / name).convert("RGB").crop((left, top, left + width, top + height))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), np.float32) / 127.5 - 1
    noise = np.random.default_rng(0).normal(0, 0.04, soft.shape)
    return np.asarray(picture), (soft + noise).astype(np.float32)


def torch_loss(original: np.ndarray, shown: np.ndarray) -> tuple[float, np.ndarray]:
    torch = pytest.importorskip("torch")
    from ltokc.losses.ssim import structural_loss
    from ltokc.losses.ssimulacra2 import Original, distance

    x = torch.from_numpy(original.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    y = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].requires_grad_()
    squared = torch.nn.functional.mse_loss(y, x) * 127.5**2
    look = distance(Original.of(x).error(y)).sum() + STRUCTURE_WEIGHT * structural_loss(y, x).sum()
    loss = look + MSE_WEIGHT * squared
    loss.backward()
    return loss.item(), y.grad[0].permute(1, 2, 0).numpy()


def check_beside_torch(original: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Gives the derivative, once it is found right."""
    expected, slopes = torch_loss(original, shown)
    loss, found = loss_gradient(original, shown)
    assert loss == pytest.approx(expected, abs=1e-4)
    assert found.dtype == np.float32 and found.shape == shown.shape
    a, b = found.astype(np.float64), slopes.astype(np.float64)
    lengths = [float(np.sqrt((v * v).sum())) for v in (a, b)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)
    assert (a * b).sum() / (lengths[0] * lengths[1]) > 0.9999
    return found


@pytest.mark.parametrize("size", [(256, 192), (301, 157), (131, 65), (40, 40), (33, 17), (16, 40), (13, 9), (8, 8)])
def test_it_is_the_derivative_that_torch_finds(size: tuple[int, int]) -> None:
    check_beside_torch(*crop("coffee.jpg", 180, 140, *size))
    check_beside_torch(*crop("astronaut.jpg", 200, 70, *size))


def test_gray_pictures() -> None:
    original, shown = (v.mean(2, keepdims=True).repeat(3, 2) for v in crop("chelsea.png", 100, 60, 121, 90))
    check_beside_torch(original.astype(np.uint8), shown.astype(np.float32))


def test_pixels_beyond_black_and_white() -> None:
    """SSIMULACRA2 does not see how far beyond they are, the squared error does."""
    original, shown = crop("astronaut.jpg", 180, 20, 150, 128)
    shown = 2.5 * shown
    outside = np.abs(shown) > 1
    assert 0.1 < outside.mean() < 0.9
    found = check_beside_torch(original, shown)
    assert (found[outside] != 0).all()
    distance, slopes = distance_gradient(original, shown)
    assert (slopes.transpose(1, 2, 0)[outside] == 0).all()
    assert distance == distance_gradient(original, shown.clip(-1, 1))[0]


def test_black_white_and_flat_pictures() -> None:
    for code in (0, 128, 255):
        original = np.full((70, 90, 3), code, np.uint8)
        check_beside_torch(original, crop("coffee.jpg", 180, 90, 90, 70)[1])


def test_equal_pictures_have_a_finite_derivative() -> None:
    original = smooth(90, 70)
    loss, found = loss_gradient(original, original.astype(np.float32) / np.float32(127.5) - np.float32(1))
    assert 0 < loss < 0.01 and np.isfinite(found).all() and np.abs(found).max() < 1e-3


def test_the_distance_is_that_of_the_score() -> None:
    """Of a picture of 8-bit values both metrics see the same."""
    original, shown = crop("coffee.jpg", 180, 90, 256, 192)
    rounded = ((shown + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    distance, _ = distance_gradient(original, rounded.astype(np.float32) / np.float32(127.5) - 1, WEIGHTS != 0)
    assert 100 - 100 * distance == pytest.approx(Reference(original).score(rounded), abs=0.01)


@pytest.mark.parametrize("scales", [range(6), range(1), range(1, 3), range(3, 5)])
def test_scales_may_be_left_out(scales: range) -> None:
    """What is left is a loss of its own, which a step along its derivative changes as that says."""
    original, shown = crop("coffee.jpg", 180, 90, 128, 96)
    shown = shown.clip(-0.98, 0.98)
    wanted = DECIDING.copy()
    wanted[:, [i not in scales for i in range(6)]] = False
    distance, slopes = distance_gradient(original, shown, wanted)
    step = slopes.transpose(1, 2, 0) * np.float32(0.01 / np.abs(slopes).max())
    ahead, behind = (distance_gradient(original, shown + sign * step, wanted)[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(float((slopes.transpose(1, 2, 0) * step).sum()), rel=0.01)
    assert ahead > distance > behind
    assert distance <= distance_gradient(original, shown)[0]


def test_nothing_wanted_is_no_distance() -> None:
    original, shown = crop("coffee.jpg", 180, 90, 40, 40)
    distance, slopes = distance_gradient(original, shown, np.zeros_like(DECIDING))
    assert distance < 0.01 and (slopes == 0).all()


def test_tiles_and_strips_are_no_part_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    original, shown = crop("coffee.jpg", 100, 90, 331, 203)
    loss, found = loss_gradient(original, shown)
    monkeypatch.setattr(ssimulacra2_gradient, "TILE", (32, 48))
    monkeypatch.setattr(strips, "STRIP_PIXELS", 3000)
    monkeypatch.setenv("LTOKC_THREADS", "3")
    again = loss_gradient(original, shown)
    assert again[0] == pytest.approx(loss, abs=1e-6)
    assert np.allclose(again[1], found, rtol=1e-3, atol=1e-5 * np.abs(found).max())


def test_planes_of_a_decoder_need_no_copy() -> None:
    """(H, W, 3) may be a view of (3, H, W)."""
    original, shown = crop("coffee.jpg", 180, 90, 97, 80)
    loss, found = loss_gradient(original, shown)
    again = loss_gradient(original, np.ascontiguousarray(shown.transpose(2, 0, 1)).transpose(1, 2, 0))
    assert again[0] == pytest.approx(loss, abs=1e-6)
    assert np.allclose(again[1], found, rtol=1e-4, atol=1e-6 * np.abs(found).max())


def test_structure_of_equal_pictures_is_whole() -> None:
    luma = smooth(64, 50)[..., 1].astype(np.float32) / 255
    loss, slopes = structural_gradient(luma, luma.copy())
    assert loss == pytest.approx(0, abs=1e-6) and np.abs(slopes).max() < 1e-6


def test_the_slope_of_the_cubic() -> None:
    for error in (0.1, 5.0, 40.0):
        assert stretched_slope(error) == pytest.approx((stretched(error + 1e-4) - stretched(error - 1e-4)) / 2e-4)


def test_memory_of_a_photograph() -> None:
    original = np.asarray(Image.open(EXAMPLES / "coffee.jpg").convert("RGB").resize((768, 512)))
    shown = np.asarray(original, np.float32) / np.float32(127.5) - np.float32(0.98)
    tracemalloc.start()
    try:
        loss_gradient(original, shown)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_other_shapes_and_tiny_pictures_are_refused() -> None:
    shown = np.zeros((40, 30, 3), np.float32)
    with pytest.raises(ValueError, match="different shapes"):
        loss_gradient(smooth(40, 30), shown)
    with pytest.raises(ValueError, match="8 or more"):
        loss_gradient(smooth(30, 7), shown[:7])

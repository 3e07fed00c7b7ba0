"""SSIMULACRA2 with numpy, and its parts by cell."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ltokc.metrics import by_cell, ssimulacra2_tiles
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.metrics.ssimulacra2_blur import blur, kernel
from tests.support.pictures import grainy, smooth


def blurred(rgb: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(radius)))


def test_the_blur_is_the_kernel_with_zeros_beyond_the_borders() -> None:
    dot = np.zeros((1, 300, 40), np.float32)
    dot[0, 130, 2] = 1
    taps = kernel()
    assert taps.sum() == pytest.approx(1) and np.allclose(taps, taps[::-1])
    full = np.zeros((300 + len(taps), 40 + len(taps)))
    full[130 : 130 + len(taps), 2 : 2 + len(taps)] = np.outer(taps, taps)
    half = len(taps) // 2
    assert np.allclose(blur(dot)[0], full[half : half + 300, half : half + 40], atol=1e-6)


def test_it_is_near_the_package_whose_blur_is_another() -> None:
    package = pytest.importorskip("ssimulacra2")
    original = grainy(320, 288)
    reference, seen = Reference(original), []
    assert reference.score(original) == pytest.approx(100)
    for radius in (0.4, 0.7, 1.0):
        decoded, files = blurred(original, radius), [BytesIO(), BytesIO()]
        for rgb, file in zip((original, decoded), files, strict=True):
            Image.fromarray(rgb).save(file, "PNG")
        seen.append(reference.score(decoded))
        assert abs(seen[-1] - package.compute_ssimulacra2(*files)) < 6
    assert seen == sorted(seen, reverse=True)


def test_other_shapes_and_tiny_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        Reference(smooth(40, 30)).score(smooth(30, 40))
    with pytest.raises(ValueError, match="8 or more"):
        Reference(smooth(40, 7))


@pytest.mark.parametrize("size", [(256, 256), (200, 130), (65, 300), (8, 64)])
def test_moments_of_cells_add_up_to_the_picture(size: tuple[int, int]) -> None:
    original = grainy(*size)
    decoded = blurred(original, 1)
    reference = Reference(original)
    found = by_cell.moments(reference, decoded)
    assert found.cells.shape == (-(-size[1] // 64), -(-size[0] // 64), *by_cell.PARTS)
    norms = reference.norms(decoded)
    decide = by_cell.DECIDING[:, : norms.shape[1]]
    assert np.allclose(found.norms()[:, : norms.shape[1]][decide], norms[decide], rtol=1e-3, atol=1e-6)
    assert points(found.error()) == pytest.approx(reference.score(decoded), abs=0.05)


@pytest.mark.parametrize("size", [(300, 200), (520, 150)])
def test_tiles_are_no_part_of_the_result(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    original = grainy(*size)
    decoded = blurred(original, 1)
    reference = Reference(original)
    found, cells = reference.score(decoded), by_cell.moments(reference, decoded).cells
    monkeypatch.setattr(ssimulacra2_tiles, "TILE", (64, 64))
    assert reference.score(decoded) == pytest.approx(found, abs=1e-3)
    assert np.allclose(by_cell.moments(reference, decoded).cells, cells, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("times", [0.4, 2.5])
def test_moments_scale_as_an_error_that_grows(times: float) -> None:
    """Not all moments by the ratio of the distortion: a map's fourth powers grow more than its mean."""
    original = grainy(256, 192)
    soft = blurred(original, 2).astype(np.float64) - original
    reference = Reference(original)
    near, far = (
        by_cell.moments(reference, np.clip(original + share * soft, 0, 255).round().astype(np.uint8))
        for share in (0.8, 0.8 * times)
    )
    sensitivity = by_cell.sensitivity_at(near.norms())
    ratio = far.distortion(sensitivity) / near.distortion(sensitivity)
    found = near.scaled(ratio, sensitivity)
    assert np.allclose(found.distortion(sensitivity), far.distortion(sensitivity), rtol=1e-4)
    naive = replace(near, cells=(near.cells * ratio[:, :, None, None, None, None]).astype(np.float32))
    off, naively = (abs(np.log(each.error() / far.error())) for each in (found, naive))
    assert off < 0.2 and off < 0.5 * naively, (off, naively)
    assert near.scaled(np.ones_like(ratio), sensitivity).cells == pytest.approx(near.cells, rel=1e-5)


def test_distortion_is_the_slope_of_the_error() -> None:
    original = grainy(256, 192)
    reference = Reference(original)
    a, b = (by_cell.moments(reference, blurred(original, radius)) for radius in (1.0, 1.03))
    sensitivity = by_cell.sensitivity_at(a.norms())
    step = b.distortion(sensitivity).mean() - a.distortion(sensitivity).mean()
    assert step == pytest.approx(b.error() - a.error(), rel=0.05) and step > 0


def test_a_damaged_cell_is_the_dear_one() -> None:
    original = grainy(256, 256)
    decoded = original.copy()
    decoded[64:128, 128:192] = blurred(original, 3)[64:128, 128:192]
    found = by_cell.moments(Reference(original), decoded)
    distortion = found.distortion(by_cell.sensitivity_at(found.norms()))
    assert np.unravel_index(distortion.argmax(), distortion.shape) == (1, 2)

"""CIE L*a*b* against published values, its slopes against differences, means against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from ltokc.metrics.colour import difference, lab, lab_slopes, pooled
from tests.support.pictures import grainy

KNOWN = {  # of sRGB under D65, as colour calculators have them
    (255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18), (0, 0, 255): (32.30, 79.19, -107.86), (119, 119, 119): (50.03, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("rgb", KNOWN)
def test_known_colours(rgb: tuple[int, int, int]) -> None:
    assert np.allclose(lab(np.array(rgb, np.float32)), KNOWN[rgb], atol=0.05)


def test_the_difference_is_the_distance() -> None:
    white, red = np.array([255.0, 255, 255]), np.array([255.0, 0, 0])
    assert difference(white, red) == pytest.approx(np.sqrt(46.76**2 + 80.09**2 + 67.20**2), abs=0.1)


def test_slopes_are_those_of_lab() -> None:
    colours = np.random.default_rng(0).uniform(1, 254, (200, 3)).astype(np.float32)
    slopes = lab_slopes(colours)
    for channel in range(3):
        step = np.zeros(3, np.float32)
        step[channel] = 0.25
        measured = (lab(colours + step) - lab(colours - step)) / 0.5
        assert np.abs(slopes[..., channel] - measured).max() < 0.05


@pytest.mark.parametrize(("width", "height"), [(64, 64), (130, 70), (1, 1), (40, 1100)])
def test_means_of_areas(width: int, height: int) -> None:
    picture = grainy(width, height)
    rows, columns = -(-height // 64) * 64, -(-width // 64) * 64
    filled = np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), "edge")
    found = pooled(picture)
    assert found.shape == (rows // 16, columns // 16, 3)
    for y in range(0, rows, 16):
        for x in range(0, columns, 16):
            assert np.allclose(found[y // 16, x // 16], filled[y : y + 16, x : x + 16].mean((0, 1)), atol=1e-3)

"""The judge's distance and the measures of texture, on pictures whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.common import texture
from bench.common.judge import STAGES, Patches, verdicts
from bench.quality.realism import synthetic_pictures
from ltokc.errors import UsageError


def features(rng: np.random.Generator, pictures: int, shift: float = 0.0, spread: float = 1.0) -> list[Patches]:
    """Random features of patches, four a picture."""
    return [{stage: rng.normal(shift, spread, (4, 6)) for stage in STAGES.values()} for _ in range(pictures)]


def test_the_judge_finds_what_is_nearer() -> None:
    rng = np.random.default_rng(0)
    originals = features(rng, 60)
    decoded = {"far": features(rng, 60, 1.0), "near": features(rng, 60, 0.3), "same": features(rng, 60)}
    found = verdicts(originals, decoded, draws=50)
    assert found["far"].mean > found["near"].mean > found["same"].mean
    assert abs(found["same"].mean) < 0.02 < found["near"].mean  # of one distribution: no bias
    assert found["far"].change == 0 and found["far"].interval == (0, 0)
    low, high = found["near"].interval
    assert low < found["near"].change < high < -0.5
    assert set(found["near"].stage_changes) == set(STAGES.values())


def test_patches_of_one_picture_are_never_paired() -> None:
    """A picture that is decoded perfectly has distance 0 to itself, however its patches resemble each other."""
    rng = np.random.default_rng(1)
    originals = [{s: rng.normal(0, 1, (1, 6)).repeat(5, 0) for s in STAGES.values()} for _ in range(40)]
    decoded = {"far": features(rng, 40, 1.0), "same": originals}
    decoded["far"] = [{s: v[:1].repeat(5, 0) for s, v in patches.items()} for patches in decoded["far"]]
    assert verdicts(originals, decoded, draws=2)["same"].mean == pytest.approx(0, abs=1e-9)


def test_two_pictures_are_enough_and_one_is_not() -> None:
    rng = np.random.default_rng(6)
    originals, decoded = features(rng, 2), features(rng, 2, 1.0)
    low, high = verdicts(originals, {"far": decoded, "near": originals}, draws=40)["near"].interval
    assert np.isfinite([low, high]).all()
    with pytest.raises(UsageError, match="two pictures"):
        verdicts(originals[:1], {"far": decoded[:1]}, draws=2)


def test_fine_energy_is_a_share() -> None:
    rng = np.random.default_rng(2)
    original = rng.integers(0, 256, (64, 48, 3)).astype(np.uint8)
    assert texture.fine_energy(original, original) == pytest.approx(1)
    half = (128 + (original.astype(float) - 128) / 2).round().astype(np.uint8)
    assert texture.fine_energy(half, original) == pytest.approx(0.25, rel=0.05)
    assert texture.fine_energy(np.full_like(original, 9), original) == 0


def test_a_fixed_pattern_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(3)
    pattern = np.tile(rng.normal(0, 1, (16, 16, 3)), (8, 8, 1))
    noise = rng.normal(0, 1, pattern.shape)
    assert texture.fixed_pattern(pattern) == pytest.approx(1)
    assert texture.fixed_pattern(noise) < 0.005
    assert texture.fixed_pattern(pattern + noise) == pytest.approx(0.5, abs=0.05)


def test_what_is_the_seed_s() -> None:
    rng = np.random.default_rng(4)
    faithful = np.full((256, 256, 3), 128, np.uint8)
    one, two = ((128 + rng.normal(0, 9, faithful.shape)).round().astype(np.uint8) for _ in range(2))
    assert texture.seed_share(one, two, faithful) == pytest.approx(1, abs=0.05)
    assert texture.seed_share(one, one, faithful) == 0
    assert texture.mean_difference(one, two) == pytest.approx(9 / 8 * 2**0.5 * 0.8, rel=0.1)


def test_flat_squares_are_those_of_the_original() -> None:
    rng = np.random.default_rng(5)
    original = np.full((32, 32, 3), 100, np.uint8)
    original[:, 16:] = rng.integers(0, 256, (32, 16, 3))
    decoded = original.copy()
    decoded[::2, :16] = 104
    found = texture.flat_deviation(decoded, original)
    assert found is not None and found == pytest.approx((2, 0))
    assert texture.flat_deviation(original[:, 16:], original[:, 16:]) is None


def test_synthetic_pictures_have_known_deviations() -> None:
    found = synthetic_pictures()
    deviation = {name: texture.squares(texture.luma(rgb)).std((1, 2)).mean() for name, rgb in found.items()}
    assert all(rgb.shape == (256, 384, 3) and rgb.dtype == np.uint8 for rgb in found.values())
    assert deviation["green"] == pytest.approx(0, abs=1e-9) and deviation["noise"] == pytest.approx(20, rel=0.02)
    assert 1.5 < deviation["slope"] < 3

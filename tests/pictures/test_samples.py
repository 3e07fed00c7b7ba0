"""Samples of any type to 8 bits: their range is known or given, never taken from the extremes of the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ltokc.errors import FormatError, UsageError
from ltokc.pictures.load import load
from tests.support.pictures import gradients as photo


def float_tiff(samples: np.ndarray) -> io.BytesIO:
    out = io.BytesIO()
    Image.fromarray(samples.astype(np.float32)).save(out, "TIFF")
    out.seek(0)
    return out


def sources(samples: np.ndarray) -> dict[str, object]:
    """The same gray samples as an array, a Pillow picture of mode F and a TIFF file."""
    return {"array": samples, "mode F": Image.fromarray(samples.astype(np.float32)), "TIFF": float_tiff(samples)}


@pytest.mark.parametrize("kind", ["array", "mode F", "TIFF"])
@pytest.mark.parametrize("sample", [1.002, 1.2, -0.01, -0.2])
def test_one_sample_outside_changes_no_other(kind: str, sample: float) -> None:
    samples = photo()[:, :, 0] / 255.0
    samples[3, 4] = sample
    picture = load(sources(samples)[kind])  # type: ignore[arg-type]
    expected = photo()[:, :, 0].copy()
    expected[3, 4] = 255 if sample > 0 else 0
    assert np.array_equal(picture.rgb[:, :, 1], expected)
    assert any("clipped" in note for note in picture.notes)


@pytest.mark.parametrize("kind", ["array", "mode F", "TIFF"])
@pytest.mark.parametrize("low, high", [(-1, 1), (0, 255), (0, 65535), (-1000, 1000), (0, 1.3)])
def test_other_ranges_are_refused_or_given(kind: str, low: float, high: float) -> None:
    samples = photo()[:, :, 0] / 255.0 * (high - low) + low
    assert photo()[:, :, 0].min() == 0 and photo()[:, :, 0].max() == 255
    with pytest.raises(FormatError, match="value_range"):
        load(sources(samples)[kind])  # type: ignore[arg-type]
    picture = load(sources(samples)[kind], value_range=(low, high))  # type: ignore[arg-type]
    assert np.array_equal(picture.rgb[:, :, 0], photo()[:, :, 0])


def test_a_dark_picture_stays_dark() -> None:
    assert load(np.full((4, 4), 0.01)).rgb.max() == 3
    assert load(np.full((4, 4), 0.5), value_range=(0, 255)).rgb.max() == 0
    assert load(np.full((4, 4), 200, np.uint16)).rgb.max() == 1


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32, np.int64])
def test_integers_without_a_known_range_are_refused(kind: type) -> None:
    samples = (photo() // 2).astype(kind)
    with pytest.raises(FormatError, match="integers, whose range is not known"):
        load(samples)
    assert np.abs(load(samples, value_range=(0, 127.5)).rgb.astype(int) - photo()).max() <= 1


@pytest.mark.parametrize("samples", [np.array([[np.nan, 0.5]]), np.array([[np.inf, 0.5]])])
def test_what_is_not_finite_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(FormatError, match="finite"):
        load(samples)
    with pytest.raises(FormatError, match="finite"):
        load(samples, value_range=(0, 1))


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), (0, float("nan")), (0, float("inf")), (1,), "ab", 3])
def test_ranges_that_are_none(value_range: object) -> None:
    with pytest.raises(UsageError, match="value_range"):
        load(photo(), value_range=value_range)  # type: ignore[arg-type]

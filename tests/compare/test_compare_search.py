"""Searches for the same bytes and the same quality: they end where trying every quality would end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.common.pictures import synthetic_picture
from ltokc.compare.codecs import make_codec
from ltokc.compare.scores import Scorer
from ltokc.compare.search import QualitySteps, compare_rival, equal_quality, first_at_least
from ltokc.errors import UsageError


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return synthetic_picture(96, 80)


@pytest.fixture(scope="module")
def scorer(picture: Image.Image) -> Scorer:
    return Scorer(picture)


rising = st.lists(st.floats(-100, 100) | st.just(-math.inf), min_size=1, max_size=120).map(sorted)


@given(values=rising, wanted=st.floats(-120, 120), start=st.integers(-5, 130))
def test_first_at_least_is_what_trying_all_finds(values: list[float], wanted: float, start: int) -> None:
    asked: list[int] = []

    def value(step: int) -> float:
        asked.append(step)
        return values[step]

    found = first_at_least(value, wanted, len(values) - 1, start)
    assert found == next((i for i, v in enumerate(values) if v >= wanted), len(values))
    assert len(asked) == len(set(asked)) <= 2 + 4 * math.ceil(math.log2(len(values) + 1))


@given(values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), wanted=st.floats(allow_nan=False))
def test_first_at_least_ends_on_a_step_up_even_where_values_fall(values: list[float], wanted: float) -> None:
    found = first_at_least(values.__getitem__, wanted, len(values) - 1)
    assert found == len(values) or values[found] >= wanted
    assert found == 0 or values[found - 1] < wanted


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_the_same_bytes_is_the_last_file_that_fits(name: str, picture: Image.Image, scorer: Scorer) -> None:
    steps = QualitySteps(make_codec(name), picture, scorer)
    limit = len(steps.data(steps.last // 3)) + 3
    step = steps.step_of_bytes(limit)
    assert step is not None and len(steps.data(step)) <= limit < len(steps.data(step + 1))
    assert steps.step_of_bytes(len(steps.data(0)) - 1) is None
    assert steps.step_of_bytes(len(steps.data(steps.last))) == steps.last


def test_a_rival_is_found_both_ways(picture: Image.Image, scorer: Scorer) -> None:
    limit = len(make_codec("jpeg").encode(picture, 30)) + 1
    rival = compare_rival("jpeg", picture, scorer, limit, "psnr", 27.0)
    assert rival.same_bytes.quality == 30 and rival.same_bytes.scale == 1
    assert rival.below == pytest.approx(1 / limit) and len(rival.same_bytes.data) == limit - 1
    equal = rival.same_quality
    assert equal.file is not None and equal.bytes is not None and not equal.bound
    psnr = [scorer.score_one("psnr", make_codec("jpeg").decode(make_codec("jpeg").encode(picture, q)))
            for q in (equal.file.quality - 1, equal.file.quality)]  # fmt: skip
    assert psnr[0] < 27.0 <= psnr[1] == equal.file.scores.psnr
    assert equal.bytes <= equal.file.bytes
    assert rival.same_bytes.scores.ssimulacra2 is not None


def test_interpolated_bytes_are_those_of_the_file_at_its_own_score(picture: Image.Image, scorer: Scorer) -> None:
    steps = QualitySteps(make_codec("jpeg"), picture, scorer)
    step = 40
    equal = equal_quality([steps], [5], "psnr", steps.score(step, "psnr"))
    assert equal.bytes == pytest.approx(len(steps.data(step)))
    between = (steps.score(step, "psnr") + steps.score(step - 1, "psnr")) / 2
    equal = equal_quality([steps], [5], "psnr", between)
    assert equal.bytes == pytest.approx(math.sqrt(len(steps.data(step)) * len(steps.data(step - 1))))


def test_a_rival_that_is_too_large_is_downscaled_and_says_so(picture: Image.Image, scorer: Scorer) -> None:
    smallest = len(make_codec("webp").encode(picture, 0))
    rival = compare_rival("webp", picture, scorer, smallest - 1, "psnr", 20.0)
    assert (rival.same_bytes.codec, rival.same_bytes.scale) == ("webp_half", 2) and rival.below > 0
    rival = compare_rival("webp", picture, scorer, 20, "psnr", None)
    assert rival.same_bytes.scale == 4 and rival.below < 0 and rival.same_bytes.bytes > 20
    assert rival.same_quality.bytes is None


def test_quality_below_the_smallest_file_is_found_at_a_smaller_size(picture: Image.Image, scorer: Scorer) -> None:
    full = QualitySteps(make_codec("jpeg"), picture, scorer)
    worst = full.score(0, "psnr")
    rival = compare_rival("jpeg", picture, scorer, 10_000, "psnr", worst - 0.5)
    assert rival.same_quality.file is not None
    assert rival.same_quality.file.scores.psnr is not None and rival.same_quality.file.scores.psnr >= worst - 0.5
    assert rival.same_quality.bytes is not None and rival.same_quality.bytes <= len(full.data(0))
    lowest = compare_rival("jpeg", picture, scorer, 10_000, "psnr", 1.0).same_quality
    assert lowest.bound and lowest.file is not None and lowest.file.scale == 4


def test_quality_that_a_rival_never_reaches_is_none(picture: Image.Image, scorer: Scorer) -> None:
    equal = compare_rival("jpeg", picture, scorer, 2000, "psnr", 90.0).same_quality
    assert equal.file is None and equal.bytes is None


def test_less_is_better_for_lpips(picture: Image.Image) -> None:
    class Dull(Scorer):
        def score_one(self, metric: str, decoded: Image.Image) -> float | None:
            error = np.mean((self.rgb - np.asarray(decoded, float)) ** 2)
            return float(error) if metric == "lpips_squeeze" else None

    equal = compare_rival("jpeg", picture, Dull(picture), 2000, "lpips_squeeze", 60.0).same_quality
    assert equal.file is not None and equal.file.scores.lpips_squeeze is not None
    assert equal.file.scores.lpips_squeeze <= 60
    worse = make_codec("jpeg").decode(make_codec("jpeg").encode(picture, equal.file.quality - 1))
    assert Dull(picture).score_one("lpips_squeeze", worse) > 60


def test_nothing_is_encoded_twice(picture: Image.Image, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltokc.compare.codecs import Jpeg

    seen: list[tuple[int, int, float]] = []
    encode = Jpeg.encode

    def counting(self: Jpeg, image: Image.Image, quality: float) -> bytes:
        seen.append((*image.size, quality))
        return encode(self, image, quality)

    monkeypatch.setattr(Jpeg, "encode", counting)
    compare_rival("jpeg", picture, scorer, 2000, "psnr", 27.0)
    assert len(seen) == len(set(seen))


def test_an_unknown_rival_is_refused(picture: Image.Image, scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="gif"):
        compare_rival("gif", picture, scorer, 1000, "psnr", 30)

"""The efforts, with the shipped model: one pass or measured, and whether the quality that -q names is met."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import UsageError
from ltokc.metrics import by_cell as looks
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate import control
from ltokc.rate.curves import RDCurves
from ltokc.rate.plan import error_of_quality
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy, half_flat, smooth
from tests.support.tilings import small_tiling


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def patchy() -> np.ndarray:
    return half_flat()


def distance(picture: np.ndarray, data: bytes) -> float:
    """To 100 points."""
    return 100 - points(looks.moments(Reference(picture), np.asarray(ltokc.decode(data))).error())


def test_effort_0_takes_one_pass_and_no_depth_map(patchy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltokc.rate.tokenized.TokenizedPicture.measure", lambda *_: pytest.fail("decoded"))
    assert not ltokc.info(ltokc.encode(patchy, 0.6, effort=0)).depth_map
    ltokc.encode(patchy, target_size=900, effort=0)


def test_effort_1_gives_places_their_own_depth_and_hits_the_look(model: Model, patchy: np.ndarray) -> None:
    data = ltokc.encode(patchy, 0.8)
    assert ltokc.info(data).depth_map
    wanted = 100 - points(error_of_quality(0.8, model.entry.looks))
    assert distance(patchy, data) == pytest.approx(wanted, rel=0.1)
    masks = ltokc.tokens(data).masks
    kept = sum(mask.reshape(4, mask.shape[0] // 4, 6, -1).sum((1, 3)) for mask in masks)
    assert kept[:, 3:].mean() > 1.5 * kept[:, :3].mean()
    ltokc.verify(data)
    assert len(ltokc.trim(data, tokens=100)) < len(data)


@pytest.mark.parametrize("windows", ["one", "several"])
def test_effort_1_decodes_nothing_where_that_changes_nothing(windows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An enlarged photograph has the least levels of its quality, and looks better than asked: nothing to measure."""
    measured = []
    measure = control.measure_curves

    def counted(*given: Any) -> RDCurves:
        measured.append(given)
        return measure(*given)

    monkeypatch.setattr(control, "measure_curves", counted)
    if windows == "several":
        small_tiling(monkeypatch, whole=1, core=4, one_segment=8, segment=8)
    with Image.open(Path(__file__).parents[2] / "examples" / "coffee.jpg") as photo:
        enlarged = photo.crop((150, 100, 182, 124)).resize((512, 384), Image.Resampling.BICUBIC)
        small = photo.crop((150, 100, 406, 292))
    ltokc.verify(ltokc.encode(enlarged))
    assert not measured
    ltokc.encode(small)
    assert measured, "where the prediction is not beyond doubt"


def test_progress_ends_where_it_said(patchy: np.ndarray) -> None:
    for effort in (0, 1, 2):
        seen: list[tuple[int, int]] = []
        ltokc.encode(patchy, 0.6, effort=effort, progress=lambda *step, seen=seen: seen.append(step))
        assert len({total for _, total in seen}) == 1 and all(done <= total for done, total in seen)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64), (65, 8)])
def test_small_pictures(size: tuple[int, int]) -> None:
    picture = grainy(*size)
    for effort in (0, 1, 2):
        sizes = []
        for quality in (0, 0.5, 1):
            data = ltokc.encode(picture, quality, effort=effort)
            assert ltokc.decode(data).size == size
            sizes.append(len(data))
        assert all(b >= a - 2 for a, b in pairwise(sizes))  # of so few bytes a colour grid is one or two


def test_large_pictures_are_measured_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = grainy(600, 390)
    whole = ltokc.encode(picture, 0.5)
    small_tiling(monkeypatch, whole=1, core=4, one_segment=8, segment=8)
    cut = ltokc.encode(picture, 0.5)
    assert ltokc.info(cut).segments > 1
    assert distance(picture, cut) == pytest.approx(distance(picture, whole), rel=0.1)
    ltokc.verify(cut)


@pytest.mark.parametrize("effort", [-1, 5, 1.5])
def test_an_effort_that_is_none(effort: float) -> None:
    with pytest.raises(UsageError, match="effort is a whole number from 0 to 4"):
        ltokc.encode(smooth(8, 8), effort=effort)  # type: ignore[arg-type]


@pytest.mark.parametrize("effort", [0, 1])
def test_a_flat_field_keeps_its_colour(effort: int) -> None:
    for colour in ((128, 128, 128), (200, 120, 90), (40, 60, 160)):
        data = ltokc.encode(np.full((256, 256, 3), colour, np.uint8), effort=effort)
        assert np.abs(np.asarray(ltokc.decode(data), float).mean((0, 1)) - colour).max() < 8
        assert len(data) < 400


def test_the_highest_effort_is_the_last_of_the_table() -> None:
    from ltokc.rate.defaults import DEFAULT_EFFORT, HIGHEST_EFFORT
    from ltokc.rate.effort import EFFORTS

    assert [effort.number for effort in EFFORTS] == list(range(HIGHEST_EFFORT + 1)) and DEFAULT_EFFORT in range(5)

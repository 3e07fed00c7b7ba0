"""Pictures that are no multiple of a cell: what is filled up is not paid for, and the border is as good as the rest."""

from __future__ import annotations

import numpy as np
import pytest

import ltokc
from ltokc.tokenizer.padding import filled_up
from tests.support.pictures import grainy


def test_shapes_and_what_is_kept() -> None:
    picture = grainy(70, 33)
    out = filled_up(picture, 64, 128)
    assert out.shape == (64, 128, 3) and np.array_equal(out[:33, :70], picture)
    assert filled_up(picture, 33, 70) is not None and np.array_equal(filled_up(picture, 33, 70), picture)
    assert (out[:33, 70:80] == picture[:, -1:]).all() and (out[33:48, :70] == picture[-1:]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (65, 1)])
def test_one_colour_goes_on(size: tuple[int, int]) -> None:
    assert (filled_up(np.full((*size, 3), (9, 99, 199), np.uint8), 128, 64) == (9, 99, 199)).all()


def test_the_filling_gets_smoother() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 256, 3), np.uint8)
    rough = np.abs(np.diff(filled_up(noise, 64, 256).astype(int), axis=1)).mean((1, 2))
    assert (np.diff(rough) <= 0.5).all() and rough[-1] < 0.15 * rough[0]


@pytest.mark.parametrize("shape", [(1, 4096), (4096, 1)])
def test_a_thin_picture_costs_by_its_pixels(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4096, 1), np.uint8).repeat(3, 1)
    square = len(ltokc.encode(noise.reshape(64, 64, 3), effort=0))
    assert len(ltokc.encode(noise.reshape(*shape, 3), effort=0, patches="off")) < 3 * square


def test_the_border_is_as_good_as_the_rest() -> None:
    """Of a picture with the same kind of content everywhere, in the cells of which a part is filled up."""
    picture = grainy(150, 150)
    back = np.asarray(ltokc.decode(ltokc.encode(picture, effort=0)), float)
    error = ((back - picture) ** 2).mean(-1)
    border = np.ones((150, 150), bool)
    border[:128, :128] = False
    assert error[border].mean() < 1.15 * error[~border].mean()

"""Colours under alpha 0 reach neither the edge that is seen nor the size of the file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.pictures.chunks import pixels_of
from ltokc.pictures.hidden import filled
from ltokc.pictures.load import load


def ring(side: int = 160) -> np.ndarray:
    """(side, side, 4) uint8: a ring with soft edges of one colour."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    far = np.hypot(x, y)
    alpha = np.clip(np.minimum(0.42 * side - far, far - 0.16 * side) / 1.5 + 0.5, 0, 1)
    out = np.empty((side, side, 4), np.uint8)
    out[...] = (232, 176, 92, 0)
    out[..., 3] = np.rint(255 * alpha)
    return out


HIDDEN = {"black": 0, "white": 255, "noise": None}


def with_hidden(kind: str) -> np.ndarray:
    out = ring()
    value = HIDDEN[kind]
    out[out[..., 3] == 0, :3] = np.random.default_rng(0).integers(0, 256, 3) if value is None else value
    if value is None:
        clear = out[..., 3] == 0
        out[clear, :3] = np.random.default_rng(0).integers(0, 256, (int(clear.sum()), 3))
    return out


@pytest.mark.parametrize("kind", HIDDEN)
def test_the_edge_is_as_if_nothing_were_hidden(kind: str) -> None:
    source = with_hidden(kind)
    data = ltokc.encode(Image.fromarray(source), effort=0)
    back = np.asarray(ltokc.decode(data), float)
    edge = (source[..., 3] > 0) & (source[..., 3] < 255)
    assert np.abs(back[edge][:, :3] - source[edge][:, :3]).mean() < 4
    assert np.array_equal(back[..., 3], source[..., 3])
    assert data == ltokc.encode(Image.fromarray(ring()), effort=0)  # nothing of it is in the file


def test_what_is_seen_is_what_it_was() -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (301, 173, 3), np.uint8)
    alpha = rng.choice(np.array([0, 1, 200, 255], np.uint8), (301, 173), p=[0.7, 0.1, 0.1, 0.1])
    before = rgb.copy()
    out = filled(rgb, alpha)
    assert np.array_equal(rgb, before) and np.array_equal(out[alpha > 0], rgb[alpha > 0])
    assert not np.array_equal(out[alpha == 0], rgb[alpha == 0])


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (2, 3), (65, 64), (700, 300)])
def test_a_fill_continues_what_is_seen(size: tuple[int, int]) -> None:
    """A plane colour stays plane, whatever was hidden."""
    rgb = np.full((*size, 3), (10, 200, 77), np.uint8)
    alpha = np.full(size, 255, np.uint8)
    alpha[: size[0] // 2 + 1, : size[1] // 2] = 0
    rgb[alpha == 0] = 255
    assert (filled(rgb, alpha) == (10, 200, 77)).all()


def test_a_fill_is_between_its_surroundings() -> None:
    rgb = np.zeros((64, 256, 3), np.uint8)
    alpha = np.zeros((64, 256), np.uint8)
    rgb[:, :8], rgb[:, -8:], alpha[:, :8], alpha[:, -8:] = 40, 200, 255, 255
    row = filled(rgb, alpha)[32, :, 0].astype(int)
    assert (np.diff(row) >= 0).all() and np.diff(row).max() <= 12


def test_alpha_1_weighs_less_than_alpha_255() -> None:
    rgb = np.zeros((8, 8, 3), np.uint8)
    alpha = np.zeros((8, 8), np.uint8)
    rgb[0, 0], alpha[0, 0] = 255, 1
    rgb[1, 1], alpha[1, 1] = 100, 255
    assert 95 <= filled(rgb, alpha)[7, 7, 0] <= 105


def test_only_where_alpha_is_kept() -> None:
    picture = load(Image.fromarray(with_hidden("white")))
    assert np.array_equal(pixels_of(picture, "drop"), picture.rgb)
    assert (pixels_of(picture, "blend")[0, 0] == 255).all()
    assert not np.array_equal(pixels_of(picture, "keep"), picture.rgb)


def test_gray_with_hidden_colours_is_gray() -> None:
    source = with_hidden("noise")
    source[source[..., 3] > 0, :3] = 120
    out = io.BytesIO()
    Image.fromarray(source).save(out, "PNG")
    assert ltokc.decode(ltokc.encode(io.BytesIO(out.getvalue()), effort=0)).mode == "LA"


def test_a_picture_of_nothing() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (70, 70, 3), np.uint8)
    assert (filled(rgb, np.zeros((70, 70), np.uint8)) == 0).all()

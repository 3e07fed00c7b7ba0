"""Windows with a halo: they cover every cell once and their seams do not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltokc import tiling
from ltokc.bitstream import full_masks
from ltokc.model import Model, open_model
from ltokc.order import spread_order

SEAM = 2  # of 255: largest difference that a window may make


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


def waves(height: int, width: int) -> np.ndarray:
    """Something of every scale: slopes, stripes, grain."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack([128 + 90 * np.sin(x / 37 + y / 90), 120 + 80 * np.cos(y / 23), 100 + x * 100 / width], -1)
    rgb += 25 * np.sign(np.sin(x / 5) * np.sin(y / 7))[..., None]
    rgb += np.random.default_rng(0).normal(0, 8, rgb.shape)
    return rgb.clip(0, 255).astype(np.uint8)


def prefix(digits: list[np.ndarray], tokens: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The first `tokens` tokens in coding order: digits and masks, per level."""
    kept, masks = [], []
    for grid in digits:
        mask = np.zeros(grid.shape[0] * grid.shape[1], bool)
        mask[spread_order(*grid.shape[:2])[: max(0, tokens)]] = True
        tokens -= mask.size
        masks.append(mask.reshape(grid.shape[:2]))
        kept.append((grid * masks[-1][..., None]).astype(np.int8))
    return kept, masks


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_unpack_undoes_pack(rows: int, columns: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (rows * 4, columns * 4, 3), np.uint8)
    packed = tiling.pack(rgb)
    assert packed.shape == (1, 48, rows, columns) and packed.flags.c_contiguous
    assert (tiling.unpack(packed) == rgb).all()


def test_pack_s_channels_are_colour_row_column() -> None:
    rgb = np.zeros((8, 12, 3), np.uint8)
    rgb[4 + 2, 8 + 3, 1] = 9
    assert tiling.pack(rgb)[0, 1 * 16 + 2 * 4 + 3, 1, 2] == 9


@given(st.integers(1, 90), st.integers(1, 90))
@settings(deadline=None, max_examples=60)
def test_windows_cover_every_cell_once(rows: int, columns: int) -> None:
    seen = np.zeros((rows, columns), int)
    for y, x, outer_y, outer_x in tiling.windows(rows, columns):
        seen[y, x] += 1
        for core, outer, length in ((y, outer_y, rows), (x, outer_x, columns)):
            assert 0 <= outer.start <= core.start < core.stop <= outer.stop <= length
    assert (seen == 1).all()


def test_a_large_picture_s_windows_stay_small() -> None:
    side = tiling.CORE + 2 * tiling.HALO
    for _, _, y, x in tiling.windows(1024, 1024):
        assert y.stop - y.start <= side and x.stop - x.start <= side


@pytest.mark.parametrize(("rows", "columns"), [(2, 14), (14, 2)])
def test_seams_do_not_show(model: Model, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tokens, whole and in windows: pixels within 2 of 255, whatever the number of tokens."""
    height, width = rows * 64 - 5, columns * 64 - 9
    runtime = model.runtime()
    digits = tiling.tokenize(runtime, model.levels, waves(height, width), full_masks(model.levels, rows, columns))
    total = sum(grid.shape[0] * grid.shape[1] for grid in digits)
    monkeypatch.setattr(tiling, "CORE", 8)
    for tokens in (0, rows * columns * 2, total // 3, total):
        kept, masks = prefix(digits, tokens)
        whole = tiling.detokenize(runtime, model.levels, kept, masks, height, width)
        with monkeypatch.context() as patch:
            patch.setattr(tiling, "WHOLE", 0)
            windowed = tiling.detokenize(runtime, model.levels, kept, masks, height, width)
        assert whole.shape == windowed.shape == (height, width, 3)
        assert np.abs(whole.astype(int) - windowed).max() <= SEAM


def test_windowed_tokens_are_nearly_the_whole_picture_s(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = 1, 14
    picture, masks = waves(64, 64 * columns), full_masks(model.levels, rows, columns)
    whole = tiling.tokenize(model.runtime(), model.levels, picture, masks)
    monkeypatch.setattr(tiling, "CORE", 8)
    monkeypatch.setattr(tiling, "WHOLE", 0)
    calls: list[tuple[int, int]] = []
    windowed = tiling.tokenize(model.runtime(), model.levels, picture, masks, lambda *done: calls.append(done))
    assert calls == [(1, 2), (2, 2)]
    differing = sum(int((a != b).any(2).sum()) for a, b in zip(whole, windowed, strict=True))
    assert differing <= 0.02 * sum(mask.size for mask in masks)


def test_tokens_that_are_not_sent_are_zero(model: Model) -> None:
    masks = full_masks(model.levels, 1, 1, np.array([[4]]))
    digits = tiling.tokenize(model.runtime(), model.levels, waves(40, 50), masks)
    for k, (grid, mask) in enumerate(zip(digits, masks, strict=True)):
        assert grid.dtype == np.int8 and grid.shape == (*mask.shape, model.levels[k].digits)
        assert not grid[~mask].any()
        assert np.abs(grid).max() <= (model.levels[k].size - 1) // 2

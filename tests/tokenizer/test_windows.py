"""Windows with a halo: they cover every cell once and their seams do not show."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltokc.geometry import Box, Size
from ltokc.token_grid import Tokens, full_masks
from ltokc.token_order import spread_order
from ltokc.tokenizer import windows
from ltokc.tokenizer.runtime import TOKENIZER, open_runtime
from ltokc.tokenizer.runtime.graphs import key_of
from ltokc.tokenizer.windows import TILING, Networks
from ltokc.zoo.model import Model, open_model

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


def prefix(whole: Tokens, tokens: int) -> Tokens:
    """The first `tokens` tokens in coding order."""
    masks = []
    for grid in whole.digits:
        mask = np.zeros(grid.shape[0] * grid.shape[1], bool)
        mask[spread_order(*grid.shape[:2])[: max(0, tokens)]] = True
        tokens -= mask.size
        masks.append(mask.reshape(grid.shape[:2]))
    return whole.only(masks)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_unpack_undoes_pack(rows: int, columns: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (rows * 4, columns * 4, 3), np.uint8)
    packed = windows.pack(rgb)
    assert packed.shape == (1, 48, rows, columns) and packed.flags.c_contiguous
    last = np.ascontiguousarray(packed.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for form in (packed, last, packed.astype(np.float32), last.astype(np.float32)):
        found = windows.unpack(form)
        assert found.dtype == form.dtype and found.flags.c_contiguous and (found == rgb).all()


def test_pack_s_channels_are_colour_row_column() -> None:
    rgb = np.zeros((8, 12, 3), np.uint8)
    rgb[4 + 2, 8 + 3, 1] = 9
    assert windows.pack(rgb)[0, 1 * 16 + 2 * 4 + 3, 1, 2] == 9


@given(st.integers(1, 6000), st.integers(1, 6000), st.data())
@settings(deadline=None, max_examples=60)
def test_windows_cover_a_region_once(height: int, width: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    covered = 0
    for y, x in open_model().networks().decoder_windows(Size(width, height), box):
        assert top <= y.core[0] < y.core[1] <= top + box[3] and left <= x.core[0] < x.core[1] <= left + box[2]
        covered += (y.core[1] - y.core[0]) * (x.core[1] - x.core[0])
        for axis, side in ((y, height), (x, width)):
            assert axis.spans[4][0] * 4 <= axis.core[0] and axis.core[1] <= axis.spans[4][1] * 4
            for stride in (4, 8, 16, 32):  # what goes on must lie in what there is
                fine, coarse = axis.spans[stride], axis.spans[2 * stride]
                assert 2 * coarse[0] <= fine[0] < fine[1] <= 2 * coarse[1] <= 2 * -(-side // 64) * (32 // stride)
    assert covered == box[2] * box[3]  # and no two overlap, since their cores come from ranges that do not


@given(st.integers(1, 6000), st.integers(1, 6000))
@settings(deadline=None, max_examples=60)
def test_tokenizer_windows_cover_every_cell_once(height: int, width: int) -> None:
    seen = np.zeros((-(-height // 64), -(-width // 64)), int)
    for y, x in open_model().networks().tokenizer_windows(Size(width, height)):
        seen[y.core[0] // 64 : y.core[1] // 64, x.core[0] // 64 : x.core[1] // 64] += 1
        for axis in (y, x):
            for stride, span in axis.spans.items():
                scale = 64 // stride
                assert axis.seen[0] * scale <= span[0] <= axis.core[0] // stride
                assert axis.core[1] // stride <= span[1] <= axis.seen[1] * scale
    assert (seen == 1).all()


def test_a_large_picture_s_windows_stay_small() -> None:
    networks, size = open_model().networks(), Size(65535, 65535)
    for y, x in networks.decoder_windows(size, size.box)[:3000:7]:
        for axis in (y, x):
            assert axis.spans[4][1] - axis.spans[4][0] <= TILING.core * 16 + 2 * networks.field.before[0]
    for y, x in networks.tokenizer_windows(size)[:3000:7]:
        assert max(a.seen[1] - a.seen[0] for a in (y, x)) <= 2 * TILING.core


@pytest.fixture(scope="module", params=["onnx", "torch"])
def networks(model: Model, request: pytest.FixtureRequest) -> Networks:
    return model.networks(request.param, "cpu")


@pytest.mark.parametrize(("rows", "columns"), [(2, 14), (14, 2)])
def test_seams_do_not_show(networks: Networks, rows: int, columns: int) -> None:
    """The same tokens, whole, in windows and in a region: pixels within 2 of 255, whatever the number of tokens."""
    height, width = rows * 64 - 5, columns * 64 - 9
    size = Size(width, height)
    tokenized = networks.tokenize(waves(height, width))
    small = replace(networks, tiling=replace(TILING, core=4))
    cut = replace(networks, tiling=replace(TILING, core=4, whole=0))
    for tokens in (0, tokenized.count // 3, tokenized.count):
        kept = prefix(tokenized, tokens)
        whole, windowed = small.detokenize(kept, size), cut.detokenize(kept, size)
        assert whole.shape == windowed.shape == (height, width, 3)
        assert np.abs(whole.astype(int) - windowed).max() <= SEAM
    left, top, w, h = width // 2 - 13, height // 2 - 31, 61, 43
    ((x, y, part),) = small.parts(kept, size, Box(left, top, w, h))
    assert (x, y) == (left, top)
    assert np.abs(whole[top : top + h, left : left + w].astype(int) - part).max() <= SEAM


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_large_picture_s_decoder_does_not_lie_beside_the_tokenizer(backend: str) -> None:
    """From some size on it is given back before the decoder is opened; the next picture's tokens are equal."""
    if not find_spec(backend.replace("onnx", "onnxruntime")):
        pytest.skip(f"{backend} is not installed")
    model, rgb = open_model(), waves(128, 640)
    runtime: Any = open_runtime(model.folder, backend)
    tiling = replace(TILING, core=4, whole=0, large=rgb.shape[0] * rgb.shape[1] + 1)
    below = Networks(runtime, model.levels, model.field, tiling)
    tokens = below.tokenize(rgb)
    assert key_of(TOKENIZER, {}) in runtime.opened.held
    large = replace(below, tiling=replace(tiling, large=rgb.shape[0] * rgb.shape[1]))
    for _ in range(2):
        again = large.tokenize(rgb)
        assert key_of(TOKENIZER, {}) not in runtime.opened.held
        assert all((a == b).all() for a, b in zip(tokens.digits, again.digits, strict=True))


@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 24))
def test_windows_are_alike_and_come_in_groups(rows: int, columns: int, core: int) -> None:
    """Sides differ by less than the number of windows along them; windows of one size follow each other."""
    model, size = open_model(), Size(columns * 64, rows * 64)
    tiling = replace(TILING, core=core, whole=0)
    networks = Networks(model.runtime(), model.levels, model.field, tiling)
    for found in (networks.tokenizer_windows(size), networks.decoder_windows(size, size.box)):
        for side, cells in ((0, rows), (1, columns)):
            cores = sorted({window[side].core for window in found})
            lengths = [(last - first) // 64 for first, last in cores]
            assert sum(lengths) == cells and max(lengths) <= core and max(lengths) - min(lengths) < len(lengths) + 1
        sizes = [str([b - a for side in w for a, b in side.spans.values()]) for w in found]
        assert len([1 for a, b in zip(sizes, sizes[1:], strict=False) if a != b]) == len(set(sizes)) - 1


def test_the_margin_is_needed(model: Model) -> None:
    """Nothing of the halo is there for nothing: without it the seams show."""
    networks, size = model.networks(), Size(512, 128)
    tokens = networks.tokenize(waves(128, 512))
    whole = networks.detokenize(tokens, size)
    blind = replace(model.field, before=(0,) * 5, absorb=(0,) * len(model.levels), after=0)
    windowed = replace(networks, field=blind, tiling=replace(TILING, core=4, whole=0)).detokenize(tokens, size)
    assert np.abs(whole.astype(int) - windowed).max() > SEAM


def test_windowed_tokens_are_nearly_the_whole_picture_s(networks: Networks) -> None:
    picture = waves(64, 64 * 28)  # so many that one digit at a tie, and what it changes after it, are few
    whole = networks.tokenize(picture)
    cut = replace(networks, tiling=replace(TILING, core=14, whole=0))
    calls: list[int] = []
    windowed = cut.tokenize(picture, advance=lambda: calls.append(1))
    assert len(calls) == 2
    differing = sum(int((a != b).any(2).sum()) for a, b in zip(whole.digits, windowed.digits, strict=True))
    assert differing <= 0.001 * whole.count


def test_tokens_that_are_not_sent_are_zero(model: Model) -> None:
    masks = full_masks(model.levels, 1, 1, np.array([[4]]))
    found = model.networks().tokenize(waves(40, 50), masks)
    for k, (grid, mask) in enumerate(zip(found.digits, masks, strict=True)):
        assert grid.dtype == np.int8 and grid.shape == (*mask.shape, model.levels[k].digits)
        assert not grid[~mask].any()
        assert np.abs(grid).max() <= (model.levels[k].size - 1) // 2

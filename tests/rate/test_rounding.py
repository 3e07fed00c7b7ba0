"""Digits rounded together: the folding, the quadratic model, the kernel, and files that look better for their bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ltokc
from ltokc.errors import ModelError
from ltokc.geometry import Grid, Level, Size
from ltokc.metrics.look import loss_gradient
from ltokc.rate.effort import EFFORTS, PLAIN, effort_of
from ltokc.rate.refine.window import SearchTiling
from ltokc.rate.rounding import quadratic, together
from ltokc.rate.rounding.folding import Folding
from ltokc.rate.rounding.quadratic import Question, flipped
from ltokc.rate.rounding.together import Rounding
from ltokc.token_grid import Tokens, full_masks
from ltokc.tokenizer.rounding import FILE, RoundingKernel, folded_channels
from ltokc.train.rounding.fit import fitted
from ltokc.train.rounding.samples import Sample, sample
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy, smooth

EXAMPLES = Path(__file__).parents[2] / "examples"
BIT = 2.5  # what a bit per pixel weighs
FINE, COARSE = Level(8, 1, 5), Level(16, 2, 5)


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """4x3 cells of a photograph, the last column and row cut by the border."""
    with Image.open(EXAMPLES / "chelsea.png") as image:
        return np.asarray(image.convert("RGB"))[60:240, 100:350]


def tokenized(
    model: Model, rgb: np.ndarray, depths: np.ndarray | int, precision: str = "auto"
) -> tuple[Tokens, list[np.ndarray]]:
    """All digits with the masks of so many levels of every cell, and what was rounded to them."""
    grid = Size.of(rgb).grid
    each = np.broadcast_to(depths, grid)
    values: list[np.ndarray] = []
    found = model.networks(backend="onnx", precision=precision).tokenize(
        rgb, kept=each.astype(np.float32), values=values
    )
    return Tokens(found.levels, found.digits, full_masks(model.levels, *grid, each)), values


def loss(model: Model, rgb: np.ndarray, tokens: Tokens, precision: str = "auto") -> float:
    """How the whole picture looks."""
    shown = model.networks(backend="onnx", precision=precision).detokenize(tokens.only(tokens.masks), Size.of(rgb))
    return loss_gradient(rgb, shown.astype(np.float32) / 127.5 - 1)[0]


def rounded(
    model: Model, rgb: np.ndarray, tokens: Tokens, values: list[np.ndarray], gradients: int = 1, precision: str = "auto"
) -> Tokens:
    assert model.rounding is not None
    return (
        Rounding(model.networks(backend="onnx", precision=precision), model.rounding, gradients)
        .run(rgb, tokens, values, BIT)
        .tokens
    )


def test_folding_is_exact_and_keeps_neighbours_together(model: Model) -> None:
    folding, rng = Folding(model.levels), np.random.default_rng(0)
    assert folding.channels == folded_channels(model.levels) == 142
    grids = [rng.integers(-2, 3, (*Grid(2, 3).at(v), v.digits)).astype(np.int8) for v in model.levels]
    folded = folding.fold(grids)
    assert folded.shape == (142, 8, 12) and folded.dtype == np.float32
    back = folding.unfold(folded, [np.zeros_like(g) for g in grids])
    for k, level in enumerate(model.levels):
        assert np.array_equal(back[k], grids[k] if level.stride <= 16 else np.zeros_like(grids[k]))
    last = folded[-32:].reshape(8, 2, 2, 8, 12)  # digit, row and column in the square
    assert np.array_equal(last[3, 1, 0], grids[-1][1::2, 0::2, 3])
    unfolded = torch.nn.functional.pixel_unshuffle(torch.from_numpy(grids[-1].astype(np.float32)).permute(2, 0, 1), 2)
    assert np.array_equal(folded[-32:], unfolded.numpy())


def question(lean: float) -> Question:
    """Two digits a square of one level of stride 16 in a cell, of which all may flip to the side of `lean`."""
    ones = np.ones((2, 4, 4), np.float32)
    return Question(Folding([COARSE]), 0 * ones, lean * ones, ones, ones, 0.0, 1)


def from_none(lean: float, kernel: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """What flips at first."""
    return flipped(question(lean), kernel, gradient.astype(np.float32), np.zeros(gradient.shape, bool))


def test_a_flip_pays_where_it_gains_more_than_its_curvature_costs() -> None:
    kernel = np.zeros((2, 2, 3, 3), np.float32)
    kernel[[0, 1], [0, 1], 1, 1] = 1 / quadratic.SCALES[0]  # curvature about 1
    gradient = np.full((2, 4, 4), -0.4)
    gradient[0, 1:3] = -0.6
    found = from_none(0.4, kernel, gradient)
    assert np.array_equal(found, gradient < -0.5)
    assert not from_none(-0.4, kernel, gradient).any()  # to the other side it only costs
    for lean in (quadratic.LEANS[0] - 0.01, quadratic.LEANS[1] + 0.01):
        assert not from_none(lean, kernel, gradient).any()


def test_what_flipped_goes_back_where_the_gradient_says_so() -> None:
    kernel = np.zeros((2, 2, 3, 3), np.float32)
    kernel[[0, 1], [0, 1], 1, 1] = 1 / quadratic.SCALES[0]
    asked, flips = question(0.4), np.zeros((2, 4, 4), bool)
    flips[0] = True
    uphill = np.full((2, 4, 4), 0.6, np.float32)
    assert not flipped(asked, kernel, uphill, flips).any()
    level = np.zeros((2, 4, 4), np.float32)
    assert np.array_equal(flipped(asked, kernel, level, flips), flips)
    assert np.array_equal(
        flipped(asked, kernel, uphill, flips, 1.5), flips
    )  # half of the curvature is more than it gains


def test_stiffness_is_how_many_times_the_model_was_wrong() -> None:
    kernel = np.zeros((2, 2, 3, 3), np.float32)
    kernel[:, :, 1, 1] = [[2, 1], [1, 2]]
    asked, moved = question(0.4), np.zeros((2, 4, 4), np.float32)
    moved[0, 1, 1] = 1
    scale = quadratic.SCALE * 2**quadratic.POWER  # of a cell that sends two digits a square
    said = np.zeros((2, 4, 4), np.float32)
    said[:, 1, 1] = 2 * scale, scale
    noise = np.zeros((2, 4, 4), np.float32)
    noise[1, 3, 3] = 5
    for times, found in ((1.7, 1.7), (0.3, 1.0), (9.0, 4.0)):
        assert quadratic.stiffness(asked, kernel, moved, times * said + noise) == pytest.approx(found)
    assert quadratic.stiffness(asked, kernel, 0 * moved, noise) == 1


def test_digits_that_mend_the_same_error_do_not_all_flip() -> None:
    kernel = np.zeros((2, 2, 3, 3), np.float32)
    kernel[:, :, 1, 1] = 1 / quadratic.SCALES[0]  # both digits of a square do the same
    found = from_none(0.4, kernel, np.full((2, 4, 4), -0.9))
    assert found.sum(0).min() == 1 and found.sum() <= 18  # of 32; two may flip in the same pass


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_only_what_is_sent_moves_and_by_one(seed: int) -> None:
    model, rng = open_model(), np.random.default_rng(seed)
    width, height = (int(v) for v in rng.integers(8, 200, 2))
    rgb = (smooth(width, height).astype(int) * rng.random() + grainy(width, height) * rng.random() / 2).astype(np.uint8)
    tokens, values = tokenized(model, rgb, rng.integers(0, 12, Size.of(rgb).grid))
    before = [d.copy() for d in tokens.digits]
    found = rounded(model, rgb, tokens, values)
    grids = zip(model.levels, before, tokens.digits, found.digits, tokens.masks, strict=True)
    for level, old, came, new, mask in grids:
        assert np.array_equal(old, came)  # what came in stays as it was
        assert new.dtype == np.int8 and np.abs(new).max() <= level.half
        assert np.abs(new.astype(int) - old).max() <= 1 and np.array_equal(old[~mask], new[~mask])
        assert level.stride <= 16 or np.array_equal(old, new)


def test_it_gains_the_same_every_time_and_in_windows(
    model: Model, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, values = tokenized(model, picture, np.array([[5, 6, 7, 8], [6, 6, 7, 9], [4, 5, 6, 7]]))
    first, again = (rounded(model, picture, tokens, values) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.digits, again.digits, strict=True))
    start, whole = loss(model, picture, tokens), loss(model, picture, first)
    assert whole < 0.985 * start
    monkeypatch.setattr(together, "TILING", SearchTiling(core=2, margin=1, whole=2))
    cut = loss(model, picture, rounded(model, picture, tokens, values))
    assert start - cut > 0.5 * (start - whole)


def test_further_gradients_gain_more(model: Model, picture: np.ndarray) -> None:
    """Bits count as well, but they hardly change."""
    depths, steps = np.array([[5, 6, 7, 8], [6, 6, 7, 9], [4, 5, 6, 7]]), list[int]()
    for precision, more in (("exact", 1.3), ("auto", 1.0)):
        tokens, values = tokenized(model, picture, depths, precision)
        start = loss(model, picture, tokens, precision)
        one, four = (
            loss(model, picture, rounded(model, picture, tokens, values, n, precision), precision) for n in (1, 4)
        )
        assert start - four > more * (start - one) > 0, precision
    networks = model.networks(backend="onnx")
    assert model.rounding is not None
    Rounding(networks, model.rounding, 3).run(picture, tokens, values, BIT, lambda: steps.append(0))
    assert len(steps) == 3 * together.windows_of(Size.of(picture).grid)


def test_the_means_are_those_of_what_came_in(
    model: Model, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltokc.metrics.colour import pooled

    tokens, values = tokenized(model, picture, 6)
    networks = model.networks(backend="onnx")
    wanted = pooled(networks.detokenize(tokens.only(tokens.masks), Size.of(picture)))
    for tiling in (together.TILING, SearchTiling(core=2, margin=2, whole=2)):
        monkeypatch.setattr(together, "TILING", tiling)
        assert model.rounding is not None
        found = Rounding(networks, model.rounding).run(picture, tokens, values, BIT)
        near = np.abs(found.means - wanted) if tiling.whole > 2 else np.abs(found.means - wanted)[:4, :4]
        assert np.median(near) < 0.02 and near[:8, :8].max() < 1


def test_large_pictures_and_models_without_a_kernel_go_without(
    model: Model, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = effort_of(1)
    assert default.gradients and not PLAIN.gradients and default.of_picture(Size(2048, 2048), True) == default
    assert default.of_picture(Size(2049, 2048), True) == default.of_picture(Size(7, 99), True) == PLAIN
    assert default.of_picture(Size(99, 99), False) == PLAIN
    assert all(effort_of(n).of_picture(Size(9000, 9000), n == 2) == EFFORTS[n] for n in (0, 2, 3, 4))
    assert effort_of(2).of_picture(Size(99, 99), False) == effort_of(2).of_picture(Size(7, 99), True) == PLAIN
    with_kernel = ltokc.encode(picture, 0.7)
    files = tuple(file for file in model.entry.files if file.name != FILE)
    monkeypatch.setattr(model, "entry", replace(model.entry, files=files))
    monkeypatch.delitem(model.__dict__, "rounding")
    without = ltokc.encode(picture, 0.7)
    assert with_kernel != without
    for data in (with_kernel, without):
        ltokc.codec.verify(data)


def test_a_kernel_that_does_not_fit_is_refused(model: Model, tmp_path: Path) -> None:
    path, kernel = tmp_path / FILE, RoundingKernel.load(model.folder / FILE, model.levels)
    kernel.save(path, {"model": "x"})
    again = RoundingKernel.load(path, model.levels)
    assert np.array_equal(again.weight, kernel.weight)
    assert kernel.peaks is not None and again.peaks is not None and np.array_equal(again.peaks, kernel.peaks)
    with pytest.raises(ModelError, match="does not fit the levels"):
        RoundingKernel.load(path, model.levels[:-1])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"rounding.safetensors cannot be used"):
        RoundingKernel.load(path, model.levels)
    RoundingKernel(np.full((142, 142, 3, 3), np.nan, np.float32)).save(path, {})
    with pytest.raises(ModelError, match="finite"):
        RoundingKernel.load(path, model.levels)
    replace(kernel, peaks=-kernel.peaks).save(path, {})
    with pytest.raises(ModelError, match="peaks"):
        RoundingKernel.load(path, model.levels)


def test_the_fit_finds_the_kernel_that_made_the_answers() -> None:
    levels = (Level(64, 2, 5), Level(32, 2, 5), COARSE, FINE)
    n, random = folded_channels(levels), torch.Generator().manual_seed(0)
    true = torch.zeros(n, n, 3, 3)
    true[:, :, 1, 1] = torch.tensor([[4.0, 1, 0, 0, 0, 0], [1, 3, 0.5, 0.5, 0.5, 0.5], *[[0, 0.5, 2, 0, 0, 0]] * 4])
    true[2:, 2:, 1, 1] = 2 * torch.eye(4)
    chosen, sign = (torch.rand(60, n, 16, 16, generator=random) for _ in range(2))
    flips = (chosen < 0.05) * (2 * sign.round() - 1)
    before = torch.randn(n, 16, 16, generator=random)
    after = before + torch.nn.functional.conv2d(flips, true, padding=1) / 100
    sent = np.ones((n, 16, 16), np.float32)
    found = fitted([Sample(100, sent, before.numpy(), flips.numpy(), after.numpy())], levels)
    assert found.weight.shape == (n, n, 3, 3) and found.zeros > 0.4
    assert np.abs(found.weight - true.numpy()).max() < 0.15


def test_a_sample_flips_what_is_sent_and_answers_where_it_flipped(model: Model) -> None:
    rgb = (smooth(260, 256).astype(int) + grainy(260, 256)) // 2
    found = sample(model.networks(backend="onnx"), rgb.astype(np.uint8), 1, np.random.default_rng(3))
    assert found.pixels == 256 * 256 and found.flips.shape == found.after.shape == (1, 142, 16, 16)
    assert not found.flips[0][found.sent == 0].any() and 0.02 < np.abs(found.flips).sum() / found.sent.sum() < 0.06
    moved = found.flips[0] != 0
    answer = (found.after[0] - found.before) * found.flips[0]
    assert answer[moved].mean() > 0  # curvature: a step makes the gradient along it larger

"""Digits chosen by what they do: the torch twins of prior and metric, the search, and the efforts that use it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ltokc
from ltokc.entropy.segment import SegmentWriter
from ltokc.errors import ModelError
from ltokc.geometry import Grid, Size
from ltokc.losses import ssimulacra2 as look
from ltokc.losses.ssim import structural_loss
from ltokc.metrics.look import MSE_WEIGHT, STRUCTURE_WEIGHT
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.metrics.ssimulacra2_weights import WEIGHTS as SSIMULACRA2_WEIGHTS
from ltokc.rate.effort import EFFORTS
from ltokc.rate.refine import descent, search
from ltokc.rate.refine import schedule as schedules
from ltokc.rate.refine.optimizer import DampedRMSprop
from ltokc.rate.refine.search import Search
from ltokc.rate.refine.window import SearchTiling
from ltokc.token_grid import Tokens, full_masks
from ltokc.tokenizer.nn.packed import load_packed
from ltokc.zoo.model import WEIGHTS, Model, open_model
from tests.support.pictures import grainy, smooth


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """4x3 cells, the last column and row cut by the border."""
    out = smooth(250, 180)
    out[:, 125:] = (out[:, 125:].astype(int) + grainy(125, 180)) // 2
    return out


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def to_send(model: Model, rgb: np.ndarray, depth: int) -> Tokens:
    """All digits, and the masks of the first `depth` levels."""
    found = model.networks().tokenize(rgb)
    return Tokens(found.levels, found.digits, full_masks(model.levels, *found.grid, np.full(found.grid, depth)))


def loss(model: Model, rgb: np.ndarray, tokens: Tokens, depth: int, rate: float) -> float:
    """What the search makes small, from the decoder and the prior of the codec."""
    shown = model.networks().detokenize(tokens.only(tokens.masks), Size.of(rgb))
    squared = float(np.mean((shown.astype(float) - rgb) ** 2))
    structure = structural_loss(tensor(shown), tensor(rgb)).item()
    writer = SegmentWriter(model.prior, tokens.digits)
    bits = writer.bits(writer.tokens_at(depth)) / (rgb.shape[0] * rgb.shape[1])
    look = 1 - Reference(rgb).score(shown) / 100 + STRUCTURE_WEIGHT * structure
    return look + MSE_WEIGHT * squared + rate * bits


@pytest.mark.parametrize("shape", [(160, 96), (77, 51), (8, 300)])
def test_the_torch_metric_is_the_numpy_one(shape: tuple[int, int]) -> None:
    original = grainy(*shape)
    decoded = np.clip(original.astype(int) + np.random.default_rng(1).integers(-30, 31, original.shape), 0, 255)
    decoded = decoded.astype(np.uint8)
    norms = Reference(original).norms(decoded)
    wanted = float((SSIMULACRA2_WEIGHTS[:, : norms.shape[1]] * norms).sum())
    shown = tensor(decoded).requires_grad_(True)
    found = look.Original.of(tensor(original)).error(shown)
    assert found.shape == (1,) and found.item() == pytest.approx(wanted, rel=2e-3)
    assert 100 - 100 * look.distance(found).item() == pytest.approx(points(wanted), abs=0.1)
    found.sum().backward()
    assert shown.grad is not None and torch.isfinite(shown.grad).all() and shown.grad.abs().sum() > 0


def test_equal_pictures_have_no_error_and_finite_gradients() -> None:
    shown = tensor(np.zeros((64, 64, 3), np.uint8)).requires_grad_(True)
    error = look.Original.of(shown.detach()).error(shown)
    look.distance(error).sum().backward()
    assert error.item() < 1e-2 and torch.isfinite(shown.grad).all()


def test_the_packed_prior_counts_the_bits_of_the_stream(model: Model, picture: np.ndarray) -> None:
    digits = to_send(model, picture, 11).digits
    net = load_packed(model.folder / WEIGHTS)
    symbols = [torch.from_numpy(d.astype(np.float32)).permute(2, 0, 1)[None] for d in digits]
    masks = [torch.ones(1, 1, *d.shape[:2]) for d in digits]
    bits = net.bits(symbols, net.prior(symbols, masks), masks)[0].cumsum(0)
    writer = SegmentWriter(model.prior, digits)
    for depth in (1, 4, 11):
        assert bits[depth - 1].item() == pytest.approx(writer.bits(writer.tokens_at(depth)), rel=2e-3)
    first = net.bits(symbols[:4], net.prior(symbols[:4], masks[:4]), masks[:4])
    assert torch.allclose(first[0].cumsum(0), bits[:4])


def test_a_file_that_is_no_model_is_refused(tmp_path, model: Model) -> None:
    bad = tmp_path / WEIGHTS
    bad.write_bytes((model.folder / WEIGHTS).read_bytes()[:5000])
    with pytest.raises(ModelError, match=WEIGHTS):
        load_packed(bad)


@pytest.mark.parametrize(("cut", "bf16"), [(False, False), (True, True)], ids=["whole", "windows"])
def test_chosen_digits_show_more_for_their_bits(
    model: Model, picture: np.ndarray, cut: bool, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descent, "multiplies_bf16", lambda device: bf16)
    search.opened.cache_clear()
    tiling = SearchTiling(core=2, margin=1, whole=2) if cut else search.TILING
    depth, advanced = 6, []
    tokens = to_send(model, picture, depth)
    before = [d.copy() for d in tokens.digits]
    schedule = EFFORTS[3].schedule
    found = Search(model.folder, "cpu", tiling).run(picture, tokens, schedule, 2.0, lambda: advanced.append(1))
    assert all(np.array_equal(a, b) for a, b in zip(before, tokens.digits, strict=True))  # what came in stays as it was
    assert len(advanced) == (4 * 24 if cut else 24) and EFFORTS[3].steps(Grid(3, 4)) == 24
    for level, old, new, mask in zip(model.levels, tokens.digits, found.digits, tokens.masks, strict=True):
        assert new.dtype == np.int8 and new.shape == old.shape and np.abs(new).max() <= (level.size - 1) // 2
        assert np.array_equal(old[~mask], new[~mask])
    assert any((a != b).any() for a, b in zip(tokens.digits, found.digits, strict=True))
    old_loss, new_loss = (loss(model, picture, t, depth, 2.0) for t in (tokens, found))
    assert new_loss < 0.99 * old_loss
    search.opened.cache_clear()


def test_no_token_sent_leaves_everything(model: Model, picture: np.ndarray) -> None:
    tokens = to_send(model, picture, 0)
    found = Search(model.folder, "cpu").run(picture, tokens, schedules.Schedule(2, 0.05, 1), 2.0)
    assert all(np.array_equal(a, b) for a, b in zip(tokens.digits, found.digits, strict=True))


def test_efforts_look_as_wanted_for_fewer_bytes(picture: np.ndarray) -> None:
    files = [ltokc.encode(picture, 0.9, effort=effort) for effort in (1, 2, 3)]
    default, *chosen = (Reference(picture).score(np.asarray(ltokc.decode(data))) for data in files)
    assert len(files[1]) < len(files[0]) and len(files[2]) < 0.97 * len(files[1])
    assert all(100 - found < 1.1 * (100 - default) for found in chosen)
    ltokc.codec.verify(files[2])


def test_steps_are_bounded_and_follow_the_gradient() -> None:
    values = torch.tensor([1.0, 0.01, 0.5, 0.2], requires_grad=True)
    free, weights = torch.tensor([True, True, True, False]), torch.tensor([1.0, 0.001, -1.0, 5.0])
    steps, before = DampedRMSprop([values], [free]), values.detach().clone()
    (values * weights).sum().backward()
    steps.step(0.1)
    moved = (values - before).detach()
    assert values.grad is None and moved[3] == 0 and moved[0] < 0 < moved[2] and moved[1] < 0
    assert 0.09 < -moved[0] < 0.12 and -moved[1] < 0.001  # what hardly matters hardly moves
    lengths = [schedules.Schedule(8, 0.05, 2).at(step) for step in range(8)]
    shares = [schedules.Schedule(8, 0.05, 2).rounded(step) for step in range(8)]
    assert shares[:2] == [0.5, 0.625] and shares[4:] == [1.0] * 4
    assert lengths[0] == 0.05 and lengths == sorted(lengths, reverse=True) and lengths[-1] > 0


def test_chosen_digits_keep_to_a_size(picture: np.ndarray) -> None:
    for size in (600, 1300):
        data = ltokc.encode(picture, target_size=size, strict=True, effort=3)
        assert 0.97 * size <= len(data) <= size


def test_without_torch_it_says_so(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install torch"):
        ltokc.encode(picture, effort=3)


def test_a_picture_too_small_to_compare_is_encoded() -> None:
    assert ltokc.decode(ltokc.encode(smooth(6, 5), effort=3)).size == (6, 5)

"""Faster steps compute what slow ones do: rows alone and together, the probe that chooses among them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from ltokc.errors import ModelError  # noqa: E402
from ltokc.losses.lpips import LPIPS  # noqa: E402
from ltokc.tokenizer.nn.prior import IntegerConv  # noqa: E402
from ltokc.train.loop import Trainer  # noqa: E402
from ltokc.train.objective import Objective, cut  # noqa: E402
from ltokc.train.optim import Muon, orthogonalise  # noqa: E402
from ltokc.train.recipe import Loss, Recipe  # noqa: E402
from ltokc.train.speed import probe  # noqa: E402
from ltokc.train.speed.aligned import aligned_conv  # noqa: E402
from ltokc.train.speed.integers import AllIntegers  # noqa: E402
from ltokc.train.speed.rows import Rows, switch, useful  # noqa: E402
from ltokc.train.update import Update  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402
from tests.support.small_model import LEVELS, small_config  # noqa: E402

RECIPE = Recipe(batch=2, crop=64, steps=6, model=small_config(), precision="fp32",
                loss=Loss(rate=(0.5,) * len(LEVELS), look=0.5))  # fmt: skip


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file(random_lpips(), path)
    return path


@pytest.fixture
def trainer(lpips: Path) -> Trainer:
    return Trainer(RECIPE, lpips)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, 3, 64, 64) * 2 - 1, torch.tensor([2.5, 5.0]).view(2, 1, 1, 1)


def gradients(trainer: Trainer) -> tuple[float, dict[str, torch.Tensor]]:
    loss = float(trainer.gradients(*batch())["loss"])
    return loss, {name: p.grad.clone() for name, p in trainer.net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("ci", "co", "side"), [(11, 30, 1), (13, 24, 3), (16, 5, 3), (3, 64, 3)])
def test_filled_up_channels_change_nothing(ci: int, co: int, side: int) -> None:
    x, weight, bias = torch.randn(2, ci, 9, 7), torch.randn(co, ci, side, side), torch.randn(co)
    expected = torch.nn.functional.conv2d(x, weight, bias, padding=side // 2)
    assert torch.allclose(aligned_conv(x, weight, bias, side // 2), expected, atol=1e-5)


def test_the_prior_s_integers_are_the_same_made_together(trainer: Trainer) -> None:
    convs = [module for module in trainer.net.modules() if isinstance(module, IntegerConv)]
    AllIntegers(trainer.net.prior)()
    for conv in convs:
        weight, bias, shift = conv.integers()
        unit = torch.exp2(-shift)
        assert conv.ready is not None
        assert torch.equal(conv.ready[0], weight * unit.view(-1, 1, 1, 1))
        assert torch.equal(conv.ready[1], bias * unit / 16)


@pytest.mark.parametrize("names", [["aligned"], ["integers"], ["together"], ["aligned", "integers", "together"]])
def test_rows_give_the_gradients_of_the_plain_step(names: list[str], trainer: Trainer) -> None:
    loss, plain = gradients(trainer)
    switch(trainer, Rows.of(names))
    assert trainer.rows.names == names
    fast_loss, fast = gradients(trainer)
    assert fast_loss == pytest.approx(loss, rel=1e-5)
    assert not any(value.any() for name, value in fast.items() if name not in plain)  # zeros where there was nothing
    for name, value in plain.items():
        alike = torch.nn.functional.cosine_similarity(value.flatten(), fast[name].flatten(), 0)
        assert not value.any() or alike > 0.999, name
    switch(trainer, Rows())
    again, values = gradients(trainer)
    assert again == loss and all(torch.equal(values[name], plain[name]) for name in plain)


def test_the_probe_keeps_what_is_faster_and_agrees(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    assert useful(trainer) == ["aligned", "integers", "compiled", "together"]
    speeds = {(): 10.0, ("aligned",): 9.0, ("integers",): 15.0, ("integers", "compiled"): 90.0,
              ("integers", "together"): 15.0}  # fmt: skip

    def measured(self: probe.Probe, rows: Rows, seconds: float) -> probe.Measured:
        names = tuple(rows.names)
        return probe.Measured(list(names), speeds[names], 1.0, "compiled" not in names)

    with monkeypatch.context() as patch:
        patch.setattr(probe.Probe, "measure", measured)
        rows, found = probe.chosen(trainer, *batch(), 3.0)
    assert rows.names == ["integers"] == trainer.rows.names and len(found) == 5
    assert trainer.integers is not None
    probe.save(tmp_path, rows, found)
    assert probe.load(tmp_path) == rows and probe.load(tmp_path / "none") == Rows()
    assert json.loads((tmp_path / probe.FILE).read_text())["measured"][0]["crops_per_second"] == 10
    (tmp_path / probe.FILE).write_text('{"chosen": ["warp"]}')
    with pytest.raises(ModelError, match="damaged"):
        probe.load(tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in trainer.net.state_dict().items())


def test_a_row_that_changes_the_loss_does_not_agree(trainer: Trainer) -> None:
    tested = probe.Probe(trainer, *batch())
    assert tested.measure(Rows(integers=True), 0.01).agrees
    with torch.no_grad():
        trainer.net.head.bias += 0.2
    assert not tested.measure(Rows(), 0.01).agrees


def test_rows_that_cannot_matter_are_not_tried(lpips: Path) -> None:
    assert useful(Trainer(replace(RECIPE, train="prior"), lpips)) == ["aligned", "integers"]
    assert useful(Trainer(replace(RECIPE, precision="bf16"), lpips))[-2:] == ["half", "together"]
    assert "integers" not in useful(Trainer(replace(RECIPE, quantised_prior=False), lpips))


def test_distances_in_half_precision_are_those_of_lpips(lpips: Path) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    y = torch.nn.functional.avg_pool2d(x, 3, 1, 1).requires_grad_()
    found = {}
    for half, together in ((False, False), (True, False), (False, True), (True, True)):
        model = LPIPS(lpips)
        model.half, model.together = half, together
        with torch.autocast("cpu", torch.bfloat16):
            distance = model.distance(*model.taps_of_both(y, x))
        (gradient,) = torch.autograd.grad(distance.sum(), y)
        assert distance.dtype == torch.float32
        found[half, together] = distance, gradient.flatten()
    plain, gradient = found[False, False]
    for distance, other in found.values():
        assert torch.allclose(distance, plain, rtol=1e-2)
        assert torch.nn.functional.cosine_similarity(other, gradient, 0) > 0.99
    assert torch.allclose(found[True, False][0], LPIPS(lpips)(y, x), rtol=1e-2)


def test_a_window_of_lpips_is_that_of_all_on_average(lpips: Path) -> None:
    recipe = replace(RECIPE, lpips_window=32)
    objective = Objective(recipe, LPIPS(lpips))
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    y = (x + 0.2 * torch.randn_like(x)).clamp(-1, 1)
    whole = float(Objective(RECIPE, LPIPS(lpips)).perceptual(y, x)[0])
    windows = [float(objective.perceptual(y, x)[0]) for _ in range(40)]
    assert len(set(windows)) > 30 and sum(windows) / len(windows) == pytest.approx(whole, rel=0.1)
    ours, theirs = cut(32, y, x)
    assert ours.shape == theirs.shape == (2, 3, 32, 32)
    place = (x.unfold(2, 32, 1).unfold(3, 32, 1) == theirs[:, :, None, None]).all((0, 1, 4, 5)).nonzero()
    assert len(place) == 1
    top, left = place[0].tolist()
    assert torch.equal(ours, y[:, :, top : top + 32, left : left + 32])


def plain_muon(weights: list[torch.Tensor], momenta: list[torch.Tensor], gradients: list[torch.Tensor], lr: float):
    """A step of Muon, one matrix after the other."""
    for weight, momentum, gradient in zip(weights, momenta, gradients, strict=True):
        momentum.lerp_(gradient, 1 - 0.95)
        matrix = gradient.lerp(momentum, 0.95).reshape(1, len(weight), -1)
        step = orthogonalise(matrix)[0] * (-0.2 * lr * max(matrix.shape[1:]) ** 0.5)
        weight.add_(step.reshape(weight.shape))


def test_stacked_momenta_give_the_weights_of_plain_ones() -> None:
    torch.manual_seed(0)
    shapes = [(8, 8, 3, 3), (16, 8, 1, 1), (8, 8, 3, 3), (8, 72, 1, 1), (16, 8, 1, 1)]
    params = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    weights, momenta = [p.detach().clone() for p in params], [torch.zeros_like(p) for p in params]
    muon = Muon(params, lr=2**-6)
    for step in range(4):
        gradients = [torch.randn(shape) for shape in shapes]
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = gradient.clone()
        if step == 2:  # as a run that goes on does
            state, muon = muon.state_dict(), Muon(params, lr=2**-6)
            muon.load_state_dict(state)
        muon.step()
        plain_muon(weights, momenta, gradients, 2**-6)
        for p, weight, momentum in zip(params, weights, momenta, strict=True):
            assert torch.equal(p, weight) and torch.equal(muon.state[p]["momentum"], momentum)


def test_updates_that_can_be_captured_are_the_plain_ones(lpips: Path) -> None:
    recipe = replace(RECIPE, optimizer="muon", lr=2**-10, muon_lr=2**-9)
    plain, captured = Trainer(recipe, lpips), Trainer(recipe, lpips)
    captured.apply = Update(captured.net, captured.optimizers, captured.rates, captured=True)
    for factor in (0.5, 1.0, 1.0):
        for trainer in (plain, captured):
            trainer.gradients(*batch())
            trainer.apply(factor)
    for (name, one), other in zip(plain.net.named_parameters(), captured.net.parameters(), strict=True):
        assert torch.equal(one, other), name
    before = {name: value.clone() for name, value in plain.net.state_dict().items()}
    state = copy.deepcopy(plain.optimizers[1].state_dict())
    tested = probe.Probe(plain, *batch())
    assert tested.same_update() and tested.measure(Rows(update=True), 0.01).agrees
    assert all(torch.equal(value, before[name]) for name, value in plain.net.state_dict().items())
    after = plain.optimizers[1].state_dict()
    assert all(torch.equal(after["state"][i]["momentum"], each["momentum"]) for i, each in state["state"].items())


def test_a_gradient_that_is_not_finite_counts_as_zero(lpips: Path) -> None:
    trainer = Trainer(RECIPE, lpips)
    trainer.gradients(*batch())
    parameter = next(p for p in trainer.net.parameters() if p.grad is not None)
    parameter.grad.view(-1)[0] = float("nan")
    before = [p.detach().clone() for p in trainer.net.parameters()]
    trainer.apply(1.0)
    assert all(torch.equal(p, old) for p, old in zip(trainer.net.parameters(), before, strict=True))

"""Faster steps compute what slow ones do: rows alone and together, the probe that chooses among them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from ltokc.errors import ModelError  # noqa: E402
from ltokc.tokenizer.nn.prior import IntegerConv  # noqa: E402
from ltokc.train.loop import Trainer  # noqa: E402
from ltokc.train.recipe import Loss, Recipe  # noqa: E402
from ltokc.train.speed import probe  # noqa: E402
from ltokc.train.speed.aligned import aligned_conv  # noqa: E402
from ltokc.train.speed.integers import AllIntegers  # noqa: E402
from ltokc.train.speed.rows import Rows, switch, useful  # noqa: E402
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


@pytest.mark.parametrize("names", [["aligned"], ["integers"], ["aligned", "integers"]])
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
    assert useful(trainer) == ["aligned", "integers", "compiled"]
    speeds = {(): 10.0, ("aligned",): 9.0, ("integers",): 15.0, ("integers", "compiled"): 90.0}

    def measured(self: probe.Probe, rows: Rows, seconds: float) -> probe.Measured:
        names = tuple(rows.names)
        return probe.Measured(list(names), speeds[names], 1.0, "compiled" not in names)

    with monkeypatch.context() as patch:
        patch.setattr(probe.Probe, "measure", measured)
        rows, found = probe.chosen(trainer, *batch(), 3.0)
    assert rows.names == ["integers"] == trainer.rows.names and len(found) == 4
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
    assert "integers" not in useful(Trainer(replace(RECIPE, quantised_prior=False), lpips))

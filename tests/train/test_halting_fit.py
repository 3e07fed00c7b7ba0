"""Labels of the halting head, and its fit to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ltokc.tokenizer import halting  # noqa: E402
from ltokc.train.halting.fit import calibrated, deviance, shifted  # noqa: E402
from ltokc.train.halting.labels import label, label_all, load_label, save_label  # noqa: E402
from ltokc.zoo.model import Model, open_model  # noqa: E402
from tests.support.pictures import grainy, smooth  # noqa: E402


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


def test_a_head_is_fitted_to_what_decodes_measure(model: Model) -> None:
    labels = []
    for i in range(12):
        strength = i / 11
        picture = (smooth(128, 64) * (1 - strength) + grainy(128, 64, i) * strength).astype(np.uint8)
        labels.append(label(model, model.runtime(), picture))
    tensors, margin = calibrated(labels, steps=150, hidden=16)
    assert margin >= 0
    head = halting.Head(tensors, model.levels)
    errors = [halting.predict(head.tensors, each.features).errors[6] for each in labels]
    wrong = [np.log(error / each.moments[6].error()) for error, each in zip(errors, labels, strict=True)]
    spread = np.std([np.log(each.moments[6].error()) for each in labels])
    assert np.std(wrong) < 0.6 * spread


def test_a_head_moves_with_an_encoder_that_changed_little(model: Model) -> None:
    """Errors that are lower by a fifth everywhere are expected to be so; with few pictures the shape stays."""
    assert model.halting is not None
    labels = [label(model, model.runtime(), grainy(128, 64, i)) for i in range(3)]
    old = model.halting.tensors
    better = [replace(v, moments=[replace(m, cells=m.cells * np.float32(0.8)) for m in v.moments]) for v in labels]
    found = [halting.Head(shifted(each, old)[0], model.levels) for each in (labels, better)]
    for head, some in zip(found, (labels, better), strict=True):
        wrong = [[m.error() for m in each.moments] / halting.predict(head.tensors, each.features).errors
                 for each in some]  # fmt: skip
        assert np.abs(np.log(np.median(wrong, 0)))[3:].max() < 0.2
    a, b = (halting.predict(head.tensors, labels[0].features).errors for head in found)
    assert (b < a).all()
    usual = found[0].usual_bits
    assert usual is not None and (np.diff(usual) > 0).all()
    assert usual[-1] == pytest.approx(np.mean([each.bits.sum(0).mean() for each in labels]), rel=1e-4)


def test_a_guess_far_too_low_is_pulled_up() -> None:
    guess = torch.tensor([-30.0, -3.0, -2.3, 0.0, 1.0, 30.0], requires_grad=True)
    deviance(guess, torch.zeros(6)).backward()
    assert guess.grad is not None
    pull = (-6 * guess.grad).tolist()
    assert pull[0] == pytest.approx(pull[1]) and pull[1] == pytest.approx(pull[2], rel=1e-4) and 8 < pull[2] < 10
    assert pull[3] == 0 and -1 < pull[4] < 0 and pull[5] == pytest.approx(-1)


def test_labels_survive_a_file(model: Model, tmp_path: Path) -> None:
    found = label(model, model.runtime(), grainy(64, 64))
    save_label(found, tmp_path / "one.npz")
    again = load_label(tmp_path / "one.npz")
    assert np.array_equal(found.features, again.features) and np.array_equal(found.bits, again.bits)
    assert [a.error() for a in found.moments] == [b.error() for b in again.moments]


def test_labels_are_kept_and_made_by_several_processes(tmp_path: Path) -> None:
    pictures = [grainy(64, 128, seed) for seed in range(3)]
    assert list(label_all(6, pictures[:1], tmp_path)) == [1]
    first = (tmp_path / "00000.npz").stat().st_mtime_ns
    assert list(label_all(6, pictures, tmp_path, jobs=2)) == [1, 2]
    assert (tmp_path / "00000.npz").stat().st_mtime_ns == first
    found = [load_label(tmp_path / f"{i:05d}.npz") for i in range(3)]
    assert all(len(each.moments) == 11 and each.bits.shape == (11, 2, 1) for each in found)
    assert found[1].moments[0].error() > found[1].moments[10].error()

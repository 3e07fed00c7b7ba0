"""The halting head and the efforts, with the shipped model: the look that -q names, one pass or measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import ltokc
from ltokc.errors import ModelError, UsageError
from ltokc.metrics import by_cell as looks
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate.curves import RDCurves
from ltokc.rate.plan import error_of_quality
from ltokc.tokenizer import halting
from ltokc.zoo import registry as zoo
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy, smooth
from tests.support.tilings import small_tiling


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def patchy() -> np.ndarray:
    """Flat on the left, full of detail on the right, 6x4 cells."""
    picture = np.full((256, 384, 3), (190, 200, 215), np.uint8)
    picture[:, 192:] = grainy(192, 256)
    return picture


def distance(picture: np.ndarray, data: bytes) -> float:
    """To 100 points."""
    return 100 - points(looks.moments(Reference(picture), np.asarray(ltokc.decode(data))).error())


def test_features_do_not_depend_on_how_a_picture_is_cut() -> None:
    picture = grainy(200, 330)
    found = halting.pixel_features(picture)
    assert found.shape == (6, 4, halting.PIXEL_FEATURES) and np.isfinite(found).all()
    assert np.array_equal(found[:2], halting.pixel_features(picture[:128]))
    flat = halting.pixel_features(np.full((64, 64, 3), 90, np.uint8))[0, 0]
    assert (flat[:4] <= found[0, 0, :4]).all()


def test_digit_features_are_what_they_say(model: Model) -> None:
    rng, digits = np.random.default_rng(0), []
    for level in model.levels:
        side, half = 64 // level.stride, (level.size - 1) // 2
        digits.append(rng.integers(-half, half + 1, (side * 2, side, level.digits)).astype(np.int8))
    found = halting.digit_features(digits, model.levels)
    assert found.shape == (2, 1, 3 * len(model.levels))
    for k, (grid, level) in enumerate(zip(digits, model.levels, strict=True)):
        z = np.abs(grid[: 64 // level.stride]) / ((level.size - 1) / 2)
        assert np.allclose(found[0, 0, 3 * k : 3 * k + 3], [z.mean(), (z > 0).mean(), (z * z).mean()], atol=1e-6)


def test_the_curves_are_monotone_and_tell_flat_from_dense(model: Model, patchy: np.ndarray) -> None:
    assert model.halting is not None
    curves = RDCurves(*model.halting.predict(model.networks().tokenize(patchy).digits, patchy))
    count = len(model.levels)
    assert curves.errors.shape == (count,) and curves.distortion.shape == curves.bits.shape == (count, 4, 6)
    assert (np.diff(curves.errors) <= 0).all() and (np.diff(curves.distortion, axis=0) <= 0).all()
    assert (np.diff(curves.bits, axis=0) > 0).all()
    assert curves.bits[-1][:, 3:].mean() > 3 * curves.bits[-1][:, :2].mean()
    assert curves.error_at(1) == curves.errors[0] and curves.error_at(count) == pytest.approx(curves.errors[-1])
    assert np.allclose(curves.at(6.5), np.sqrt(curves.distortion[5] * curves.distortion[6]))


def test_effort_0_takes_one_pass_and_no_depth_map(patchy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltokc.rate.tokenized.TokenizedPicture.measure", lambda *_: pytest.fail("decoded"))
    assert not ltokc.info(ltokc.encode(patchy, 0.6, effort=0)).depth_map
    ltokc.encode(patchy, target_size=900, effort=0)


def test_effort_1_gives_places_their_own_depth_and_hits_the_look(model: Model, patchy: np.ndarray) -> None:
    data = ltokc.encode(patchy, 0.75)
    assert ltokc.info(data).depth_map
    wanted = 100 - points(error_of_quality(0.75, model.entry.looks))
    assert distance(patchy, data) == pytest.approx(wanted, rel=0.1)
    masks = ltokc.tokens(data).masks
    kept = sum(mask.reshape(4, mask.shape[0] // 4, 6, -1).sum((1, 3)) for mask in masks)
    assert kept[:, 3:].mean() > 1.5 * kept[:, :3].mean()
    ltokc.verify(data)
    assert len(ltokc.trim(data, tokens=100)) < len(data)


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
        assert sizes == sorted(sizes)


def test_large_pictures_are_measured_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = grainy(600, 390)
    whole = ltokc.encode(picture, 0.5)
    small_tiling(monkeypatch, whole=1, core=4, one_segment=8, segment=8)
    cut = ltokc.encode(picture, 0.5)
    assert ltokc.info(cut).segments > 1
    assert distance(picture, cut) == pytest.approx(distance(picture, whole), rel=0.05)
    ltokc.verify(cut)


@pytest.mark.parametrize("effort", [-1, 5, 1.5])
def test_an_effort_that_is_none(effort: float) -> None:
    with pytest.raises(UsageError, match="effort is 0 to 4"):
        ltokc.encode(smooth(8, 8), effort=effort)  # type: ignore[arg-type]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the default model, a copy that is found first."""
    entry = zoo.find(None)
    shutil.copytree(zoo.folder(entry), tmp_path / entry.folder)
    registry = json.loads((zoo.folder(entry).parent / zoo.REGISTRY).read_text())
    registry["models"] = [m for m in registry["models"] if m["name"] == entry.name]
    (tmp_path / zoo.REGISTRY).write_text(json.dumps(registry))
    monkeypatch.setenv(zoo.ENVIRONMENT, str(tmp_path))
    return tmp_path / entry.folder


def rewrite(folder: Path, change) -> None:
    path = folder.parent / zoo.REGISTRY
    registry = json.loads(path.read_text())
    change(registry["models"][0])
    path.write_text(json.dumps(registry))


def test_a_model_without_a_head_goes_by_its_table(copied: Path, patchy: np.ndarray) -> None:
    rewrite(copied, lambda entry: (entry.pop("looks"), entry["files"].pop(halting.FILE)))
    assert open_model().halting is None
    sizes = [len(ltokc.encode(patchy, q)) for q in (0, 0.5, 1)]
    assert sizes == sorted(sizes) and len(ltokc.encode(patchy, target_size=700)) <= 700


@pytest.mark.parametrize("damage", ["missing", "shape", "no number", "no file"])
def test_a_head_that_is_none_is_refused(copied: Path, damage: str) -> None:
    path = copied / halting.FILE
    tensors = load_file(path)
    if damage == "missing":
        del tensors["pooled"]
    elif damage == "shape":
        tensors["out.bias"] = tensors["out.bias"][:-2]
    elif damage == "no number":
        tensors["hidden.weight"] = np.full_like(tensors["hidden.weight"], np.nan)
    save_file(tensors, path)
    if damage == "no file":
        path.write_bytes(b"nothing")
    facts = {"sha256": zoo.sha256(path), "bytes": path.stat().st_size}
    rewrite(copied, lambda entry: entry["files"].update({halting.FILE: facts}))
    with pytest.raises(ModelError, match=halting.FILE):
        ltokc.encode(smooth(64, 64))


@pytest.mark.parametrize(
    "table", [[[0.1, 8], [0.9, 80]], [[0.9, 80], [0.1, 8]], [[0, 80], [0.9, 8]], [[0.1, 80], [0.9, 0]]]
)
def test_a_table_of_looks_without_sense_is_refused(copied: Path, table: list) -> None:
    rewrite(copied, lambda entry: entry.update(looks=table))
    with pytest.raises(ModelError, match="looks"):
        zoo.read_registry(copied.parent / zoo.REGISTRY)


def test_a_head_is_fitted_to_what_decodes_measure(model: Model) -> None:
    pytest.importorskip("torch")
    from ltokc.train.halting.fit import calibrated, label
    from tests.support.pictures import grainy

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


def test_a_guess_far_too_low_is_pulled_up() -> None:
    torch = pytest.importorskip("torch")
    from ltokc.train.halting.fit import _deviance

    guess = torch.tensor([-30.0, -3.0, -2.3, 0.0, 1.0, 30.0], requires_grad=True)
    _deviance(guess, torch.zeros(6)).backward()
    assert guess.grad is not None
    pull = (-6 * guess.grad).tolist()
    assert pull[0] == pytest.approx(pull[1]) and pull[1] == pytest.approx(pull[2], rel=1e-4) and 8 < pull[2] < 10
    assert pull[3] == 0 and -1 < pull[4] < 0 and pull[5] == pytest.approx(-1)


def test_labels_survive_a_file(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from ltokc.train.halting.fit import label, load_label, save_label

    found = label(model, model.runtime(), grainy(64, 64))
    save_label(found, tmp_path / "one.npz")
    again = load_label(tmp_path / "one.npz")
    assert np.array_equal(found.features, again.features) and np.array_equal(found.bits, again.bits)
    assert [a.error() for a in found.moments] == [b.error() for b in again.moments]


@pytest.mark.parametrize("effort", [0, 1])
def test_a_flat_field_keeps_its_colour(effort: int) -> None:
    for colour in ((128, 128, 128), (200, 120, 90), (40, 60, 160)):
        data = ltokc.encode(np.full((256, 256, 3), colour, np.uint8), effort=effort)
        assert np.abs(np.asarray(ltokc.decode(data), float).mean((0, 1)) - colour).max() < 8
        assert len(data) < 400


def test_labels_are_kept_and_made_by_several_processes(tmp_path: Path) -> None:
    from ltokc.train.halting.fit import load_label
    from ltokc.train.halting.labels import label_all

    pictures = [grainy(64, 128, seed) for seed in range(3)]
    assert list(label_all(6, pictures[:1], tmp_path)) == [1]
    first = (tmp_path / "00000.npz").stat().st_mtime_ns
    assert list(label_all(6, pictures, tmp_path, jobs=2)) == [1, 2]
    assert (tmp_path / "00000.npz").stat().st_mtime_ns == first
    found = [load_label(tmp_path / f"{i:05d}.npz") for i in range(3)]
    assert all(len(each.moments) == 11 and each.bits.shape == (11, 2, 1) for each in found)
    assert found[1].moments[0].error() > found[1].moments[10].error()

"""The halting head of the shipped model: its features, what it predicts, and files that hold none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import ltokc
from ltokc.errors import ModelError
from ltokc.rate.curves import RDCurves
from ltokc.tokenizer import halting
from ltokc.zoo import registry as zoo
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy, half_flat, smooth


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def patchy() -> np.ndarray:
    return half_flat()


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

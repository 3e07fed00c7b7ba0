"""The way back of the gradient in 8-bit integers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ltokc.errors import ModelError
from ltokc.metrics.look import loss_gradient
from ltokc.token_grid import full_masks
from ltokc.tokenizer.gradient import BACKWARD_8, FILES, first_level
from ltokc.tokenizer.rounding import FILE
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy

GRAPH = f"{BACKWARD_8}.onnx"
Gradient = list[np.ndarray | None]


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def gradient(model: Model) -> Callable[..., Gradient]:
    """Of how a picture of six cells looks, by its own digits, in a precision; size: by how much it is multiplied."""
    rgb = np.asarray(grainy(192, 128))
    tokens = model.networks("onnx", "cpu").tokenize(rgb)
    masks = full_masks(model.levels, 2, 3, np.array([[11, 8, 9], [10, 7, 11]]))
    digits = [np.ascontiguousarray(grid.transpose(2, 0, 1)[None]) for grid in tokens.digits]
    sent = [mask[None, None].astype(np.uint8) for mask in masks]

    def found(precision: str, size: float = 1.0) -> Gradient:
        runtime = model.runtime("onnx", "cpu", precision)
        return runtime.digit_gradient(
            digits, sent, lambda shown: np.float32(size) * loss_gradient(rgb, np.ascontiguousarray(shown))[1]
        )

    return found


def test_it_has_the_direction_of_the_exact_one(model: Model, gradient: Callable[..., Gradient]) -> None:
    """Even of noise, where it is small: of photographs it is nearer."""
    pytest.importorskip("onnxruntime")
    exact, fast = gradient("exact"), gradient("auto")
    for k in range(first_level(model.levels), len(model.levels)):
        a, b = exact[k], fast[k]
        assert a is not None and b is not None and not np.array_equal(a, b), "both took the same graph"
        assert np.vdot(a, b) > 0.9 * np.linalg.norm(a) * np.linalg.norm(b), k
        assert 0.85 < np.linalg.norm(b) / np.linalg.norm(a) < 1.15, k


@pytest.mark.parametrize("size", [2.0**-20, 2.0**20])  # exact in floats, so that no step is rounded the other way
def test_integers_fit_gradients_of_any_size(gradient: Callable[..., Gradient], size: float) -> None:
    pytest.importorskip("onnxruntime")
    for a, b in zip(gradient("auto"), gradient("auto", size), strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert np.allclose(b / np.float32(size), a, atol=2e-2 * np.abs(a).max())


def test_a_gradient_of_nothing_is_nothing(gradient: Callable[..., Gradient]) -> None:
    pytest.importorskip("onnxruntime")
    assert not any(each.any() for each in gradient("auto", 0.0) if each is not None)


def test_the_shipped_graphs_are_those_that_are_written(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from ltokc.tokenizer.nn.config import LadderConfig
    from ltokc.train.export.eight_bit_graph import write_gradient_graphs

    config = LadderConfig.from_dict(model.weights.config)
    for name in ("model.safetensors", FILE):
        shutil.copy(model.folder / name, tmp_path)
    write_gradient_graphs(tmp_path, config)
    for name in (*FILES, GRAPH):
        assert (tmp_path / name).read_bytes() == (model.folder / name).read_bytes(), name
    kernel = model.rounding
    assert kernel is not None and kernel.peaks is not None
    (tmp_path / GRAPH).unlink()
    replace(kernel, peaks=None).save(tmp_path / FILE, {})
    write_gradient_graphs(tmp_path, config)
    assert not (tmp_path / GRAPH).exists()
    replace(kernel, peaks=kernel.peaks[1:]).save(tmp_path / FILE, {})
    with pytest.raises(ModelError, match="another decoder"):
        write_gradient_graphs(tmp_path, config)


def test_peaks_are_found_on_crops(model: Model) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    from ltokc.train.rounding.peaks import peaks_of
    from ltokc.train.rounding.samples import SIDE, cropped

    rng = np.random.default_rng(0)
    found = peaks_of(model, [cropped(np.asarray(grainy(SIDE + 5, SIDE)), rng)], rng)
    kernel = model.rounding
    assert kernel is not None and kernel.peaks is not None
    assert found.shape == kernel.peaks.shape and (found > 0).all()
    assert 0.1 < np.median(found / kernel.peaks) < 10

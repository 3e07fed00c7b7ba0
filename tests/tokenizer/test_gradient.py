"""The gradient by the digits, on every runtime, and the values that the tokenizer rounds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ltokc.errors import ModelError
from ltokc.geometry import Size
from ltokc.token_grid import full_masks
from ltokc.tokenizer.gradient import FILES, first_level
from ltokc.tokenizer.runtime import open_runtime
from ltokc.tokenizer.windows import TILING, pack
from ltokc.zoo.model import Model, open_model
from tests.support.cli_runner import ENVIRONMENT
from tests.support.gradients import TOLERANCE, Arrays, as_given, compared, of_a_loss
from tests.support.pictures import grainy
from tests.support.small_model import LEVELS, random_grids, small_ladder

ROWS, COLUMNS = 2, 3  # cells


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


def tokens(model: Model, depths: object = None) -> tuple[Arrays, Arrays]:
    """Random digits, of cells of different depths side by side."""
    rng, cells = np.random.default_rng(1), np.array([[11, 3, 7.5], [4.25, 9, 0]]) if depths is None else depths
    masks = full_masks(model.levels, ROWS, COLUMNS, np.asarray(cells))
    digits = [
        (rng.integers(-level.half, level.half + 1, (*mask.shape, level.digits)) * mask[..., None]).astype(np.int8)
        for level, mask in zip(model.levels, masks, strict=True)
    ]
    return as_given(digits, masks)


@pytest.mark.parametrize(("backend", "tolerance"), [("onnx", TOLERANCE), ("torch", TOLERANCE), ("openvino", 1e-3)])
def test_it_is_that_of_autograd(model: Model, backend: str, tolerance: float) -> None:
    pytest.importorskip("torch")
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    from ltokc.tokenizer.nn.packed import load_packed

    runtime = model.runtime(backend, "cpu", "exact")
    net, first = load_packed(model.folder / "model.safetensors"), first_level(model.levels)
    assert first == 3 and model.levels[3].stride == 16
    compared(runtime, net, *tokens(model), first, tolerance)


def test_of_a_ladder_of_other_sizes(tmp_path: Path) -> None:
    """Channels, levels and blocks that the shipped model has not, biases that are not zero, and half the tokens."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from safetensors.numpy import save_file

    from ltokc.train.export.gradient_graph import write_gradient_graphs
    from ltokc.train.export.tensors import network_tensors

    net = small_ladder()
    save_file(network_tensors(net), tmp_path / "model.safetensors", {"config": net.config.to_json()})
    write_gradient_graphs(tmp_path, net.config)
    for p in net.parameters():
        p.data = p.data.half().float()
    given = as_given(*random_grids(2, 1, 0.5))
    given[0][0][:] *= 20  # the picture of an untrained network is faint
    compared(open_runtime(tmp_path, "onnx", "cpu"), net, *given, first_level(LEVELS), TOLERANCE)


def test_bf16_is_near(model: Model) -> None:
    """The direction is the same, whether the processor multiplies bf16 or not."""
    pytest.importorskip("torch")
    from ltokc.tokenizer.runtime.torch import TorchRuntime

    runtime = TorchRuntime(model.folder, "cpu")
    runtime.bf16 = True
    exact = TorchRuntime(model.folder, "cpu", precision="exact")
    assert not exact.bf16
    given = tokens(model, np.full((ROWS, COLUMNS), 9.0))
    a, b = (each.digit_gradient(*given, of_a_loss) for each in (runtime, exact))
    for x, y in zip(a[3:], b[3:], strict=True):
        assert x is not None and y is not None and x.dtype == np.float32
        kept = y.any()
        assert not kept or np.vdot(x, y) > 0.98 * np.linalg.norm(x) * np.linalg.norm(y)


def test_decoding_makes_no_session_for_it(model: Model) -> None:
    pytest.importorskip("onnxruntime")
    runtime = open_runtime(model.folder, "onnx", "cpu")
    given = tokens(model)
    runtime.detokenize(*given)
    assert set(runtime.opened.held) == {"detokenizer"}  # type: ignore[attr-defined]
    runtime.digit_gradient(*given, of_a_loss)
    assert set(runtime.opened.held) == {"detokenizer", "forward", "backward8"}  # type: ignore[attr-defined]


def test_it_needs_no_torch(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    code = (
        "import sys, numpy as np; from ltokc.zoo.model import open_model; model = open_model();"
        "g = [(np.zeros((1, v.digits, 64 // v.stride, 64 // v.stride), np.int8)) for v in model.levels];"
        "m = [np.ones((1, 1, *each.shape[2:]), np.uint8) for each in g];"
        "found = model.runtime('onnx', 'cpu').digit_gradient(g, m, np.ones_like);"
        "print(sum(each.any() for each in found if each is not None), 'torch' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=120)  # fmt: skip
    assert done.stdout.split() == ["8", "False", "False"], done.stderr


def test_a_model_without_the_graphs(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert model.entry.has_gradient
    assert not replace(model.entry, files=tuple(f for f in model.entry.files if f.name != FILES[1])).has_gradient
    with pytest.raises(ModelError, match=r"^cannot load forward\.onnx: [^\n]+$"):
        open_runtime(tmp_path, "onnx", "cpu").digit_gradient(*tokens(model), of_a_loss)


# -- values before rounding --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
def test_values_are_what_is_rounded(model: Model, backend: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    runtime, packed = model.runtime(backend, "cpu", "exact"), pack(grainy(192, 128))
    masks = as_given([], full_masks(model.levels, 2, 3))[1]
    depth = [np.full(mask.shape, 6, np.float32) for mask in masks]
    plain = runtime.tokenize(packed, masks, depth=depth)
    digits, values = runtime.tokenize_values(packed, masks, depth=depth)
    for level, one, other, value in zip(model.levels, plain, digits, values, strict=True):
        assert (one == other).all() and one.dtype == np.int8
        assert value.dtype == np.float32 and value.shape == one.shape
        assert np.abs(value).max() <= np.float32(level.half + 0.49)
        assert (np.clip(np.rint(value), -level.half, level.half) == one).all()
        assert 0 < np.abs(value - one).mean() < 0.5


def test_both_runtimes_have_the_same_values(model: Model) -> None:
    """At the first level; those after it follow digits that may have been rounded the other way."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    packed, masks = pack(grainy(192, 128)), as_given([], full_masks(model.levels, 2, 3))[1]
    a, b = (model.runtime(backend, "cpu", "exact").tokenize_values(packed, masks)[1] for backend in ("onnx", "torch"))
    assert np.abs(a[0] - b[0]).max() < 1e-4
    for x, y in zip(a, b, strict=True):
        assert np.median(np.abs(x - y)) < 1e-4


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_values_of_a_picture_in_windows(model: Model, backend: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    whole = model.networks(backend, "cpu")
    cut = replace(whole, tiling=replace(TILING, core=2, whole=0, share=1.0))
    picture, masks = grainy(250, 200), None
    for networks in (whole, cut):
        values: Arrays = []
        tokens = networks.tokenize(picture, masks, values=values)
        plain = networks.tokenize(picture, masks)
        for level, digits, same, value in zip(model.levels, tokens.digits, plain.digits, values, strict=True):
            assert (digits == same).all() and value.shape == digits.shape and value.dtype == np.float16
            near = np.abs(np.abs(value.astype(float) % 1) - 0.5) < 2e-3  # where float16 may round the other way
            rounded = np.clip(np.rint(value.astype(float)), -level.half, level.half)
            assert ((rounded == digits) | near).all()
    assert len(cut.tokenizer_windows(Size.of(picture))) > 1

"""Networks in 8-bit integers: near those in floating point, used where a processor is right, measured on pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ltokc
from ltokc.errors import ModelError
from ltokc.geometry import Size
from ltokc.tokenizer import eight_bit
from ltokc.tokenizer.eight_bit import FILE, FILES, GRAPHS, file_of
from ltokc.zoo import registry
from ltokc.zoo.model import Model, open_model
from ltokc.zoo.weights import WEIGHTS
from tests.support.copied_model import copied, grainy_shard
from tests.support.pictures import grainy, smooth

pytest.importorskip("onnxruntime")
from ltokc.ort.integers import multiplies_exactly
from ltokc.tokenizer.runtime import onnx as onnx_runtime

MOST, DECIBELS = 12, 45.0  # of the fast class
exact_here = pytest.mark.skipif(not multiplies_exactly(), reason="the processor's 8-bit sums saturate")


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture
def saturating(monkeypatch: pytest.MonkeyPatch, model: Model) -> Iterator[None]:
    """A processor that adds two products in 16 bits."""
    monkeypatch.setattr(onnx_runtime, "multiplies_exactly", lambda: False)
    held = dict(model.runtimes)
    model.runtimes.clear()
    yield
    model.runtimes.clear()
    model.runtimes.update(held)


def off(a: object, b: object) -> tuple[int, float]:
    """Largest difference of 255, and dB."""
    difference = np.asarray(a, np.int16) - np.asarray(b, np.int16)
    error = float(np.square(difference.astype(float)).mean())
    return int(np.abs(difference).max()), np.inf if not error else 10 * float(np.log10(255**2 / error))


@exact_here
@pytest.mark.parametrize("quality", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("draw", [grainy, smooth])
def test_pixels_are_of_the_fast_class(draw: object, quality: float) -> None:
    data = ltokc.encode(draw(200, 150).astype(np.uint8), quality, effort=0, patches="off")  # type: ignore[operator]
    fast, exact = (ltokc.decode(data, backend="onnx", precision=precision) for precision in ("auto", "exact"))
    most, decibels = off(fast, exact)
    assert most <= MOST and decibels >= DECIBELS
    assert most > 0 or quality == 0 or draw is smooth, "both took the same graph"


@exact_here
def test_files_are_as_good(model: Model) -> None:
    """Tokens of integers, shown by the decoder in floating point."""
    picture = grainy(256, 192)
    sizes, errors = [], []
    for precision in ("auto", "exact"):
        data = ltokc.encode(picture, 0.6, backend="onnx", precision=precision, patches="off")
        shown = np.asarray(ltokc.decode(data, backend="onnx", precision="exact"), float)
        sizes.append(len(data))
        errors.append(float(np.square(shown - picture).mean()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.15) and errors[0] == pytest.approx(errors[1], rel=0.05)


@exact_here
def test_windows_show_the_picture_of_one_piece(model: Model) -> None:
    from dataclasses import replace

    whole = model.networks("onnx", "cpu")
    parts = replace(whole, tiling=replace(whole.tiling, whole=0, core=2))
    picture, size = grainy(300, 200), Size(300, 200)
    tokens, found = whole.tokenize(picture), parts.tokenize(picture)
    differing = sum(int((a != b).any(2).sum()) for a, b in zip(tokens.digits, found.digits, strict=True))
    assert differing <= 0.01 * tokens.count
    assert off(parts.detokenize(tokens, size), whole.detokenize(tokens, size))[0] <= 1


def test_where_sums_saturate_all_is_in_floating_point(saturating: None) -> None:
    picture = grainy(128, 128)
    data = ltokc.encode(picture, 0.6, backend="onnx", effort=0)
    assert data == ltokc.encode(picture, 0.6, backend="onnx", precision="exact", effort=0)
    shown = [ltokc.decode(data, backend="onnx", precision=precision) for precision in ("auto", "exact")]
    assert off(*shown)[0] == 0


def test_a_saturating_runtime_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from ltokc.ort import integers

    class Saturating:
        """Adds pairs of products in 16 bits, as AVX2 does."""

        def __init__(self, model: bytes, options: object, providers: list[str]):
            self.weights = np.random.default_rng(0).choice(
                np.array([-127, 127], np.int8), (integers.INPUTS, integers.OUTPUTS)
            )

        def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            products = given["x"].astype(np.int32)[..., None] * self.weights
            pairs = products.reshape(len(given["x"]), -1, 2, integers.OUTPUTS).sum(2)
            return [np.clip(pairs, -(2**15), 2**15 - 1).sum(1)]

    assert integers.multiplies_exactly.__wrapped__() == multiplies_exactly()
    monkeypatch.setattr(integers.ort, "InferenceSession", Saturating)
    assert not integers.multiplies_exactly.__wrapped__()


def test_a_model_without_them_has_none(tmp_path: Path) -> None:
    (tmp_path / "tokenizer8.onnx").touch()
    assert file_of(tmp_path, "tokenizer", fast=True) == "tokenizer8.onnx"
    assert file_of(tmp_path, "tokenizer", fast=False) == "tokenizer.onnx"
    assert file_of(tmp_path, "detokenizer", fast=True) == "detokenizer.onnx"
    assert file_of(tmp_path, "generative", fast=True) == "generative.onnx"


def test_the_shipped_graphs_are_those_that_are_written(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from ltokc.tokenizer.nn.config import LadderConfig
    from ltokc.train.export.eight_bit_blocks import write_eight_bit_graphs

    for name in (WEIGHTS, FILE):
        shutil.copy(registry_folder(model) / name, tmp_path)
    write_eight_bit_graphs(tmp_path, LadderConfig.from_dict(model.weights.config))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (model.folder / name).read_bytes(), name


def registry_folder(model: Model) -> Path:
    """The checkout's own folder of the model, which holds what training needs besides."""
    return Path(__file__).resolve().parents[2] / "models" / model.entry.folder


def test_what_was_measured_elsewhere_is_refused(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from safetensors.numpy import load_file, save_file

    from ltokc.tokenizer.nn.config import LadderConfig
    from ltokc.train.export.eight_bit_blocks import load_measured, write_eight_bit_graphs

    shutil.copy(model.folder / WEIGHTS, tmp_path)
    known = load_file(registry_folder(model) / FILE)
    name = "detokenizer:final.0:a"
    for change, reason in (
        ({name: known[name][1:]}, "another network"), ({name: np.full_like(known[name], np.nan)}, "finite"),
        ({"detokenizer:final.9:a": known[name]}, "not what was measured"),
    ):  # fmt: skip
        save_file(known | change, tmp_path / FILE)
        with pytest.raises(ModelError, match=reason):
            load_measured(tmp_path / FILE)
            write_eight_bit_graphs(tmp_path, LadderConfig.from_dict(model.weights.config))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return grainy_shard(tmp_path / "shards", 4)


@exact_here
def test_from_the_command_to_pictures(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new encoder takes the graphs away, the command makes them anew, and pictures are near those without."""
    for package in ("torch", "onnx"):
        pytest.importorskip(package)
    from ltokc.cli import cli
    from ltokc.train.export.encoder import add_encoder

    shipped = open_model()
    models = tmp_path / "models"
    folder = copied(shipped, models)
    add_encoder(shipped.folder / WEIGHTS, models, "ladder-6")
    assert not any((folder / name).exists() for name in FILES)
    assert not {FILE, *FILES} & {file.name for file in registry.read_registry(models / registry.REGISTRY)[0].files}
    words = ["models", "quantize", "--models", models, "--name", "ladder-6", "--shards", shards, "--held-out", 0,
             "--crops", 4]  # fmt: skip
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == 0 and "measured on 4 crops" in result.output, result.output
    assert {*FILES} <= {file.name for file in registry.read_registry(models / registry.REGISTRY)[0].files}
    monkeypatch.setenv("LTOKC_MODELS", str(models))
    assert open_model().folder == folder
    data = ltokc.encode(grainy(160, 96, seed=9), 0.6, effort=0, patches="off", backend="onnx")
    shown = [ltokc.decode(data, backend="onnx", precision=precision) for precision in ("auto", "exact")]
    most, decibels = off(*shown)
    assert 0 < most <= 2 * MOST and decibels >= DECIBELS
    assert not set(GRAPHS) & set(GRAPHS.values()) and eight_bit.FILE not in GRAPHS

"""A told tokenizer: the depth that a place will keep decides its digits, in both runtimes and in windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ltokc
from ltokc.geometry import Size
from ltokc.tokenizer.windows import TILING, Networks
from ltokc.zoo import registry
from ltokc.zoo.model import Model, open_model
from ltokc.zoo.weights import WEIGHTS
from tests.support.pictures import grainy
from tests.support.told_model import with_told_encoder

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PICTURE = grainy(200, 120)
ROWS, COLUMNS = Size.of(PICTURE).grid


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_told_encoder(tmp_path_factory.mktemp("models"))


@pytest.fixture
def model(models: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv(registry.ENVIRONMENT, str(models))
    return open_model()


def same(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Share of equal digits."""
    return float(np.mean(np.concatenate([(x == y).ravel() for x, y in zip(a, b, strict=True)])))


def test_files_keep_their_model(model: Model, models: Path) -> None:
    """Only the encoder is another: the hash, and what decodes, are as before."""
    assert model.told and model.entry.bitstream_hash == 0x36E1
    data = ltokc.encode(PICTURE, 0.6)
    ltokc.verify(data)
    here = np.asarray(ltokc.decode(data, precision="exact"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(registry.ENVIRONMENT)
        assert np.array_equal(np.asarray(ltokc.decode(data, precision="exact")), here)
    assert registry.check(model.entry) == models / model.entry.folder


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_every_cell_hears_its_own_depth(model: Model, backend: str) -> None:
    networks = model.networks(backend, "cpu")
    kept = np.full((ROWS, COLUMNS), 3.0, np.float32)
    kept[:, 2:] = 8.5
    mixed, few, many = (networks.tokenize(PICTURE, kept=k).digits for k in (kept, kept * 0 + 3, kept * 0 + 8.5))
    first = [(d[:, : d.shape[1] // 4], f[:, : f.shape[1] // 4]) for d, f in zip(mixed, few, strict=True)]
    last = [(d[:, -d.shape[1] // 4 :], m[:, -m.shape[1] // 4 :]) for d, m in zip(mixed, many, strict=True)]
    assert same(*map(list, zip(*first, strict=True))) > 0.8 and same(*map(list, zip(*last, strict=True))) > 0.8
    assert same(few, many) < 0.8
    everything = networks.tokenize(PICTURE, kept=np.full((ROWS, COLUMNS), len(model.levels)))
    assert same(networks.tokenize(PICTURE).digits, everything.digits) == 1


def test_both_runtimes_and_windows_agree(model: Model) -> None:
    kept = np.random.default_rng(0).uniform(1, 11, (ROWS, COLUMNS)).astype(np.float32)
    found: list[Networks] = [model.networks(backend, "cpu", precision="exact") for backend in ("onnx", "torch")]
    onnx, torch = (networks.tokenize(PICTURE, kept=kept).digits for networks in found)
    assert same(onnx, torch) > 0.98
    for networks, whole in zip(found, (onnx, torch), strict=True):
        cut = replace(networks, tiling=replace(TILING, core=2, whole=0, share=1.0))
        assert same(cut.tokenize(PICTURE, kept=kept).digits, whole) > 0.98


def test_one_walk_or_two(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Effort 0 is told what pictures take mostly, effort 1 then its plan, if that is far; any file is one of ours."""
    told: list[np.ndarray] = []
    walk = Networks.tokenize

    def noted(self: Networks, *args: object, **options: object) -> object:
        told.append(np.asarray(options["kept"]))
        return walk(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Networks, "tokenize", noted)
    monkeypatch.setattr("ltokc.rate.tokenized.FAR", 0.0)
    for rate in ({"quality": 0.6}, {"tokens": 300}, {"target_size": 400}):
        told.clear()
        ltokc.verify(ltokc.encode(PICTURE, effort=0, **rate))
        assert len(told) == 1 and np.ptp(told[0]) == 0, rate
        told.clear()
        data = ltokc.encode(PICTURE, effort=1, **rate)
        ltokc.verify(data)
        assert len(told) >= 2 and np.ptp(told[0]) == 0, rate
        kept = sum(m.reshape(ROWS, m.shape[0] // ROWS, COLUMNS, -1).mean((1, 3)) for m in ltokc.tokens(data).masks)
        assert np.abs(told[-1] - kept).mean() < 1, rate  # a wanted size may cut the last tokens
    monkeypatch.setattr("ltokc.rate.tokenized.FAR", 99.0)
    told.clear()
    ltokc.verify(ltokc.encode(PICTURE, 0.6))
    assert len(told) == 1


def test_the_weights_of_another_network_are_refused(models: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from ltokc.errors import ModelError
    from ltokc.train.export.encoder import add_encoder
    from ltokc.zoo.weights import Weights

    folder = models / "ladder-6"
    before = (folder / WEIGHTS).read_bytes()
    tensors = {name: tensor for name, tensor in load_file(folder / WEIGHTS).items() if name != "stem.bias"}
    metadata = Weights(folder / WEIGHTS).header["__metadata__"]
    save_file(tensors, tmp_path / "less.safetensors", metadata)
    for path in (tmp_path / "less.safetensors", folder / "halting.safetensors"):
        with pytest.raises(ModelError, match="no encoder of ladder-6"):
            add_encoder(path, models, "ladder-6")
    with pytest.raises(ModelError, match="no model 'ladder-7'"):
        add_encoder(folder / WEIGHTS, models, "ladder-7")
    assert (folder / WEIGHTS).read_bytes() == before

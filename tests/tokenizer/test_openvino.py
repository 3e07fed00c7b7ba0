"""OpenVINO as a runtime: pixels of two classes, the same files, windows, precisions."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ltokc
from ltokc.errors import UsageError
from ltokc.geometry import Size
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")
from ltokc.threads import runtime_threads
from ltokc.tokenizer.runtime.openvino import OpenVinoRuntime, multiplies_bf16

GOLDEN = Path(__file__).resolve().parents[2] / "formats" / "golden" / "v1"
REFERENCE, FAST = (2, 55.0), (12, 45.0)  # most of 255, least dB


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


def within(found: object, reference: object, bounds: tuple[int, float]) -> bool:
    difference = np.asarray(found, np.int16) - np.asarray(reference, np.int16)
    error = float(np.mean(difference.astype(float) ** 2))
    return np.abs(difference).max() <= bounds[0] and (not error or 10 * np.log10(255**2 / error) >= bounds[1])


@pytest.mark.parametrize(("precision", "bounds"), [("exact", REFERENCE), ("auto", FAST)])
@pytest.mark.parametrize("quality", [0.0, 0.5, 1.0])
def test_pixels_are_of_their_class(precision: str, bounds: tuple[int, float], quality: float) -> None:
    data = ltokc.encode(grainy(150, 130), quality, backend="onnx", effort=0)
    reference = ltokc.decode(data, backend="onnx", precision="exact")
    assert within(ltokc.decode(data, backend="openvino", precision=precision), reference, bounds)


@pytest.mark.parametrize("precision", ["exact", "auto"])
def test_its_files_are_as_good_and_decode_anywhere(precision: str) -> None:
    picture = grainy(200, 150)
    files = [
        ltokc.encode(picture, 0.6, backend=backend, precision=precision, effort=0) for backend in ("openvino", "onnx")
    ]
    shown = [np.asarray(ltokc.decode(data, backend="onnx"), float) for data in files]
    errors = [float(np.mean((each - picture) ** 2)) for each in shown]
    assert errors[0] == pytest.approx(errors[1], rel=0.05) and len(files[0]) == pytest.approx(len(files[1]), rel=0.15)
    assert files[0] == ltokc.encode(picture, 0.6, backend="openvino", precision=precision, effort=0)


@pytest.mark.parametrize(("precision", "bounds"), [("exact", (1, 55.0)), ("auto", FAST)])
def test_windows(model: Model, precision: str, bounds: tuple[int, float]) -> None:
    whole = model.networks("openvino", precision=precision)
    parts = replace(whole, tiling=replace(whole.tiling, whole=0, core=2))
    picture, size = grainy(250, 200), Size(250, 200)
    tokens = whole.tokenize(picture)
    found = parts.tokenize(picture)
    differing = sum(int((a != b).any(2).sum()) for a, b in zip(tokens.digits, found.digits, strict=True))
    assert differing <= 0.05 * tokens.count
    assert within(parts.detokenize(tokens, size), whole.detokenize(tokens, size), bounds)


def test_the_generative_decoder_is_of_the_reference_class() -> None:
    data = ltokc.encode(grainy(96, 96), 0.4, backend="onnx", effort=0)
    a, b = (ltokc.decode(data, decoder="generative", seed=5, backend=backend) for backend in ("onnx", "openvino"))
    assert within(a, b, FAST)


def test_what_a_runtime_is_called(model: Model) -> None:
    assert model.runtime("openvino", precision="exact").name.endswith("f32")
    assert model.runtime("openvino").name.endswith("bf16" if multiplies_bf16() else "f32")
    assert model.runtime("auto", "cpu").name.startswith("openvino" if multiplies_bf16() else "onnxruntime")


def test_what_it_cannot_do(model: Model) -> None:
    with pytest.raises(UsageError, match="runs on the CPU"):
        model.runtime("openvino", "cuda")
    with pytest.raises(UsageError, match="precision"):
        ltokc.encode(grainy(64, 64), precision="double")


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.ltk"))[:6], ids=lambda path: path.stem)
def test_golden_files(golden: Path) -> None:
    data = golden.read_bytes()
    try:
        reference = ltokc.decode(data, backend="onnx", precision="exact", limit_pixels=None)
    except ltokc.LtokcError as error:
        with pytest.raises(type(error)):
            ltokc.decode(data, backend="openvino", limit_pixels=None)
        return
    assert within(ltokc.decode(data, backend="openvino", limit_pixels=None), reference, FAST)


def test_a_compiled_graph_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTOKC_CACHE", str(tmp_path / "cache"))
    model, picture = open_model(), grainy(100, 80)
    data = ltokc.encode(picture, 0.5, backend="onnx", effort=0)
    shown = []
    for _ in range(2):
        runtime = OpenVinoRuntime(model.folder, threads=1)
        monkeypatch.setitem(model.runtimes, ("openvino", "auto", "auto", runtime_threads(), os.getpid()), runtime)
        shown.append(np.asarray(ltokc.decode(data, backend="openvino")))
        (kept,) = (tmp_path / "cache").iterdir()
    assert np.array_equal(*shown)
    monkeypatch.setattr(OpenVinoRuntime, "_made", None)  # nothing is compiled when it is on disk
    runtime = OpenVinoRuntime(model.folder, threads=2)
    monkeypatch.setitem(model.runtimes, ("openvino", "auto", "auto", runtime_threads(), os.getpid()), runtime)
    assert np.array_equal(np.asarray(ltokc.decode(data, backend="openvino")), shown[0])
    monkeypatch.undo()
    monkeypatch.setenv("LTOKC_CACHE", str(tmp_path / "cache"))
    kept.write_bytes(kept.read_bytes()[:1000])  # damaged: compiled anew
    runtime = OpenVinoRuntime(model.folder, threads=1)
    monkeypatch.setitem(model.runtimes, ("openvino", "auto", "auto", runtime_threads(), os.getpid()), runtime)
    assert np.array_equal(np.asarray(ltokc.decode(data, backend="openvino")), shown[0])
    assert kept.stat().st_size > 1000


def test_a_weights_file_that_was_compared_is_not_read_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    model = open_model()
    known = {file.name: file.sha256 for file in model.entry.files}
    monkeypatch.setenv("LTOKC_CACHE", str(tmp_path / "cache"))
    name, graph, config = "detokenizer", b"graph", {"INFERENCE_PRECISION_HINT": "f32"}
    asked = OpenVinoRuntime(model.folder, threads=1)._key(name, graph, config)
    assert asked == OpenVinoRuntime(tmp_path / "nowhere", threads=1, digests=known)._key(name, graph, config)
    known["model.safetensors"] = "0" * 64
    assert asked != OpenVinoRuntime(tmp_path / "nowhere", threads=1, digests=known)._key(name, graph, config)

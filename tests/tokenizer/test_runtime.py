"""The runtimes: the same pictures from both, nothing loaded that is not needed, clear words when one is missing."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import ModelError, UsageError
from ltokc.geometry import Size
from ltokc.token_grid import Tokens, full_masks
from ltokc.tokenizer import runtime
from ltokc.tokenizer.runtime import open_runtime
from ltokc.zoo.model import Model, open_model
from tests.support.cli_runner import ENVIRONMENT
from tests.support.pictures import grainy

SAME = 2  # of 255: largest difference of a pixel between two runtimes
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "LTOKC_THREADS")


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.png and a.ltk."""
    folder = tmp_path_factory.mktemp("files")
    Image.fromarray(grainy(200, 150)).save(folder / "a.png")
    (folder / "a.ltk").write_bytes(ltokc.encode(folder / "a.png", 1.0, patches="off"))
    return folder


def python(code: str, folder: Path, **environment: str) -> str:
    """What a fresh interpreter prints that runs this code in the folder."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- two runtimes ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("quality", [0.0, 0.3, 0.7, 1.0])
def test_onnx_and_torch_give_the_same_picture(quality: float) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    data = ltokc.encode(grainy(150, 130), quality)
    a, b = (
        np.asarray(ltokc.decode(data, backend=backend, device="cpu", precision="exact"), int)
        for backend in ("onnx", "torch")
    )
    assert np.abs(a - b).max() <= SAME


def test_onnx_and_torch_agree_where_tokens_are_missing(model: Model) -> None:
    """Cells of every depth side by side, and tokens that no encoder would write."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    depths = np.arange(12).reshape(3, 4) % (len(model.levels) + 1)
    masks, rng = full_masks(model.levels, 3, 4, depths), np.random.default_rng(0)
    digits = []
    for level, mask in zip(model.levels, masks, strict=True):
        grid = rng.integers(-level.half, level.half + 1, (*mask.shape, level.digits)) * mask[..., None]
        digits.append(grid.astype(np.int8))
    tokens = Tokens(model.levels, digits, masks)
    pictures = [
        model.networks(backend, "cpu", precision="exact").detokenize(tokens, Size(250, 190)).astype(int)
        for backend in ("onnx", "torch")
    ]
    assert pictures[0].shape == (190, 250, 3)
    assert np.abs(pictures[0] - pictures[1]).max() <= SAME


def test_onnx_and_torch_choose_nearly_the_same_tokens(model: Model) -> None:
    """Not all: where a value lies between two digits, rounding errors decide."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    a, b = (
        model.networks(backend, "cpu", precision="exact").tokenize(grainy(128, 128)) for backend in ("onnx", "torch")
    )
    differing = sum(int((p != q).any(2).sum()) for p, q in zip(a.digits, b.digits, strict=True))
    assert differing <= 0.02 * a.count


# -- threads -----------------------------------------------------------------------------------------------------------
def test_one_and_two_threads_decode_equal_tokens(files: Path) -> None:
    code = (
        "import hashlib, numpy, ltokc; arrays = ltokc.tokens(open('a.ltk', 'rb').read());"
        "print(arrays.count, hashlib.sha256(b''.join(d.tobytes() for d in arrays.digits)).hexdigest())"
    )
    one, two = (python(code, files, **dict.fromkeys(THREADS, threads)) for threads in ("1", "2"))
    assert one == two and int(one.split()[0]) > 1000


def test_threads_of_the_runtime_come_from_the_environment(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    for value, expected in (("2", 2), ("", None)):
        monkeypatch.setenv("LTOKC_THREADS", value)
        assert open_runtime(model.folder, "onnx", "cpu").threads == expected  # type: ignore[attr-defined]
    assert open_runtime(model.folder, "onnx", "cpu", 3).threads == 3  # type: ignore[attr-defined]


# -- what is loaded ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("verb", "unwanted"),
    [
        ("info(open('a.ltk', 'rb').read())", "torch onnxruntime numpy PIL safetensors"),
        ("tokens(open('a.ltk', 'rb').read())", "torch onnxruntime PIL"),
        ("verify(open('a.ltk', 'rb').read())", "torch onnxruntime"),
        ("trim(open('a.ltk', 'rb').read(), tokens=50)", "torch onnxruntime PIL"),
        ("decode(open('a.ltk', 'rb').read())", "torch"),
        ("encode('a.png', 0.5)", "torch"),
    ],
)
def test_a_verb_loads_what_it_needs(files: Path, verb: str, unwanted: str) -> None:
    pytest.importorskip("onnxruntime")
    code = f"import sys, ltokc; ltokc.{verb}; print(*[n for n in {unwanted.split()} if n in sys.modules])"
    assert python(code, files) == ""


# -- what is missing ---------------------------------------------------------------------------------------------------
def installed(*names: str) -> object:
    return lambda name: object() if name in names else None


def test_no_runtime_at_all(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltokc.tokenizer.runtime.find_spec", installed())
    for backend in ("auto", "torch"):
        with pytest.raises(ModelError, match=r"no runtime is installed: pip install 'ltokc\[cpu\]'"):
            open_runtime(model.folder, backend)
    with pytest.raises(ModelError, match="ONNX Runtime is not installed"):
        open_runtime(model.folder, "onnx")


def test_without_a_runtime_the_user_sees_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltokc.tokenizer.runtime.find_spec", installed())
    monkeypatch.setattr(Model, "runtime", lambda self, backend, device, _: open_runtime(self.folder, backend, device))
    with pytest.raises(ModelError, match=r"^[^\n]+$"):
        ltokc.encode(grainy(8, 8))


def test_torch_stands_in_for_onnx_runtime(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("ltokc.tokenizer.runtime.find_spec", installed("torch"))
    assert open_runtime(model.folder, device="cpu").name.startswith("torch ")


def test_unknown_names(model: Model) -> None:
    for names in (("tensorflow", "cpu"), ("onnx", "tpu")):
        with pytest.raises(UsageError, match="unknown backend, device or precision"):
            open_runtime(model.folder, *names)


def test_a_missing_device(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match=r"no CUDA: .*ltokc\[gpu\]"):
        open_runtime(model.folder, "onnx", "cuda")
    assert open_runtime(model.folder, "onnx", "auto").name.endswith("CPUExecutionProvider")


@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
def test_a_damaged_model_is_a_model_error(backend: str, model: Model, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    for file in model.folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    grids = [np.zeros((1, v.digits, 64 // v.stride, 64 // v.stride), np.int8) for v in model.levels]
    masks = [np.zeros((1, 1, 64 // v.stride, 64 // v.stride), np.uint8) for v in model.levels]
    with pytest.raises(ModelError, match=r"^cannot (load|read) [^\n]+$"):
        open_runtime(tmp_path, backend, "cpu").detokenize(grids, masks)


# -- both builds of ONNX Runtime ---------------------------------------------------------------------------------------
def test_onnxruntime_gpu_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_bytes(b"")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    (tmp_path / "onnxruntime-1.32.0.dist-info").mkdir()
    assert not runtime._has_onnxruntime_gpu()
    (tmp_path / "onnxruntime_gpu-1.32.0.dist-info").mkdir()
    assert runtime._has_onnxruntime_gpu()


def test_both_onnx_runtimes_give_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from ltokc.tokenizer.runtime import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        onnx.warn_if_both()
        onnx.warn_if_both(tmp_path)
        (tmp_path / "onnxruntime-1.32.0.dist-info").mkdir()
        onnx.warn_if_both(tmp_path)
    (tmp_path / "onnxruntime_gpu-1.30.0.dist-info").mkdir()
    with pytest.warns(UserWarning, match="onnxruntime and onnxruntime-gpu are both installed and overwrite each other"):
        onnx.warn_if_both(tmp_path)

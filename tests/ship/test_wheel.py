"""The wheel: what it brings, where that goes, that it works without the checkout, and that it stays small."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ltokc
from ltokc.zoo import registry
from tests.support.cli_runner import ROOT

pytestmark = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
LARGEST = 16_000_000  # bytes of a wheel
MODELS = "ltokc/models/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the checkout as pip builds it, with what is installed here and without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet",
               "--disable-pip-version-check", "-w", str(folder), str(ROOT)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_of_the_models_it_has_what_the_codec_reads_and_no_more(names: set[str]) -> None:
    entries = registry.read_registry(ROOT / "models" / registry.REGISTRY)
    wanted = {f"{entry.folder}/{file.name}" for entry in entries for file in entry.files}
    assert {name.removeprefix(MODELS) for name in names if name.startswith(MODELS)} == {registry.REGISTRY} | wanted
    assert {Path(name).name for name in wanted} == {
        "model.safetensors", "tokenizer.onnx", "detokenizer.onnx", "forward.onnx", "backward.onnx",
        "backward8.onnx", "tokenizer8.onnx", "detokenizer8.onnx", "forward8.onnx",
        "halting.safetensors", "rounding.safetensors",
        "colour.safetensors", "generative.safetensors", "generative.onnx",
    }  # fmt: skip


def test_the_package_is_whole_and_alone(names: set[str]) -> None:
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "ltokc"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    package = {name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()}
    assert {name for name in names if name.startswith("ltokc/") and not name.startswith(MODELS)} == package
    tops = {f"ltokc-{ltokc.__version__}.dist-info", f"ltokc-{ltokc.__version__}.data", "ltokc"}
    assert {name.partition("/")[0] for name in names} == tops


def test_everything_else_goes_to_its_place(names: set[str]) -> None:
    share = f"ltokc-{ltokc.__version__}.data/data/share"
    pages = {f"{share}/man/man1/{path.name}" for path in (ROOT / "docs" / "man").glob("*.1")}
    assert f"{share}/man/man1/ltokc-batch.1" in pages
    assert {name for name in names if name.startswith(f"{share}/")} == pages | {
        f"{share}/mime/packages/ltokc.xml", f"{share}/thumbnailers/ltokc.thumbnailer", f"{share}/ltokc/ltk.magic",
        f"{share}/bash-completion/completions/ltokc", f"{share}/zsh/site-functions/_ltokc",
        f"{share}/fish/vendor_completions.d/ltokc.fish",
    }  # fmt: skip


def test_it_works_alone(wheel: Path, tmp_path: Path) -> None:
    """A picture there and back with the wheel's own models, away from the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "import ltokc; d = ltokc.encode('photo.jpg', tokens=40); print(ltokc.__file__, ltokc.decode(d).size)"
    (tmp_path / "photo.jpg").write_bytes((ROOT / "examples" / "coffee.jpg").read_bytes())
    without = {key: value for key, value in os.environ.items() if key != registry.ENVIRONMENT}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env={**without, "PYTHONPATH": str(tmp_path / "site")}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(" ", 1)[0] == str(tmp_path / "site" / "ltokc" / "__init__.py")

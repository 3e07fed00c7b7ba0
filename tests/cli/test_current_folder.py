"""No code that lies beside pictures runs: not in a command, not in its workers, not under `python -m`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ltokc.compare.codecs import JpegXl
from ltokc.jobs import processes
from tests.support.cli_runner import ENVIRONMENT, ROOT

TRAP = "import os\nopen(os.environ['TRAPPED'], 'a').write(__name__ + chr(10))\nraise ImportError('a trap')\n"
OTHERS = ("numpy", "PIL", "click", "onnxruntime", "constriction", "safetensors", "tqdm", "torch", "flatbuffers",
          "google", "packaging", "sympy", "yaml", "cffi", "defusedxml", "olefile", "sitecustomize",
          "usercustomize")  # fmt: skip
PROBE = "import sys\nprint(*sys.modules)\n"
VERBS = (
    ["encode", "photo.png", "-o", "new.ltk"],
    ["encode", "a.png", "b.png", "-d", "out", "-j", "2"],
    ["batch", "-r", ".", "-d", "out", "-j", "2"],
    ["decode", "photo.ltk", "photo.ltk", "-d", "out", "-j", "2"],
    ["info", "photo.ltk", "--heatmap", "map.png"], ["verify", "photo.ltk"], ["tokens", "photo.ltk", "--json"],
    ["trim", "photo.ltk", "--tokens", "9", "-o", "new.ltk"], ["thumbnail", "photo.ltk", "small.png"],
    ["compare", "photo.png", "photo.ltk"], ["models"], ["-V"], ["--help"],
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded_by_python(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What `python -m` itself loads before the module that it runs, and what nobody can protect."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text(PROBE)
    done = subprocess.run([sys.executable, "-m", "probe"], cwd=folder, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.fixture
def trapped(here: Path, encoded: bytes, loaded_by_python: set[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has pictures, and a module in the name of everything that could be imported."""
    Path("photo.ltk").write_bytes(encoded)
    for name in ("a.png", "b.png"):
        Path(name).write_bytes(Path("photo.png").read_bytes())
    for name in ("text.png", "empty.png"):
        Path(name).unlink()
    for name in {*sys.stdlib_module_names, *OTHERS} - loaded_by_python:
        Path(f"{name}.py").write_text(TRAP)
    assert {"pickle.py", "socket.py", "numpy.py", "typing.py", "__future__.py"} <= {p.name for p in here.iterdir()}
    log = here / "folder" / "trapped.txt"
    log.touch()
    monkeypatch.setenv("TRAPPED", str(log))
    return log


def ltokc(words: list[str], *args: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**ENVIRONMENT, "TRAPPED": os.environ["TRAPPED"]}
    return subprocess.run([*words, *args], env=environment, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_no_module_of_the_current_folder_runs(trapped: Path, args: list[str]) -> None:
    done = ltokc([sys.executable, "-m", "ltokc"], *args)
    assert (trapped.read_text(), done.returncode) == ("", 0), done.stderr.decode()


def test_the_program_takes_none_either(trapped: Path, tmp_path: Path) -> None:
    Path("folder/ltokc").write_text("from ltokc.cli import main\nif __name__ == '__main__':\n    main()\n")
    done = ltokc([sys.executable, str(tmp_path / "folder" / "ltokc")], "batch", "-r", ".", "-d", "out")
    assert (trapped.read_text(), done.returncode) == ("", 0), done.stderr.decode()


def test_the_traps_work(trapped: Path) -> None:
    ltokc([sys.executable, "-c", "import ltokc.codec, pickle"])
    assert trapped.read_text()


def test_workers_of_a_library_take_none(trapped: Path) -> None:
    """The parent's own path is the user's; a worker's start, which is ours, reads nothing in the folder."""
    assert [o.get() for o in processes.in_order(processes.run([1, 2], str, 2))] == ["1", "2"]
    assert trapped.read_text() == ""


def test_a_checkout_runs_from_its_own_folder() -> None:
    without = {key: value for key, value in ENVIRONMENT.items() if key != "PYTHONPATH"}
    code = "import os, sys; sys.argv, sys.path[0] = ['-m'], os.getcwd(); import ltokc; print(sys.path[0])"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, env=without, capture_output=True, text=True,
                          check=True, timeout=60)  # fmt: skip
    assert done.stdout.strip() == str(ROOT)


@pytest.mark.skipif(os.name != "posix", reason="scripts as programs")
def test_programs_of_the_current_folder_are_not_called(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cjxl", "djxl"):
        Path(name).write_text("#!/bin/sh\ntouch trapped\n")
        Path(name).chmod(0o755)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")
    if JpegXl.available():
        JpegXl().encode(Image.new("RGB", (8, 8)), 2)
    assert not Path("trapped").exists()
    monkeypatch.setenv("PATH", ".")
    assert not JpegXl.available()

"""Nothing is told to anybody: no file outside of the outputs, no socket, not even by the libraries below Python."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.cli_runner import ENVIRONMENT, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="places of Linux")
LIBRARY = "import ltokc; ltokc.decode(ltokc.encode('photo.png', tokens=20, backend='onnx'))"
PLUG_IN = """
import io, ltokc
from PIL import Image
ltokc.register_pillow()
data = io.BytesIO()
Image.open("photo.png").save(data, "LTK", tokens=20)
Image.open(data).load()
"""
LONG = "; import time; time.sleep(8)"  # what a start is told with is sent about six seconds after it
COMMANDS = {
    "encode": ["-m", "ltokc", "encode", "photo.png"],
    "workers": ["-m", "ltokc", "batch", "-r", ".", "-d", "out", "-j", "2"],
    "library": ["-c", LIBRARY], "plug-in": ["-c", PLUG_IN],
    "openvino": ["-m", "ltokc", "encode", "photo.png", "--backend", "openvino"],
}  # fmt: skip


@pytest.fixture
def home(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder that is HOME, and the place of every cache and setting."""
    for name in ("text.png", "empty.png"):
        Path(name).unlink()
    Path("other.png").write_bytes(Path("photo.png").read_bytes())
    return tmp_path_factory.mktemp("home")


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in ENVIRONMENT.items() if not k.startswith(("XDG_", "ORT_"))}
    return {**kept, "HOME": str(home), "TMPDIR": str(home)}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=list(COMMANDS))
def test_the_home_folder_stays_empty(home: Path, words: list[str]) -> None:
    if "openvino" in words:
        pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, *words], env=environment(home), capture_output=True, text=True, timeout=120,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [str(path) for path in home.rglob("*")] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_no_system_call_asks_for_a_socket(home: Path, backend: str) -> None:
    """Of all threads, for the seconds that a sender waits; a pair of sockets of a process with itself is no network."""
    if find_spec("openvino" if backend == "openvino" else "onnxruntime") is None:
        pytest.skip("the runtime is not installed")
    trace = home / "trace"
    words = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,execve", "-o", str(trace), sys.executable, "-c",
             LIBRARY.replace("onnx", backend) + LONG]  # fmt: skip
    done = subprocess.run(words, env=environment(home), capture_output=True, text=True, timeout=240, check=False)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("processes may not be traced here")
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    assert any("execve(" in line for line in lines), "nothing was traced"
    assert [line for line in lines if re.search(r"\b(socket|connect|sendto)\(", line)] == []


def imports_runtime(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.partition(".")[0] == "onnxruntime" for name in names):
            return True
    return False


def test_openvino_is_loaded_without_its_sender() -> None:
    """And a program that imports the package itself still gets all of it."""
    pytest.importorskip("openvino")
    code = (
        "import sys; from ltokc.tokenizer.runtime.silent_openvino import openvino;"
        "print(*[n for n in sys.modules if 'telemetry' in n or n in ('openvino', 'openvino.tools')]);"
        "import openvino; print(openvino.Core().available_devices != [] and openvino.opset13 is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.splitlines() == ["", "True"]


def test_one_module_imports_the_runtime() -> None:
    """All others take it from there, so that it is silent in every process."""
    found = [p for folder in ("ltokc", "bench", "examples", "scripts") for p in (ROOT / folder).rglob("*.py")
             if imports_runtime(p)]  # fmt: skip
    assert [os.fspath(path.relative_to(ROOT)) for path in found] == ["ltokc/ort/silent.py"]

"""Ctrl-C ends the program with 130 at any moment, whatever the libraries that are being loaded make of it.

`sitecustomize` of a folder on PYTHONPATH sends the signal from inside the import of a given module, so that the moment
is the same in every run; the ways are those that were seen of libraries in C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_runner import ENVIRONMENT, ROOT, hears_ctrl_c, names

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
HOOK = """
import os, signal, sys

class Moment:
    def find_spec(self, name, path=None, target=None):
        if name != os.environ["MOMENT"]:
            return None
        sys.meta_path.remove(self)
        if os.environ["WAY"] == "raised":
            os.kill(os.getpid(), signal.Signals[os.environ["SIGNAL"]])
            return None
        try:
            exec("os.kill(os.getpid(), signal.Signals[os.environ['SIGNAL']])")  # as dataclasses run what they make
        except BaseException:
            if os.environ["WAY"] == "renamed":
                raise ImportError("initialization failed") from None
        return None

sys.meta_path.insert(0, Moment())
"""
MODULES = ("click", "ltokc.cli.encode", "numpy", "PIL.Image", "onnxruntime")
CASES = [
    *((module, "raised", "SIGINT") for module in MODULES), *((module, "renamed", "SIGINT") for module in MODULES),
    ("ltokc.cli.interruption", "raised", "SIGINT"), ("ltokc.cli.interruption", "raised", "SIGTERM"),
    ("numpy", "swallowed", "SIGINT"), ("onnxruntime", "swallowed", "SIGTERM"), ("PIL.Image", "renamed", "SIGTERM"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "way", "number"), CASES)
def test_a_signal_while_a_library_loads(here: Path, tmp_path_factory: pytest.TempPathFactory, module: str, way: str,
                                        number: str) -> None:  # fmt: skip
    hook = tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(HOOK)
    paths = os.pathsep.join([str(hook), str(ROOT)])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths, "MOMENT": module, "WAY": way, "SIGNAL": number}
    Path("second.png").write_bytes(Path("photo.png").read_bytes())
    before = names()
    backend = "onnx" if module == "onnxruntime" else "auto"  # small pictures load it for their networks alone
    words = [sys.executable, "-m", "ltokc", "encode", "photo.png", "second.png", "-d", "out", "--backend", backend]
    done = subprocess.run(words, env=environment, capture_output=True, timeout=60, check=False, preexec_fn=hears_ctrl_c)
    assert (done.returncode, done.stderr) == (130, b"ltokc: interrupted\n"), done.stderr.decode()
    assert names() == before


ONCE = """
import signal, sys
from ltokc.cli import interruption
with interruption.heard():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
    print(interruption.came())
with interruption.heard():
    print(interruption.came())
"""


def test_a_noted_signal_belongs_to_one_run() -> None:
    done = subprocess.run([sys.executable, "-c", ONCE], env=ENVIRONMENT, capture_output=True, text=True, timeout=60,
                          check=True, preexec_fn=hears_ctrl_c)  # fmt: skip
    assert done.stdout.split() == ["True", "False"]


def test_after_the_work_nothing_is_said(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """While Python leaves: the output is there, and no traceback."""
    hook = tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(
        "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(hook), str(ROOT)])}
    words = [sys.executable, "-m", "ltokc", "encode", "photo.png", "--quiet"]
    done = subprocess.run(words, env=environment, capture_output=True, timeout=60, check=False, preexec_fn=hears_ctrl_c)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")
    assert Path("photo.ltk").exists()

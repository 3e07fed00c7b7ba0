"""A program frozen by PyInstaller has all commands, its models and its workers: the hook that the package brings."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import pytest

import ltokc
from ltokc import _pyinstaller as hooks
from ltokc.cli import COMMANDS
from tests.support.cli_runner import ENVIRONMENT, ROOT

PROGRAM = "from ltokc.cli import main\nif __name__ == '__main__':\n    main()\n"


def hook() -> Path:
    """The hook of the folder that the entry point names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pyinstaller40"] == {"hook-dirs": "ltokc._pyinstaller:get_hook_dirs"}
    (folder,) = hooks.get_hook_dirs()
    return Path(folder) / "hook-ltokc.py"


def test_the_hook_names_all_that_is_imported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the three functions of PyInstaller that it calls, as its documentation describes them."""

    def submodules(package: str, filter: object) -> list[str]:
        found = [package, *(m.name for m in pkgutil.walk_packages(ltokc.__path__, f"{package}."))]
        return [name for name in found if filter(name)]  # type: ignore[operator]

    def metadata(name: str) -> list[tuple[str, str]]:
        if name == "onnxruntime-gpu":
            raise PackageNotFoundError(name)
        return [(f"{name}.dist-info", f"{name}.dist-info")]

    stand_in = ModuleType("PyInstaller.utils.hooks")
    stand_in.collect_submodules = submodules  # type: ignore[attr-defined]
    stand_in.collect_data_files = lambda package, excludes: [("models", f"{package}/models")]  # type: ignore[attr-defined]
    stand_in.copy_metadata = metadata  # type: ignore[attr-defined]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", stand_in)
    found = runpy.run_path(str(hook()))
    commands = {f"ltokc.cli.{name.replace('-', '_')}" for name in COMMANDS}
    assert commands | {"ltokc.codec", "ltokc.LtkImagePlugin", "ltokc.train.loop"} <= set(found["hiddenimports"])
    assert not [name for name in found["hiddenimports"] if "_pyinstaller" in name]
    assert [place for _, place in found["datas"]] == ["ltokc/models", "ltokc.dist-info", "onnxruntime.dist-info"]


@pytest.mark.skipif(importlib.util.find_spec("PyInstaller") is None, reason="PyInstaller is not installed")
def test_a_frozen_program_works(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """There and back, in two workers, and the versions."""
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "program.py").write_text(PROGRAM)
    words = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=ERROR", "--name=ltokc",
             f"--additional-hooks-dir={hook().parent}", "--exclude-module=torch", "program.py"]  # fmt: skip
    subprocess.run(words, cwd=folder, env=ENVIRONMENT, check=True, timeout=600)
    frozen = folder / "dist" / "ltokc" / "ltokc"
    environment = {**ENVIRONMENT, "LTOKC_MODELS": str(ROOT / "models"), "PYTHONPATH": ""}
    Path("other.png").write_bytes(Path("photo.png").read_bytes())

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(frozen), *args], env=environment, capture_output=True, text=True, timeout=120,
                              check=True)  # fmt: skip

    assert f"ltokc {ltokc.__version__}" in run("-V").stdout
    run("batch", "photo.png", "other.png", "-d", "out", "-j", "2")
    run("decode", "out/photo.ltk", "-o", "back.png")
    assert sorted(os.listdir("out"))[-2:] == ["other.ltk", "photo.ltk"] and Path("back.png").stat().st_size > 1000

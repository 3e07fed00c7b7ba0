"""`python -m bench`: every benchmark is in the list with a line of its own, and explains itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")  # some benchmarks train

from PIL import Image

from bench.__main__ import ROOMS, commands, main, summary
from tests.support.pictures import grainy

BENCH = Path(__file__).resolve().parents[2] / "bench"


def run(*args: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """`python -m bench ARGS`, in this process: its exit status."""
    monkeypatch.setattr(sys, "argv", ["bench/__main__.py", *args])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["bench.__main__"])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0)


def test_the_list_names_them_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch=monkeypatch) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert set(listed) == set(commands()) >= {"rate-distortion", "per-picture", "single", "exactness", "fuzz"}
    runnable = [path for path in BENCH.rglob("*.py") if "\nif __name__" in path.read_text("utf-8")]
    assert sorted(p for p in runnable if p.name != "__main__.py") == sorted(commands().values()), "two of one name?"
    assert {path.parent.name for path in BENCH.glob("*/__init__.py")} == set(ROOMS)
    for name, path in commands().items():
        assert summary(path).endswith((".", "?", "!")) and summary(path)[:60] in listed[name], name


@pytest.mark.parametrize("name", sorted(set(commands()) - {"fuzz-coverage"}))
def test_help(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(name, "--help", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert told.lower().startswith(f"usage: python -m bench {name} ")
    assert len(told.splitlines()) > 3


def test_help_of_the_fuzzer_needs_no_atheris(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert run("fuzz-coverage", "--help", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.lower().startswith("usage: python -m bench fuzz-coverage ")


def test_a_name_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("nothing", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "bench: no benchmark is called 'nothing'; `python -m bench` lists them\n"


def test_workers_find_what_they_are_to_do(tmp_path: Path) -> None:
    """In a process of its own, as it is called: processes that it starts load the benchmark by its name."""
    for i in range(2):
        Image.fromarray(grainy(64, 48, i)).save(tmp_path / f"{i}.png")
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "bench", "rate-distortion", "--images", str(tmp_path), "--codecs", "webp",
               "--qualities", "20", "-j", "2", "--out", str(out)]  # fmt: skip
    subprocess.run(command, cwd=BENCH.parent, check=True, capture_output=True)
    assert len(json.loads(out.read_text())["rows"]) == 2

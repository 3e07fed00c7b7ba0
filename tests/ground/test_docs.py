"""The documents: links and paths lead somewhere, and README's Python runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from bench.__main__ import commands
from ltokc.cli import cli
from tests.support.cli_runner import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "formats/LTK.md")
FOLDERS = ("docs", "examples", "formats", "models", "tests")
DOCUMENTS = sorted({ROOT / name for name in PAGES}.union(*((ROOT / name).rglob("*.md") for name in FOLDERS)))
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:ltokc|bench|tests|scripts|formats|models|desktop|docs|\.ci)/[\w./-]*)`")
BENCH = re.compile(r"python -m bench ([a-z][\w-]*)")


def heads(page: Path) -> set[str]:
    """Anchors of a page's headlines, as sites make them."""
    lines = re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_paths_and_benchmarks_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in heads(target), link
    assert [name for name in PATH.findall(text) if not (ROOT / name).exists()] == []
    assert set(BENCH.findall(text)) <= set(commands())


def test_the_codec_s_files_named_in_architecture_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.name for path in (ROOT / "ltokc").iterdir() if path.is_dir()}
    named = [name for name in re.findall(r"`([\w./]+/[\w./]*|\w+\.py)`", text) if name.split("/")[0] in rooms | {name}]
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "ltokc" / name).exists() and not (ROOT / name).exists()] == []


def test_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    (tmp_path / "photo.jpg").write_bytes((ROOT / "examples" / "coffee.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    seen: dict = {}
    try:
        exec(code, seen)
    finally:
        seen["ltokc"].set_threads(None)  # what the example sets holds for the tests after it too
    assert len(seen["small"]) <= 700 < len(seen["data"]) and seen["image"].size == (600, 400)
    assert len(seen["found"].digits) == 11


def test_the_commands_that_follow_the_variable_of_the_decoder_are_named() -> None:
    context = click.Context(cli)
    options = {name: cli.get_command(context, name).params for name in cli.list_commands(context)}
    assert {name for name, found in options.items() if any(option.envvar == "LTOKC_DECODER" for option in found)} == {
        "batch", "decode",
    }  # fmt: skip
    for page in ("README.md", "docs/cli.md"):
        assert re.search(r"`LTOKC_DECODER=[^.]*`decode` and `batch --decode`", (ROOT / page).read_text("utf-8"))


def test_make_explains_its_targets() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^\.PHONY: (.*)$", text)[0].split()) - {"help"}
    assert targets == set(re.findall(r"(?m)^# make (\w+)", text))
    done = subprocess.run(["make", "help", "PYTHON=python3"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {name}" in done.stdout for name in targets)

"""The Dockerfiles as far as that can be seen without building: user, entry, and what .dockerignore lets through."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.cli_runner import ROOT
from tests.support.scripts import script

checker = script("check_dockerfile")


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_ordinary_user_and_a_small_last_stage(name: str) -> None:
    steps = list(checker.instructions((ROOT / name).read_text()))
    last = steps[max(i for i, (verb, _) in enumerate(steps) if verb == "FROM") :]
    verbs = dict(last)
    assert verbs["USER"] == "ltokc" and verbs["ENTRYPOINT"] == '["ltokc"]'
    assert [verb for verb, _ in last].index("USER") > max(i for i, (verb, _) in enumerate(last) if verb == "RUN")
    assert all("--from=build" in arguments for verb, arguments in last if verb == "COPY")
    assert all("--no-cache-dir" in arguments for _, arguments in steps if arguments.startswith("pip "))


def test_context_has_what_the_wheel_needs_and_no_more() -> None:
    rules = (ROOT / ".dockerignore").read_text().split()
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    kept = [name for name in names.stdout.split() if not checker.ignored(name, rules)]
    for needed in ("pyproject.toml", "README.md", "LICENSE", "ltokc/codec.py", "models/registry.json",
                   "docs/man/ltokc.1", "formats/ltk-mime.xml", "desktop/ltokc.thumbnailer"):  # fmt: skip
        assert needed in kept
    assert {Path(name).parts[0] for name in kept} == {
        "LICENSE", "README.md", "desktop", "docs", "formats", "ltokc", "models", "pyproject.toml",
    }  # fmt: skip
    assert "docs/architecture.md" not in kept

"""The tests themselves: helpers are imported one way, and no test file leans on another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(TESTS.rglob("*.py"))
HELPERS = {path.stem for path in (TESTS / "support").glob("*.py")}


def wrong_imports(source: str) -> list[str]:
    """Modules of tests/ that are imported otherwise than as `tests.support.NAME`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [base] if base not in ("tests", "tests.support") else [f"{base}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    ours = [name for name in found if name.split(".")[0] in {"", "tests", "support", *HELPERS}]
    return [name for name in ours if not (name.startswith("tests.support.") and name.split(".")[2] in HELPERS)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_helpers_are_imported_one_way(path: Path) -> None:
    assert wrong_imports(path.read_text("utf-8")) == []


def test_the_search_finds_what_it_looks_for() -> None:
    good = "from tests.support.pictures import smooth\nfrom tests.support import pictures\nimport tests.support.scripts"
    assert wrong_imports(good) == []
    for bad in ("import cli_runner", "from support.pictures import smooth", "from .support import pictures",
                "from tests.cli.test_faults import start", "from tests import conftest"):  # fmt: skip
        assert len(wrong_imports(bad)) == 1, bad


def test_every_test_is_in_a_room() -> None:
    assert list(TESTS.glob("test_*.py")) == []

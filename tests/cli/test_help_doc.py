"""docs/cli.md says what `--help` says, and every command's help has examples."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_cli_doc", ROOT / "scripts" / "write_cli_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pages() -> list[tuple[str, str]]:
    from ltokc.cli import cli

    return list(_writer().pages(cli, "ltokc"))


def test_page_is_up_to_date() -> None:
    writer = _writer()
    assert writer.PAGE.read_text(encoding="utf-8") == writer.render(), "run: python scripts/write_cli_doc.py"


@pytest.mark.parametrize(("path", "text"), _pages())
def test_help_has_examples_of_the_command(path: str, text: str) -> None:
    examples = text.partition("Examples:\n")[2].partition("\n\n")[0]
    assert path in examples
    assert all(line.startswith("    ") for line in examples.splitlines()), "a \\b block was rewrapped"

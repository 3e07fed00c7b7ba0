"""docs/cli.md and the manual pages say what `--help` says, and every command's help has examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scripts import script

writer = script("write_docs")


def test_pages_are_up_to_date(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["write_docs.py", "--check"])
    assert writer.main() == 0, capsys.readouterr().err


def test_what_is_out_of_date_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder with one page too many: every page is named, written, and the page too many removed."""
    monkeypatch.setattr(writer, "ROOT", tmp_path)
    for name in ("PAGE", "MAN", "COMPLETIONS"):
        monkeypatch.setattr(writer, name, tmp_path / name)
    (tmp_path / "MAN").mkdir()
    (tmp_path / "MAN" / "ltokc-gone.1").touch()
    monkeypatch.setattr("sys.argv", ["write_docs.py", "--check"])
    assert writer.main() == 1
    told = capsys.readouterr().err
    assert all(name in told for name in ("PAGE", "MAN/ltokc-encode.1", "MAN/ltokc-gone.1", "COMPLETIONS/ltokc.fish"))
    monkeypatch.setattr("sys.argv", ["write_docs.py"])
    assert writer.main() == 0 and not (tmp_path / "MAN" / "ltokc-gone.1").exists()
    (tmp_path / "PAGE").write_text("older")
    assert writer.stale(writer.render()) == [tmp_path / "PAGE"]


@pytest.mark.parametrize(("path", "text"), [(each.command_path, each.get_help()) for each in writer.program()])
def test_help_has_examples_of_the_command(path: str, text: str) -> None:
    examples = text.partition("Examples:\n")[2].partition("\n\n")[0]
    assert path in examples
    assert all(line.startswith("    ") for line in examples.splitlines()), "a \\b block was rewrapped"

"""Writes docs/cli.md from the commands' help: `python scripts/write_cli_doc.py`; with --check it only compares.

tests/test_help_doc.py fails when the page is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 100
TOP = """# Command line

Written from the commands' help by `python scripts/write_cli_doc.py`; change the help, not this page.

Everything said goes to stderr; stdout is for data and `--json`. `-` as a name is standard input or output.
`python -m ltokc` is the same program. Shell completion: `eval "$(_LTOKC_COMPLETE=bash_source ltokc)"`
(or `zsh_source`, `fish_source`).

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | some file failed; the others are done |
| 2 | usage |
| 3 | nothing to do |
| 130 | interrupted |
"""


def pages(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Full name and help of a command and of all below it."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from pages(found, below, context)


def render() -> str:
    """The whole page, Markdown."""
    from ltokc.cli import cli

    text = "".join(f"\n## {path}\n\n```\n{text.rstrip()}\n```\n" for path, text in pages(cli, "ltokc"))
    return TOP + text.replace("[COMMAND] [ARGS]", "COMMAND [ARGS]")  # as click before 8.5 has it


def main() -> int:
    text = render()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes docs/man/*.1 from the commands' help: `python scripts/write_man.py`; with --check it only compares.

One page for the program and one for each command, in the man macros of roff (man-pages(7), groff_man(7)).
tests/test_man.py fails when a page is out of date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "man"
STATUS = (
    ("0", "done"),
    ("1", "some file failed; the others are done"),
    ("2", "usage"),
    ("3", "nothing to do"),
    ("130", "interrupted"),
)


def escape(text: str) -> str:
    """Plain text as roff: nothing in it is taken for a command, a hyphen stays a hyphen."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def paragraphs(help: str) -> Iterator[tuple[bool, str]]:
    """The help's paragraphs; True: as it stands, lines and all (click's \\b)."""
    for block in inspect.cleandoc(help).split("\n\n"):
        block = block.strip("\n")
        if block.startswith("\b"):
            yield True, block.removeprefix("\b").strip("\n")
        elif block:
            yield False, " ".join(block.split())


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for a command and for all below it."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, below, context)


def page(context: click.Context, names: list[str]) -> str:
    """The roff of one command; `names`: of all pages."""
    from ltokc import __version__

    command, name = context.command, context.command_path.replace(" ", "-")
    blocks = list(paragraphs(command.help or ""))
    first = blocks[0][1].rstrip(".") if blocks else name
    usage = " ".join(command.collect_usage_pieces(context)).replace("[COMMAND] [ARGS]", "COMMAND [ARGS]")
    out = [
        f'.TH "{escape(name.upper())}" 1 "" "ltokc {__version__}" "ltokc manual"',
        ".SH NAME", f"{escape(name)} \\- {escape(first)}",
        ".SH SYNOPSIS", f".B {escape(context.command_path)}", escape(usage),
    ]  # fmt: skip
    prose = [text for whole, text in blocks[1:] if not whole]
    if prose:
        out.append(".SH DESCRIPTION")
        out += [line for text in prose for line in (".PP", escape(text))]
    params = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    records = [r for p in params if (r := p.get_help_record(context))]
    if records:
        out.append(".SH OPTIONS")
        out += [line for term, text in records for line in (".TP", f"\\fB{escape(term)}\\fR", escape(text))]
    if isinstance(command, click.Group):
        out.append(".SH COMMANDS")
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            out += [".TP", f"\\fB{escape(below)}\\fR", escape(found.get_short_help_str(200))]
    for whole, text in blocks:
        if whole:
            title, _, lines = text.partition("\n")
            out += [f".SH {escape(title.rstrip(':').upper())}", ".nf", escape(lines), ".fi"]
    out.append(".SH EXIT STATUS")
    out += [line for status, text in STATUS for line in (".TP", status, escape(text))]
    others = [n for n in names if n != name and (n == "ltokc" or name == "ltokc" or n.rpartition("-")[0] == name)]
    out += [".SH SEE ALSO", ",\n".join(f".BR {escape(other)} (1)" for other in others)]
    return "\n".join(out) + "\n"


def render() -> dict[str, str]:
    """File names and contents of all pages."""
    from ltokc.cli import cli

    contexts = list(commands(cli, "ltokc"))
    names = [context.command_path.replace(" ", "-") for context in contexts]
    return {f"{name}.1": page(context, names) for name, context in zip(names, contexts, strict=True)}


def main() -> int:
    pages = render()
    if "--check" in sys.argv[1:]:
        found = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.1")}
        return 0 if found == pages else 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.1"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes what follows from the commands' help: `python scripts/write_docs.py`; with --check it only compares.

docs/cli.md is one page of Markdown.  docs/man/*.1 has one page for the program and one for each command, in the man
macros of roff (man-pages(7), groff_man(7)).  desktop/completions/ has click's own scripts for bash, zsh and fish, which
ask the program itself what may follow.  --check exits with 1 and names the files that are out of date or too many.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from ltokc.cli.exit_status import MEANINGS

ROOT = Path(__file__).resolve().parent.parent
PAGE, MAN, COMPLETIONS = ROOT / "docs" / "cli.md", ROOT / "docs" / "man", ROOT / "desktop" / "completions"
SHELLS = {"bash": "ltokc.bash", "zsh": "_ltokc", "fish": "ltokc.fish"}
WIDTH = 100  # columns of a help text in docs/cli.md
TOP = """# Command line

Written from the commands' help by `make docs`; change the help, not this page.

Everything said goes to stderr; stdout is for data and `--json`. `-` as a name is standard input or output.
`python -m ltokc` is the same program. Shell completion: `eval "$(_LTOKC_COMPLETE=bash_source ltokc)"`
(or `zsh_source`, `fish_source`).

`LTOKC_THREADS=N` in the environment bounds the threads of a command (all libraries that it calls), `LTOKC_MODELS` names
more folders of models, and `LTOKC_DECODER=faithful` or `generative` is the decoder of `decode` and `batch --decode`
where no `--decoder` is given.
OpenVINO's compiled networks are kept in the user's cache folder (`~/.cache/ltokc` on Linux, at most 256 MB), or in the
folder that `LTOKC_CACHE` names; `LTOKC_CACHE=off` keeps none.

| exit status | meaning |
|---|---|
"""


def walk(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for a command and for all below it, in the order of the help."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    for below, found in subcommands(context):
        yield from walk(found, below, context)


def subcommands(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Name and command of all that stand directly below; nothing for a command that is no group."""
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        found = group.get_command(context, name)
        assert found is not None
        if not found.hidden:
            yield name, found


def program() -> list[click.Context]:
    """All commands of ltokc."""
    from ltokc.cli import cli

    return list(walk(cli, "ltokc"))


# -- docs/cli.md -------------------------------------------------------------------------------------------------------


def markdown(contexts: list[click.Context]) -> str:
    """One page of all help texts."""
    status = "".join(f"| {number} | {text} |\n" for number, text in MEANINGS.items())
    parts = (f"\n## {each.command_path}\n\n```\n{each.get_help().rstrip()}\n```\n" for each in contexts)
    return TOP + status + "".join(parts).replace("[COMMAND] [ARGS]", "COMMAND [ARGS]")  # as click before 8.5 has it


# -- docs/man ----------------------------------------------------------------------------------------------------------


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


def page_name(context: click.Context) -> str:
    """`ltokc-models-list`, of the command `ltokc models list`."""
    return context.command_path.replace(" ", "-")


def roff(context: click.Context, names: list[str]) -> str:
    """The manual page of one command; `names`: of all pages."""
    from ltokc import __version__

    command, name = context.command, page_name(context)
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
    below = list(subcommands(context))
    if below:
        out.append(".SH COMMANDS")
        for title, found in below:
            out += [".TP", f"\\fB{escape(title)}\\fR", escape(found.get_short_help_str(200))]
    for whole, text in blocks:
        if whole:
            title, _, lines = text.partition("\n")
            out += [f".SH {escape(title.rstrip(':').upper())}", ".nf", escape(lines), ".fi"]
    out.append(".SH EXIT STATUS")
    out += [line for number, text in MEANINGS.items() for line in (".TP", str(number), escape(text))]
    others = [n for n in names if n != name and (n == "ltokc" or name == "ltokc" or n.rpartition("-")[0] == name)]
    out += [".SH SEE ALSO", ",\n".join(f".BR {escape(other)} (1)" for other in others)]
    return "\n".join(out) + "\n"


# -- desktop/completions -----------------------------------------------------------------------------------------------


def completion(shell: str) -> str:
    """click's script for a shell; it does not change with the commands."""
    from ltokc.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    # not source() itself, which starts bash to look at its version
    return ShellComplete.source(kind(cli, {}, "ltokc", "_LTOKC_COMPLETE")).strip() + "\n"


# ----------------------------------------------------------------------------------------------------------------------


def render() -> dict[Path, str]:
    """Every file and what it should hold."""
    contexts = program()
    names = [page_name(context) for context in contexts]
    pages = {MAN / f"{name}.1": roff(context, names) for name, context in zip(names, contexts, strict=True)}
    return {PAGE: markdown(contexts), **pages, **{COMPLETIONS / name: completion(s) for s, name in SHELLS.items()}}


def surplus(wanted: dict[Path, str]) -> list[Path]:
    """Manual pages of commands that are gone."""
    return sorted(set(MAN.glob("*.1")) - set(wanted))


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Files that are missing or hold something else, and those that are too many.

    Of completions only those that are missing: their text is click's, and changes with its version.
    """
    found = {path: path.read_text("utf-8") for path in wanted if path.exists()}
    same = {path for path, text in found.items() if text == wanted[path] or path.parent == COMPLETIONS}
    return sorted(set(wanted) - same) + surplus(wanted)


def main() -> int:
    wanted = render()
    old = stale(wanted)
    if "--check" in sys.argv[1:]:
        for path in old:
            print(f"{path.relative_to(ROOT)} is out of date: make docs", file=sys.stderr)
        return 1 if old else 0
    for path in surplus(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

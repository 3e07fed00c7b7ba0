"""The commands that docs/results.md says made its figures: their options are there, and so is what they read."""

from __future__ import annotations

import importlib
import re
import shlex
from typing import Any

import click
import pytest

from bench.__main__ import commands
from tests.support.cli_runner import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text("utf-8")
BLOCK = r"(?m)^    python -m bench ((?:.*\\\n)*.*)$"
INLINE = r"`python\s-m\sbench\s([^`]+)`"
TABLES = (".json", ".csv")


def shown() -> list[list[str]]:
    """Name and arguments of every command, in the order of the page; a name alone is none."""
    found = re.finditer(f"{BLOCK}|{INLINE}", PAGE)
    words = [shlex.split((match[1] or match[2]).replace("\\\n", " ")) for match in found]
    return [each for each in words if len(each) > 1]


def given(name: str, arguments: list[str]) -> dict[click.Parameter, Any]:
    """What a command takes from its arguments.  click.UsageError: an option that is not there."""
    path = commands()[name]
    command: click.Command = importlib.import_module(f"bench.{path.parent.name}.{path.stem}").main
    context = click.Context(command, info_name=name)
    values, _, _ = command.make_parser(context).parse_args(list(arguments))
    return {option: values.get(option.name) for option in command.get_params(context) if option.name}


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_options_are_there_and_none_is_missing(words: list[str]) -> None:
    taken = given(words[0], words[1:])
    assert [option.name for option, value in taken.items() if option.required and not value] == []


def test_what_a_command_reads_an_earlier_one_has_written() -> None:
    written: set[str] = set()
    for name, *arguments in shown():
        reads, writes = set(), set()
        for option, value in given(name, arguments).items():
            names = {value} if isinstance(value, str) else set(value or ()) if option.nargs != 1 else set()
            names = {each for each in names if isinstance(each, str) and each.endswith(TABLES)}
            (reads if getattr(option.type, "exists", False) else writes).update(names)
        assert reads <= written, name
        written |= writes
    assert {"kodak.json", "kodak-rivals.json", "rivals_kodak.csv"} <= written

"""The help of commands under `python -OO`, which drops docstrings: read again from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import click


def restored(command: click.Command) -> click.Command:
    """The command, and those below it, with the help that their functions' docstrings have in the source.

    Where there is no source either, help is without a text.
    """
    if not command.help and command.callback is not None:
        command.help = _docstring(inspect.unwrap(command.callback))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            restored(below)
    return command


def _docstring(function: Callable[..., Any]) -> str | None:
    try:
        source = inspect.getsource(importlib.import_module(function.__module__))
    except (OSError, TypeError):
        return None
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return ast.get_docstring(node)
    return None

"""Usage errors of the library, told as those of the command that was called: with its own line of usage."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from ltokc.cli.console import complain
from ltokc.errors import UsageError
from ltokc.threads import wanted_threads

_DONE = "ltokc_own_usage"


def with_own_usage(command: click.Command) -> click.Command:
    """The command, and those below it, whose UsageErrors become click's."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_own_usage(below)
    elif command.callback is not None and not hasattr(command.callback, _DONE):
        command.callback = _telling(command.callback)
    return command


def _check_models() -> None:
    """Says which folders of LTOKC_MODELS are not there, once for a command."""
    if os.environ.get("LTOKC_MODELS"):
        from ltokc.zoo.registry import absent

        if said := absent():
            complain(f"warning: {said}")


def _telling(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def told(*args: Any, **given: Any) -> Any:
        try:
            wanted_threads()  # a wrong LTOKC_THREADS is no error of each file
            _check_models()
            return callback(*args, **given)
        except UsageError as error:
            raise click.UsageError(str(error), click.get_current_context()) from error

    setattr(told, _DONE, True)
    return told

"""The command line: `ltokc VERB ...`.  A thin layer over `ltokc.codec`; the commands are in `ltokc.cli`.

Nothing heavy is imported here: a command's module is loaded when the command is named, numpy, Pillow and the runtime
when it has work for them.  This module turns errors into one line and an exit status (`exit_status`).
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from ltokc.cli import exit_status
from ltokc.cli.console import complain, is_loud, reason, show_warnings
from ltokc.errors import UsageError

COMMANDS = (  # each a module of ltokc.cli; the order of the help
    "encode", "decode", "info", "verify", "trim", "tokens", "batch", "compare", "thumbnail", "models", "train",
    "train-halting",
)  # fmt: skip


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the work like Ctrl-C: nothing half written, exit 130."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Program(click.Group):
    """Loads commands when they are named, and gives every error its line and exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"ltokc.cli.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _interruptible(), warnings.catch_warnings():
                show_warnings()
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            with suppress(KeyboardInterrupt):
                complain("interrupted")
            raise click.exceptions.Exit(exit_status.INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output has enough
            _silence_stdout()
            raise click.exceptions.Exit(exit_status.FAILED) from None
        except UsageError as error:
            raise click.UsageError(str(error), ctx) from error
        except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
            if is_loud(ctx):
                traceback.print_exception(error, file=sys.stderr)
            complain(reason(error))
            raise click.exceptions.Exit(exit_status.FAILED) from None
        finally:
            try:
                sys.stdout.flush()
            except OSError:  # told already; the interpreter would try again at its end, and complain
                _silence_stdout()


def _silence_stdout() -> None:
    """Sends what is still buffered to nowhere, so that the interpreter does not complain at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_versions(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ltokc.cli.versions import versions

        click.echo(versions())
        ctx.exit()


@click.group(
    cls=Program,
    name="ltokc",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Exit status: {exit_status.SUMMARY}.",
)
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_versions,
              help="Show the versions of package, format, model, runtime.")  # fmt: skip
def cli() -> None:
    """A learned image codec: pictures to small .ltk files and back.

    \b
    Examples:
      ltokc encode photo.png                     photo.ltk, beside it
      ltokc decode photo.ltk -o back.png
      ltokc trim photo.ltk --target-size 1k -o preview.ltk
      ltokc batch -r pictures -d small           a whole tree
      ltokc info photo.ltk

    No file that exists is replaced without --overwrite.
    """


def main() -> None:
    """The `ltokc` program."""
    try:
        cli(prog_name="ltokc")
    except KeyboardInterrupt:
        sys.exit(exit_status.INTERRUPTED)

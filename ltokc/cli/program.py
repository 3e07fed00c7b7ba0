"""The command line: `ltokc VERB ...`.  A thin layer over `ltokc.codec`; the commands are in `ltokc.cli`.

Nothing heavy is imported here: a command's module is loaded when the command is named, numpy, Pillow and the runtime
when it has work for them.  This module turns errors into one line and an exit status (`exit_status`).
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

import click

from ltokc.cli import exit_status, interruption
from ltokc.cli.console import complain, is_loud, plainly, reason, show_trace, show_warnings
from ltokc.cli.own_usage import with_own_usage
from ltokc.threads import limit_libraries

COMMANDS = {  # each a module of ltokc.cli, with the first line of its help, so that the list loads none of them
    "encode": "Encode pictures as .ltk files.",
    "decode": "Decode .ltk files to pictures.",
    "info": "Show what .ltk files hold.",
    "verify": "Check that .ltk files are whole.",
    "trim": "Cut a .ltk file to fewer tokens or bytes.",
    "tokens": "Show the tokens of a .ltk file.",
    "batch": "Encode folders of pictures, or decode folders of .ltk files.",
    "compare": "Compare files of a picture with the original.",
    "thumbnail": "Make a thumbnail of a .ltk file.",
    "models": "List, show, find, check and make models.",
    "train": "Train a model as RECIPE (a TOML file) says.",
    "train-halting": "Fit the halting head of MODEL (name or id) to what its own decodes of training pictures measure.",
    "train-generative": "Train the generator of a model as RECIPE (a TOML file) says.",
}


class Program(click.Group):
    """Loads commands when they are named, and gives every error its line and exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"ltokc.cli.{name}"), name)
        return with_own_usage(command if command.help is not None else _restored(command))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except click.ClickException as error:
            raise plainly(error) from error.__cause__

    def invoke(self, ctx: click.Context) -> Any:
        with interruption.heard():
            try:
                return self._told(ctx)
            except BaseException as error:
                if not (interruption.came() or isinstance(error, KeyboardInterrupt)):
                    raise
                with suppress(KeyboardInterrupt):
                    complain("interrupted")
                raise click.exceptions.Exit(exit_status.INTERRUPTED) from None

    def _told(self, ctx: click.Context) -> Any:
        """Runs the command; an error that is not the command line's own becomes a line.  Raises click's exceptions."""
        try:
            with warnings.catch_warnings():
                show_warnings()
                result = super().invoke(ctx)
                sys.stdout.flush()
                interruption.check()
                return result
        except (click.exceptions.Exit, click.Abort):
            raise
        except click.ClickException as error:
            raise plainly(error) from error.__cause__
        except BrokenPipeError:  # the reader of our output has enough
            _silence_stdout()
            raise click.exceptions.Exit(exit_status.FAILED) from None
        except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
            interruption.check()
            if is_loud(ctx):
                show_trace(error)
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


def _restored(command: click.Command) -> click.Command:
    from ltokc.cli.help_texts import restored

    return restored(command)


def start() -> int:
    """Runs the command line of this process; its exit status."""
    if cli.help is None:
        _restored(cli)
    limit_libraries()
    try:
        status = cli.main(prog_name="ltokc", standalone_mode=False) or exit_status.DONE
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except OSError as error:  # of the help and the versions, which click writes by itself
        complain(f"standard output: {error.strerror or error}")
        _silence_stdout()
        status = exit_status.FAILED
    except (KeyboardInterrupt, click.Abort):  # between two steps of click
        complain("interrupted")
        status = exit_status.INTERRUPTED
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"standard output: {error.strerror or error}")
        status = status or exit_status.FAILED
    return int(status)

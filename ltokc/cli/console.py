"""What a command says: lines for people on stderr, JSON on stdout, and the exit status of many files together."""

from __future__ import annotations

import functools
import json
import os
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click

from ltokc.cli import exit_status, interruption
from ltokc.cli.status_line import StatusLine, aside, clock
from ltokc.cli.wording import as_options
from ltokc.errors import LtokcError, TruncatedError
from ltokc.jobs.left_out import LeftOut
from ltokc.jobs.rows import FAILED

# what libraries say that cannot have more memory: ONNX Runtime, the C++ library, the loader of shared libraries
OF_MEMORY = ("BFCArena", "Failed to allocate memory", "bad_alloc", "bad allocation", "failed to map segment")
_DIGITS = 20
_LONG_NUMBER = re.compile(rf"\d{{{2 * _DIGITS},}}")
LOUD = "ltokc.loud"  # key of the context: tracebacks are wanted


def one_line(text: str) -> str:
    """Text without line breaks, control characters and escape sequences, which a file's name may well hold.

    Of a number with more digits than anybody reads only the first are repeated.
    """
    return _LONG_NUMBER.sub(lambda found: f"{found[0][:_DIGITS]}... ({len(found[0])} digits)", _shown(text).strip())


def lines(text: str) -> str:
    """Text of several lines without other control characters and escape sequences."""
    return "\n".join(map(_shown, text.split("\n")))


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


class OutputError(LtokcError):
    """Standard output cannot take what the command has to write: the end of the command, not of one file."""


def tell(text: str) -> None:
    """A line on stderr; where that is closed or full, the work goes on without it."""
    with aside(), suppress(OSError, ValueError):
        click.echo(one_line(text), err=True)


def write_out(text: str, nl: bool = True) -> None:
    """Lines for people, or JSON, on stdout.  Raises OutputError, BrokenPipeError."""
    try:
        with aside():
            click.echo(lines(text), nl=nl)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from error


def complain(text: str) -> None:
    """A line on stderr after the name of the program."""
    tell(f"ltokc: {text}")


def show_trace(error: BaseException) -> None:
    """The traceback of an exception on stderr."""
    with aside(), suppress(OSError, ValueError):
        click.echo(lines("".join(traceback.format_exception(error))), err=True, nl=False)


def plainly(error: click.ClickException) -> click.ClickException:
    """The error with a message of one line, since click repeats what it was given as it is; help stays as it is."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        return error
    setattr(error, "format_message", partial(str, one_line(error.format_message())))  # noqa: B010 (mypy: a method)
    return error


def show_warnings() -> None:
    """Warnings of this process become lines like all others."""
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    complain(f"warning: {as_options(str(message))}")


def is_loud(ctx: click.Context) -> bool:
    """Whether tracebacks are wanted (-vv)."""
    return bool(ctx.meta.get(LOUD))


def reason(error: BaseException, name: str = "") -> str:
    """One line that says why, for the user; without the name of the file when it starts with that."""
    if isinstance(error, TruncatedError):
        text = f"{as_options(str(error))}; decode --allow-truncated shows what there is of it"
    elif isinstance(error, LtokcError):
        text = as_options(str(error))
    elif isinstance(error, OSError) and error.strerror:
        place = str(error.filename) if error.filename else ""
        text = f"{place}: {error.strerror}" if place and place != name else error.strerror
    elif isinstance(error, MemoryError) or any(words in str(error) for words in OF_MEMORY):
        text = "not enough memory"
    else:
        text = f"internal error, please report it: {type(error).__name__}: {error} (-vv shows where)"
    return one_line(text.removeprefix(f"{name}: ") if name else text)


@dataclass
class Console:
    """Counts and tells what became of the files of one command.

    left_out: what lies in named folders and was not taken; whole: what is not true where something was, "" for no
    promise.  none_is_fine: what is said where there is no file and that is no status of its own.
    """

    as_json: bool = False
    verbose: int = 0
    quiet: bool = False
    done: int = 0
    failed: int = 0
    skipped: int = 0
    idle_is_done: bool = False  # files that all were done before are no status of their own
    rehearsal: bool = False  # nothing is written
    unreported: bool = False  # a report could not be written
    left_out: LeftOut = field(default_factory=LeftOut)
    whole: str = ""
    none_is_fine: str = ""

    def say(self, text: str) -> None:
        """A line for people; silent under --quiet."""
        if not self.quiet:
            tell(text)

    def detail(self, text: str) -> None:
        """A line that is only shown with -v."""
        if self.verbose:
            self.say(text)

    def record(self, fields: dict[str, Any]) -> None:
        """One JSON object on stdout, with --json.  Raises OutputError."""
        if self.as_json:
            write_out(json.dumps(fields))

    def fail(self, name: str, error: BaseException | str) -> None:
        """Counts a file that could not be done, and says why."""
        self.failed += 1
        text = error if isinstance(error, str) else reason(error, name)
        self.trace(error)
        complain(f"{name}: {text}")
        self.record({"input": name, "status": FAILED, "error": text})

    def leave_out(self, name: str, why: str) -> None:
        """Counts a file that is not to be done, and says why with -v."""
        self.skipped += 1
        self.detail(f"{name}: {why}, skipped")

    def trace(self, error: BaseException | str) -> None:
        """The traceback of an exception, with -vv."""
        if self.verbose > 1 and isinstance(error, BaseException):
            show_trace(error)

    @contextmanager
    def each(self, name: str) -> Iterator[None]:
        """The work on one file: counted as done, or its error told and counted as failed."""
        start = time.monotonic()
        try:
            with StatusLine(lambda: f"{os.path.basename(name)}, {clock(start)}", not self.quiet):
                yield
        except (BrokenPipeError, OutputError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
            interruption.check()
            self.fail(name, error)
        else:
            interruption.check()
            self.done += 1

    def finish(self) -> None:
        """Summary of a batch, and the exit status: 1 if some file failed or is missing, 3 with nothing to do."""
        counts = (
            (self.done, "would be done" if self.rehearsal else "done"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
        )
        if self.done + self.failed + self.skipped > 1:
            self.say(", ".join(f"{n} {what}" for n, what in counts if n))
        missing = self._tell_left_out()
        if self.failed or missing or self.unreported:
            raise click.exceptions.Exit(exit_status.FAILED)
        if not self.done:
            self.say(self.none_is_fine or "nothing to do")
            if self.none_is_fine or (self.idle_is_done and self.skipped):
                return
            raise click.exceptions.Exit(exit_status.NOTHING)

    def _tell_left_out(self) -> bool:
        """Counts and names what was left out; whether that breaks a promise."""
        for pattern in [] if self.quiet else self.left_out.idle():
            hint = "a pattern is a name, or a path seen from the folder that is named"
            complain(f"warning: --exclude {pattern} matches nothing; {hint}")
        for path in self.left_out.unasked():
            self.detail(f"{path}: left out")
        if self.left_out:
            self.say(self.left_out.text())
        missing = len(self.left_out.unasked()) if self.whole else 0
        if missing:
            complain(f"{self.whole}: {missing:,} left out that --exclude does not name")
        return missing > 0


def with_console(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command --json, -v and --quiet, and a `Console` as its first argument."""

    @functools.wraps(command)
    def wrapped(as_json: bool, verbose: int, quiet: bool, **arguments: Any) -> None:
        click.get_current_context().meta[LOUD] = verbose > 1
        command(Console(as_json, verbose, quiet), **arguments)

    for option in (
        click.option("--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object per file on stdout."),
    ):
        wrapped = option(wrapped)
    return wrapped

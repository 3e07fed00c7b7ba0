"""The commands of `ltokc`: parse, call, tell.  `program` has the group, each command a module of its own."""

# Little is imported here: until `main` has begun, Ctrl-C ends Python with a traceback.
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ltokc.cli.program import COMMANDS, cli

__all__ = ["COMMANDS", "cli", "main"]


def main() -> None:
    """The `ltokc` program.  Signals are heard before anything else is loaded."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if getattr(sys, "frozen", False):  # a program of one file starts its workers by itself
        from multiprocessing import freeze_support

        freeze_support()
    try:
        from ltokc.cli import exit_status, interruption
        from ltokc.cli.standard_streams import prepare
    except KeyboardInterrupt:
        sys.stderr.write("ltokc: interrupted\n")
        sys.exit(130)
    prepare()
    status = exit_status.INTERRUPTED
    with interruption.heard():
        try:
            from ltokc.cli.program import start

            status = start()
        except BaseException:  # whatever the libraries make of an interruption
            if not interruption.came():
                raise
            sys.stderr.write("ltokc: interrupted\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # all is done: no traceback while Python leaves
    exec("")  # Python remembers an interrupted exec() of text, as dataclasses make, to kill itself at exit: forget it
    sys.exit(status)


def __getattr__(name: str) -> "Any":
    if name in ("COMMANDS", "cli"):
        from ltokc.cli import program

        return getattr(program, name)
    raise AttributeError(f"module 'ltokc.cli' has no attribute {name!r}")

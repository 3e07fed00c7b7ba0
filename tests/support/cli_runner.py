"""How the tests of the command line run it, in this process and as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from ltokc.cli import cli

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 96, 80  # of the fixture `photo`
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run(*args: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, args, input=input)


def program(*args: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "ltokc", *args], env=ENVIRONMENT, timeout=60, check=False,
                          capture_output=True, **options)  # type: ignore[call-overload,no-any-return]  # fmt: skip


def hears_ctrl_c() -> None:
    """For `preexec_fn`: the child hears SIGINT and SIGHUP.

    A shell starts a background job (`nohup make test &`) with these ignored, every process below inherits that, and
    Python installs its handler only where the signal is not ignored.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})


def names() -> set[str]:
    return {str(p) for p in Path().rglob("*") if p.is_file()}

"""The standard streams of a program as it finds them: closed ones, and encodings that lack characters of names."""

from __future__ import annotations

import os
import sys


def prepare() -> None:
    """Makes the three streams safe to use; called once, at the start of a program.

    A closed one would give its number to the next file that is opened, which then took what is meant for people.  Its
    place takes the null device; for input and output opened the wrong way round, so that whoever needs them is told.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False, errors="backslashreplace")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is: a name that the encoding lacks is no failure

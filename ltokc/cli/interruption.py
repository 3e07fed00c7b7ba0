"""Ctrl-C, SIGTERM and SIGHUP, heard at any moment: also while libraries load, which lose or rename KeyboardInterrupt.

Code in C that imports a module may drop what is raised there, or raise an ImportError of its own; a callback of a weak
reference loses it.  So the signal is also noted, and whoever is about to tell an error, or goes on to another file,
asks `came` first.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_noted: list[int] = []
_depth = 0


def came() -> bool:
    """Whether one of the signals has come since `heard` began."""
    return bool(_noted)


def check() -> None:
    """Raises KeyboardInterrupt if one of the signals has come."""
    if _noted:
        raise KeyboardInterrupt


@contextmanager
def heard() -> Iterator[None]:
    """The signals raise KeyboardInterrupt and are noted.  In another thread than the main one nothing changes.

    SIGINT and SIGHUP stay ignored where the parent has them ignored (`nohup`).  May be nested.
    """
    global _depth
    before = {}
    try:
        for number in _SIGNALS:
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _note)
    except ValueError:  # not the main thread
        yield
        return
    if not _depth:
        _noted.clear()
    _depth += 1
    told, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        yield
    finally:
        _depth -= 1
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(number: int, frame: object) -> None:
    _noted.append(number)
    raise KeyboardInterrupt


def _unraisable(about: sys.UnraisableHookArgs) -> None:
    """A swallowed KeyboardInterrupt is no news: it was noted."""
    if not issubclass(about.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(about)

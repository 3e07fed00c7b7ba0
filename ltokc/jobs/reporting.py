"""How far a job is, told by its work to whoever gave it, in this process or in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_told: Callable[[int, int], None] | None = None  # of the job that this process is at


def report(done: int, total: int) -> None:
    """Called by work: so many of its steps are done.  Nothing where nobody listens."""
    if _told is not None:
        _told(done, total)


@contextmanager
def reporting(told: Callable[[int, int], None] | None) -> Iterator[None]:
    """Inside, `told` gets what `report` is given, and first 0 of 0."""
    global _told
    before, _told = _told, told
    try:
        report(0, 0)
        yield
    finally:
        _told = before

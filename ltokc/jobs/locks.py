"""Locks by which processes keep out of each other's way, where the system has any."""

from __future__ import annotations

from typing import Any


def lock(file: Any) -> bool:
    """Locks a file until it is closed or the process is gone; False where the system has no such locks.

    BlockingIOError: another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network file systems
        return False
    return True

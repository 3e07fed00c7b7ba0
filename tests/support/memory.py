"""The most memory that this process has held."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mb() -> float:
    """Peak of the resident memory in MB, libraries included; not on Windows.

    Linux hands `ru_maxrss` on to a program that a process starts, so that there the kernel's own line is read.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

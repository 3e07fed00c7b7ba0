"""The most memory that this process has held."""

from __future__ import annotations

import sys


def peak_mb() -> float:
    """Peak of the resident memory in MB, libraries included; not on Windows."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

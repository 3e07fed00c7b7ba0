"""Memory that a training step gives back is kept for the next one.

glibc returns large blocks to the system and asks for them again, thousands of pages a step: 5 % of the time.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)
_PAD = 1 << 28  # bytes


def keep_freed_memory() -> bool:
    """Tells glibc's allocator to keep what is freed; False where there is no such allocator, and nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _PAD))
    return all(mallopt(which, value) for which, value in settings)

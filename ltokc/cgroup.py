"""What a container may use: CPU time and memory by the control groups of Linux, version 2 and 1.

The CPU affinity and the size of the machine do not show these limits.  `root`: where the groups are mounted;
`membership`: the file that names this process's own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
FRESH = 1.0  # seconds, for which what this process's own groups said is believed: it is asked for at every turn


class _Said:
    """What this process's groups said of CPU time, and when."""

    at = -math.inf
    cpus = math.inf


def own_cpus() -> float:
    """`cpus` of this process, at most `FRESH` seconds old."""
    now = time.monotonic()
    if now - _Said.at > FRESH:
        _Said.at, _Said.cpus = now, cpus()
    return _Said.cpus


def cpus(root: Path = ROOT, membership: Path = MEMBERSHIP) -> float:
    """Seconds of CPU time per second that the quotas allow; infinity without one."""
    allowed = math.inf
    for folder in _folders("cpu", root, membership):
        quota, period = _numbers(folder / "cpu.max")
        if quota == math.inf:
            quota, period = _first(folder / "cpu.cfs_quota_us"), _first(folder / "cpu.cfs_period_us")
        if quota > 0 and 0 < period < math.inf:  # version 1 writes -1 for no quota
            allowed = min(allowed, quota / period)
    return allowed


def memory(root: Path = ROOT, membership: Path = MEMBERSHIP) -> float:
    """Bytes of memory that the groups allow; infinity without a limit."""
    allowed = math.inf
    for folder in _folders("memory", root, membership):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            limit = _first(folder / name)
            if 0 < limit < 1 << 60:  # version 1 writes about 2^63 for no limit
                allowed = min(allowed, limit)
    return allowed


def _folders(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups above them, that may be there.

    Inside a container the group's name may be one of the host, while the mount shows the container's own at its root.
    """
    try:
        lines = membership.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mounts = (root / controllers, root / controller) if controllers else (root, root / "unified")
        below = Path(name.lstrip("/"))
        if ".." in below.parts:  # a group outside of this namespace
            below = Path()
        for mount in dict.fromkeys(mounts):
            yield from (mount / part for part in (below, *below.parents))


def _numbers(file: Path) -> tuple[float, float]:
    """The two numbers of a file; "max" and what cannot be read are infinity."""
    try:
        words = [*file.read_text("ascii").split(), "max", "max"]
    except (OSError, ValueError):
        return math.inf, math.inf
    first, second = (float(word) if word.removeprefix("-").isdigit() else math.inf for word in words[:2])
    return first, second


def _first(file: Path) -> float:
    return _numbers(file)[0]

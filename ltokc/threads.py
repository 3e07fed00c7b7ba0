"""Work in steps: telling how far it is, and several parts of a picture at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

Progress = Callable[[int, int], None]  # (steps done, steps in all)
Result = TypeVar("Result")
CELLS_IN_FLIGHT = 2048  # cells of the segments that are coded at a time: about 0.3 MB of memory each


class Steps:
    """Counts steps and tells a callback, from the thread that calls `advance`."""

    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.done = progress, total, 0

    def advance(self) -> None:
        self.done = min(self.done + 1, self.total)
        if self.progress:
            self.progress(self.done, self.total)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """LTOKC_THREADS, else `cores()`."""
    wanted = os.environ.get("LTOKC_THREADS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    return cores()


def in_parallel(
    work: Callable[[int], Result], items: Sequence[int], cells: int, steps: Steps | None = None
) -> list[Result]:
    """`work` of every item, in order; `cells`: the most that an item has, which bounds how many are done at a time.

    The first error ends it.
    """
    workers = min(threads(), max(1, CELLS_IN_FLIGHT // cells), len(items))
    out: list[Result] = []
    if workers < 2:
        for item in items:
            out.append(work(item))
            if steps:
                steps.advance()
        return out
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        try:
            for result in pool.map(work, items):
                out.append(result)
                if steps:
                    steps.advance()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return out

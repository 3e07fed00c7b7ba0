"""How many threads the work takes, and several parts of a picture at a time; steps, to tell how far it is.

`set_threads`, else LTOKC_THREADS, else 1 in a process that is one of several (`is_worker`), else all cores: this holds
for ONNX Runtime, OpenVINO, torch and the range coder's segments.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from ltokc import cgroup
from ltokc.arguments import check_callable, shown, whole
from ltokc.blas import limit_blas
from ltokc.errors import UsageError

Progress = Callable[[int, int], None]  # (steps done, steps in all)
Result = TypeVar("Result")
VARIABLES = ("LTOKC_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by libraries
FEW_THREADS = 8
WORKER_MEMORY = 10**9  # bytes that a process takes for a large picture, up to effort 2
CELLS_IN_FLIGHT = 2048  # cells of the segments that are coded at a time: about 0.3 MB of memory each


class Steps:
    """Counts steps and tells a callback, from the thread that calls `advance`."""

    def __init__(self, progress: Progress | None, total: int, estimate: bool = False):
        """estimate: there may be fewer or more steps; the last one of `total` is `finish`.  Raises UsageError."""
        if progress is not None:
            check_callable("progress", progress)
        self.progress, self.total, self.done = progress, total, 0
        self.most = total - 1 if estimate else total

    def advance(self) -> None:
        self._tell(min(self.done + 1, self.most))

    def finish(self) -> None:
        """All is done."""
        self._tell(self.total)

    def _tell(self, done: int) -> None:
        self.done = done
        if self.progress:
            self.progress(done, self.total)


def cores() -> int:
    """Cores that this process may use, by its affinity and by the CPU quota of its container (rounded up)."""
    return max(1, math.ceil(min(_affinity(), cgroup.own_cpus())))


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_workers() -> int:
    """Processes that may work at a time: one per core, as far as the memory of machine and container goes."""
    memory = cgroup.memory()
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = min(memory, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return int(max(1, min(cores(), memory // WORKER_MEMORY)))


def set_threads(count: int | None) -> None:
    """Threads that this process takes from now on, 1 or more, whatever LTOKC_THREADS says; None: as before any call.

    BLAS, inside numpy, is set to as many, for the whole process.  A process that is forked or spawned later does not
    take it over.  Raises UsageError.
    """
    if count is not None:
        count = min(whole("threads", count, 1), most_threads())
        limit_blas(count)
    _Chosen.count = count


class _Chosen:
    """What `set_threads` said, whether this process was forked, and which process has told BLAS."""

    count: int | None = None
    forked = False
    told = 0


def _forked() -> None:
    _Chosen.count, _Chosen.forked = None, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def is_worker() -> bool:
    """Whether this process was forked or spawned by another Python: a DataLoader's worker, a pool's, a Ray actor.

    Such processes share the cores with each other: where each took all of them, all would wait for each other.
    """
    started = sys.modules.get("multiprocessing.process")
    return (
        _Chosen.forked
        or (started is not None and started.parent_process() is not None)
        or (os.path.basename(sys.argv[0] if sys.argv else "") == "default_worker.py" and "ray" in sys.modules)
    )


def limit_blas_of_worker() -> None:
    """In a worker BLAS gets as many threads as the rest, once."""
    if _Chosen.told != os.getpid() and is_worker():
        limit_blas(threads())
        _Chosen.told = os.getpid()


def wanted_threads() -> int | None:
    """What `set_threads` said, else LTOKC_THREADS, but no more than `most_threads`, else 1 in a worker.

    None where nothing is wanted; the variable says nothing when it is empty.  UsageError: it is no number from 1 on.
    """
    if _Chosen.count is not None:
        return _Chosen.count
    text = os.environ.get("LTOKC_THREADS", "")
    digits = text.lstrip("0")
    if text and not (text.isascii() and text.isdigit() and digits):
        raise UsageError(f"LTOKC_THREADS is a whole number of threads, 1 or more, not {shown(text)}")
    if digits:
        return min(int(digits), most_threads()) if len(digits) < 10 else most_threads()
    return 1 if is_worker() else None


def most_threads() -> int:
    """More threads than this only wait for each other: as many as the machine has cores, and a few for a small one."""
    return max(os.cpu_count() or 1, FEW_THREADS)


def threads() -> int:
    """`wanted_threads`, else `cores()`."""
    return wanted_threads() or cores()


def runtime_threads() -> int | None:
    """Threads for a runtime of networks: `wanted_threads`, else under a CPU quota `cores()`, else None, its own choice.

    1 where the system does not let this process start that many.
    """
    wanted = wanted_threads() or (cores() if cores() < _affinity() else None)
    return wanted if can_start(wanted or cores()) else 1


def limit_libraries() -> None:
    """Keeps the numerical libraries of a program, which are not loaded yet, to one thread where it cannot start more.

    They start one for every core; where that fails, OpenBLAS ends the process.  While there is nothing to do OpenBLAS's
    threads sleep, unless OPENBLAS_THREAD_TIMEOUT says otherwise: spinning, they keep a core from the networks.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # the least: 2**4 cycles
    if not can_start(cores()):
        os.environ.update(dict.fromkeys(VARIABLES, "1"))


def can_start(count: int) -> bool:
    """Whether this process may start so many threads now; tried, since limits are of several kinds."""
    import threading

    end = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(count - 1):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        end.set()
        for thread in started:
            thread.join()
    return True


def beside(work: Callable[[], object]) -> None:
    """Starts work that will be needed soon, in a thread of its own where more than one is wanted and can be started.

    What it raises is lost: who needs its result finds none, and does it then.
    """
    if threads() < 2 or not can_start(2):
        return
    import contextlib
    import threading

    def quietly() -> None:
        with contextlib.suppress(Exception):
            work()

    threading.Thread(target=quietly).start()


def in_parallel(
    work: Callable[[int], Result], items: Sequence[int], cells: int, steps: Steps | None = None
) -> list[Result]:
    """`work` of every item, in order; `cells`: the most that an item has, which bounds how many are done at a time.

    The first error ends it.
    """
    workers = min(threads(), max(1, CELLS_IN_FLIGHT // cells), len(items))
    out: list[Result] = []
    if workers < 2 or not can_start(workers + 1):
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

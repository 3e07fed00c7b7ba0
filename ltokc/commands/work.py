"""Runs a conversion over many files, in this process or several; only this process writes."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ltokc import files
from ltokc.commands.report import Report
from ltokc.files import Job


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion's output bytes, its line for people, its JSON fields, and notes that -v shows."""

    data: bytes
    line: str
    fields: dict[str, Any]
    notes: list[str] = field(default_factory=list)


Convert = Callable[[Job], Result]
Work = Generator[tuple[Job, Callable[[], Result]], None, None]


def convert_all(report: Report, jobs: Sequence[Job], convert: Convert, workers: int) -> None:
    """Converts and writes; every file's failure is its own.  `convert` can be pickled.  Raises click's Exit."""
    if any(j.target == files.STDIO for j in jobs):
        files.refuse_terminal()
    todo = []
    for job in jobs:
        if job.error:
            report.fail(job.source, job.error)
        elif job.skip:
            report.skipped += 1
            report.detail(f"{job.source}: {job.target} exists, skipped")
        else:
            todo.append(job)
    if workers > 1 and len(todo) > 1:
        work: Work = _in_processes(todo, convert, min(workers, len(todo)))
    else:
        work = ((job, partial(convert, job)) for job in todo)
    with closing(work):
        for job, get in work:
            with report.each(job.source):
                result = get()
                files.write(job.target, result.data)
                report.say(result.line)
                for note in result.notes:
                    report.detail(f"{job.source}: {note}")
                report.record(result.fields)
    report.finish()


def _start_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    for name in ("LTOKC_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))  # numpy and the runtimes are not loaded yet


def _in_processes(jobs: list[Job], convert: Convert, workers: int) -> Work:
    """Yields jobs in order with a function that waits for the result; a few are in flight at a time."""
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(max(1, (os.cpu_count() or 1) // workers),)
    )
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    rest = iter(jobs)
    try:
        while True:
            while len(waiting) < 2 * workers and (job := next(rest, None)) is not None:
                waiting.append((job, pool.submit(convert, job)))
            if not waiting:
                break
            job, future = waiting.popleft()
            yield job, future.result
    except BaseException:  # interrupted, or nobody wants the rest
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()

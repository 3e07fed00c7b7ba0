"""Runs a conversion over many files, in this process or several; whoever converts a file also writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from ltokc.cli.console import Console, show_warnings
from ltokc.cli.progress import AtWork
from ltokc.cli.status_line import StatusLine
from ltokc.jobs import processes, streams
from ltokc.jobs.conversion import Convert, Result
from ltokc.jobs.paths import Job
from ltokc.jobs.processes import Outcome
from ltokc.jobs.rows import DONE, SKIPPED


def convert_all(console: Console, jobs: Sequence[Job], convert: Convert, workers: int) -> None:
    """Converts and writes; every file's failure is its own.  `convert` can be pickled.  Raises click's Exit."""
    if any(j.target == streams.STDIO for j in jobs):
        streams.refuse_terminal()
    todo = [job for job in jobs if is_to_do(console, job)]
    work, workers = partial(convert_one, convert), min(workers, len(todo))
    at_work = AtWork(len(todo))
    running = processes.run(
        todo, work, workers, started=show_warnings, heard=lambda i, job, *steps: at_work.heard(i, job.source, *steps)
    )
    with StatusLine(at_work.text, not console.quiet), closing(running) as outcomes:
        for outcome in processes.in_order(_counted(outcomes, at_work)):
            with console.each(outcome.job.source):
                result = outcome.get()
                console.say(result.line)
                for loss in result.losses:
                    console.say(f"{outcome.job.source}: {loss}")
                for note in result.notes:
                    console.detail(f"{outcome.job.source}: {note}")
                told = {"losses": result.losses} if result.losses else {}
                console.record(result.fields | told | {"status": DONE})
    console.finish()


def is_to_do(console: Console, job: Job) -> bool:
    """Whether a job is to be done.  One that is not is counted, and its reason told."""
    if job.error:
        console.fail(job.source, job.error)
    elif job.skip:
        console.leave_out(job.source, job.skip)
        console.record({"input": job.source, "output": job.target, "status": SKIPPED, "notes": job.skip})
    return not (job.error or job.skip)


def _counted(outcomes: Iterable[Outcome[Job, Result]], at_work: AtWork) -> Iterator[Outcome[Job, Result]]:
    """The outcomes, each counted as soon as it is there."""
    for outcome in outcomes:
        at_work.finished(outcome.index)
        yield outcome


def convert_one(convert: Convert, job: Job) -> Result:
    """Converts one file and writes it; the result comes back without its bytes."""
    result = convert(job)
    streams.write(job.target, result.data, job.placement)
    return replace(result, data=b"")

"""Runs a conversion over many files, in this process or several; whoever converts a file also writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ltokc.cli.console import Report
from ltokc.jobs import paths
from ltokc.jobs import processes as workers
from ltokc.jobs.paths import Job


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion's output bytes, its line for people, its JSON fields, and notes that -v shows."""

    data: bytes
    line: str
    fields: dict[str, Any]
    notes: list[str] = field(default_factory=list)


Convert = Callable[[Job], Result]


def convert_all(report: Report, jobs: Sequence[Job], convert: Convert, processes: int) -> None:
    """Converts and writes; every file's failure is its own.  `convert` can be pickled.  Raises click's Exit."""
    if any(j.target == paths.STDIO for j in jobs):
        paths.refuse_terminal()
    todo = []
    for job in jobs:
        if job.error:
            report.fail(job.source, job.error)
        elif job.skip:
            report.skipped += 1
            report.detail(f"{job.source}: {job.target} exists, skipped")
        else:
            todo.append(job)
    with closing(workers.run(todo, partial(convert_one, convert), min(processes, len(todo)))) as outcomes:
        for outcome in workers.in_order(outcomes):
            with report.each(outcome.job.source):
                result = outcome.get()
                report.say(result.line)
                for note in result.notes:
                    report.detail(f"{outcome.job.source}: {note}")
                report.record(result.fields)
    report.finish()


def convert_one(convert: Convert, job: Job) -> Result:
    """Converts one file and writes it; the result comes back without its bytes."""
    result = convert(job)
    paths.write(job.target, result.data)
    return replace(result, data=b"")

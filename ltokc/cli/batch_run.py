"""A run of `ltokc batch`: what there is to do, doing it in several processes, telling what became of each file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial

from ltokc.cli import interruption
from ltokc.cli.batch_tables import Tables, in_order
from ltokc.cli.console import Console, complain, reason, show_warnings
from ltokc.cli.progress import BatchProgress, human
from ltokc.cli.status_line import StatusLine
from ltokc.errors import LtokcError, Unwritable
from ltokc.jobs import processes
from ltokc.jobs.paths import Job
from ltokc.jobs.processes import Outcome
from ltokc.jobs.rows import FAILED, FRESH, SKIPPED, Row
from ltokc.jobs.task import BatchPlan, Task, done_before, left_over, perform, why_not

NAMED_AT_THE_END = 20
UNLESS = ", unless it is the output again"


def rehearse(console: Console, plan: BatchPlan, tasks: Sequence[Task]) -> None:
    """--dry-run: tells what `run` would do.  Raises click's Exit."""
    console.rehearsal = True
    todo, _ = _settled(console, tasks)
    size = 0
    for _, task in todo:
        try:
            row = done_before(plan, task)
            for path in left_over(plan, task, row):
                console.say(f"{path}: of an earlier run, would be removed" + UNLESS * (row is None))
        except LtokcError as error:
            _failed(console, task.job, error)
            continue
        if row is not None:
            console.skipped += 1
            console.detail(f"{task.job.source}: done before")
            continue
        if text := why_not(plan, task, task.job.target):
            _failed(console, task.job, text)
            continue
        console.done += 1
        size += os.path.getsize(task.job.source) if os.path.exists(task.job.source) else 0
        console.say(f"{task.job.source} -> {task.job.target}")
        console.record({"input": task.job.source, "output": task.job.target})
    console.say(f"would read {console.done:,} file{'s' * (console.done != 1)}, {human(size)}")
    console.finish()


def nothing(console: Console, tasks: Sequence[Task], write: Tables) -> None:
    """A run of which no task needs work, or none can be done.  Raises click's Exit."""
    _finish(console, _settled(console, tasks)[1], write, BatchProgress(0))


def run(console: Console, plan: BatchPlan, tasks: Sequence[Task], workers: int, write: Tables) -> None:
    """Does the tasks in so many processes.  Raises click's Exit if a file failed, or none was there."""
    todo, rows = _settled(console, tasks)
    progress = BatchProgress(len(todo))
    waiting, work, workers = [task for _, task in todo], partial(perform, plan), min(workers, len(todo))
    running = processes.run(
        waiting, work, workers, started=show_warnings,
        heard=lambda i, task, *steps: progress.heard(i, task.job.source, *steps),
    )  # fmt: skip
    try:
        with StatusLine(progress.text, not console.quiet), closing(running) as outcomes:
            for outcome in outcomes:
                row = _told(console, outcome)
                rows[todo[outcome.index][0]] = row
                progress.add(outcome.index, row)
                if isinstance(outcome.error, Unwritable):
                    left = progress.total - progress.done
                    complain(f"stopped, since nothing more can be written; {left:,} left; --resume goes on with them")
                    break
    except BaseException as error:  # interrupted: the report says what was done so far
        if isinstance(error, KeyboardInterrupt) or interruption.came():
            console.say(f"{progress.done:,} of {progress.total:,} done; --resume goes on with the rest")
        write(rows, interrupted=True)
        raise
    _finish(console, rows, write, progress)


def _settled(console: Console, tasks: Sequence[Task]) -> tuple[list[tuple[int, Task]], dict[int, Row]]:
    """What there is to do, and the rows of what needs no work or cannot be done, both with their place in the plan."""
    todo: list[tuple[int, Task]] = []
    rows: dict[int, Row] = {}
    for place, task in enumerate(tasks):
        job = task.job
        if job.error:
            rows[place] = _failed(console, job, job.error)
        elif job.skip:
            rows[place] = Row(job.source, job.target, SKIPPED, notes=job.skip)
            console.leave_out(job.source, job.skip)
            console.record(asdict(rows[place]))
        else:
            todo.append((place, task))
    return todo, rows


def _told(console: Console, outcome: Outcome[Task, Row]) -> Row:
    """The row of an outcome, counted and told."""
    interruption.check()
    try:
        row = outcome.get()
    except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
        return _failed(console, outcome.job.job, error)
    if row.status in FRESH or row.removed:
        console.done += 1
    else:
        console.skipped += 1
    if console.verbose:
        size = f"{row.width}x{row.height}  {row.input_bytes or 0:,} -> {row.output_bytes or 0:,} bytes"
        console.say(f"{row.input} -> {row.output or row.input}  {size}  {row.seconds:.2f} s  {row.status}")
        if row.notes:
            console.say(f"{row.input}: {row.notes}")
    if row.removed:
        console.say(f"{row.input}: removed what an earlier run had written for it: {row.removed}")
    if row.losses and row.status in FRESH:
        console.say(f"{row.input}: {row.losses}")
    console.record(asdict(row))
    return row


def _failed(console: Console, job: Job, error: Exception | str) -> Row:
    text = error if isinstance(error, str) else reason(error, job.source)
    console.failed += 1
    console.trace(error)
    complain(f"{job.source}: {text}")
    row = Row(job.source, None, FAILED, error=text)
    console.record(asdict(row))
    return row


def _finish(console: Console, rows: dict[int, Row], write: Tables, progress: BatchProgress) -> None:
    """Reports, the names of what failed, sums, exit status (raises click's Exit)."""
    try:
        write(rows)
    except (LtokcError, OSError) as error:  # what was done is summed up all the same
        console.trace(error)
        complain(f"--report: {reason(error)}")
        console.unreported = True
    failed = [row.input for row in in_order(rows) if row.status == FAILED]
    if failed and len(rows) > 1:
        more = len(failed) - NAMED_AT_THE_END
        complain(f"failed: {', '.join(failed[:NAMED_AT_THE_END])}" + (f" and {more:,} more" if more > 0 else ""))
    if console.done:
        console.say(f"{progress.sums()}, {progress.seconds:.1f} s")
    console.finish()

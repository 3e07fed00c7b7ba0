"""Many pictures: which of them are this run's, and what is done to one of them, in whichever process.

What was done is kept in `ltokc.jobs.journal` and told in `ltokc.jobs.rows`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from ltokc.atomic import Exists, with_times
from ltokc.jobs import journal, leftovers, streams
from ltokc.jobs.conversion import Convert, Result
from ltokc.jobs.journal import Entry
from ltokc.jobs.names import same_file
from ltokc.jobs.origin import is_of_another, origin_of
from ltokc.jobs.paths import Job, copy_of, refusal
from ltokc.jobs.rows import COPIED, DONE, KEPT, UNCHANGED, Row, row_of

MADE_OF_ANOTHER = "it was made of a picture in another folder"


@dataclass(frozen=True, slots=True)
class Task:
    """A job and what journals say of its output.  earlier: and of the picture's outputs, whatever their names."""

    job: Job
    known: tuple[Entry, ...] = ()
    earlier: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What all tasks of a run share; can be pickled.

    `options`: fingerprint of all that shapes the outputs; `folder`: the outputs' (-d); `journal`: path of this run's
    journal, `mark`: its mark in temporary files; `keep_smaller`: an output as large as its source is not kept;
    `runtime`: what runs the networks, which the journal names.
    """

    convert: Convert
    options: str
    folder: str
    keep_smaller: bool = False
    journal: str = ""
    mark: str = ""
    runtime: str = ""


def other_runtimes(known: Iterable[Iterable[Entry]], runtime: str) -> list[str]:
    """Runtimes by which, as far as is known, outputs were made that another one makes now."""
    return sorted({entry.runtime for entries in known for entry in entries if entry.runtime} - {runtime})


def below(path: str, folder: str) -> str:
    """`path` as seen from `folder`, with "/" on every system: how journals and shards know an output."""
    return os.path.relpath(path, folder).replace(os.sep, "/")


def in_shard(name: str, shard: tuple[int, int] | None) -> bool:
    """Whether an output's name (see `below`) belongs to shard (I, N), I from 1; for good, whatever else there is."""
    if shard is None:
        return True
    name = unicodedata.normalize("NFC", name)  # one name on every file system
    state = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8)
    return int.from_bytes(state.digest(), "big") % shard[1] == shard[0] - 1


def without_absent(jobs: Iterable[Job]) -> list[Job]:
    """A source that is not there is an error of its job before any folder is made."""
    return [
        job if job.error or job.skip or os.path.lexists(job.source) else replace(job, error="no such file or folder")
        for job in jobs
    ]


def copies_exist(jobs: Iterable[Job]) -> list[Job]:
    """With --keep-smaller and --no-clobber a copied source, too, is an output that exists."""
    return [
        replace(job, skip=f"{copy_of(job)} exists")
        if not (job.error or job.skip) and os.path.lexists(copy_of(job)) and not same_file(job.source, copy_of(job))
        else job
        for job in jobs
    ]


def done_before(plan: BatchPlan, task: Task) -> Row | None:
    """The row of a task that needs no work, or None."""
    entry = journal.unchanged(task.known, plan.options, task.job.source, plan.folder)
    if entry is None:
        return None
    if (row := row_of(entry.row)) is None:
        return None
    output = os.path.join(plan.folder, *entry.written.split("/")) if entry.written else None
    return replace(row, status=UNCHANGED, input=task.job.source, output=output)


def why_not(plan: BatchPlan, task: Task, output: str) -> str:
    """Why this output of a task may not be written, "" if it may: a file is there that no batch made of its picture."""
    if task.job.placement.overwrite or not os.path.lexists(output):
        return ""
    if makers := journal.makers(task.known, output, plan.folder):
        return refusal(output, MADE_OF_ANOTHER) if is_of_another(makers, task.job.source) else ""
    wrote = any(entry.written == below(output, plan.folder) for entry in task.known)
    return refusal(output, "it has changed since a batch wrote it" if wrote else "no batch before has written it")


def left_over(plan: BatchPlan, task: Task, row: Row | None = None) -> list[str]:
    """What earlier runs left for the picture beside the output of its row, by default its .ltk file.  Raises Exists."""
    output = task.job.target if row is None else row.output or copy_of(task.job)
    return leftovers.found(task.earlier, task.job, output, plan.folder)


def perform(plan: BatchPlan, task: Task) -> Row:
    """Does what is to do for one task: convert, note in the journal, write.  Raises what these raise, and Exists."""
    job = task.job
    if (row := done_before(plan, task)) is not None:
        if row.output is not None:
            with_times(row.output, job.placement)
        return replace(row, removed=leftovers.remove(left_over(plan, task, row)))
    if text := why_not(plan, task, job.target):
        raise Exists(text)
    start = time.perf_counter()
    before, now = os.stat(job.source), time.time_ns()
    result, status = plan.convert(job), DONE
    if plan.keep_smaller and len(result.data) >= before.st_size:
        result = replace(result, data=streams.read(job.source))
        status = KEPT if same_file(job.source, copy_of(job)) else COPIED
    row = _row(job, result, status)
    output = row.output or job.target
    if status == COPIED and (text := why_not(plan, task, output)):
        raise Exists(text)
    left = left_over(plan, task, row)
    row = replace(row, input_bytes=before.st_size, seconds=round(time.perf_counter() - start, 3))
    _note(plan, job, before, journal.stamp_of(before, now), row, result.data)
    if status != KEPT:
        overwrite = job.placement.overwrite or bool(journal.makers(task.known, output, plan.folder))
        streams.write(output, result.data, replace(job.placement, overwrite=overwrite, mark=plan.mark))
    return replace(row, removed=leftovers.remove(left))


def _row(job: Job, result: Result, status: str) -> Row:
    """What is known of a picture before its output is written; of a copied or kept source, `result` has its bytes."""
    width, height, size = result.fields["width"], result.fields["height"], len(result.data)
    row = Row(
        input=job.source, output=job.target, status=status, width=width, height=height, output_bytes=size,
        notes="; ".join(result.notes), losses="; ".join(result.losses) if status == DONE else "",
    )  # fmt: skip
    if status != DONE:
        return replace(row, output=copy_of(job), bpp=round(8 * size / (width * height), 5))
    return replace(
        row, bpp=round(8 * result.fields["bytes"] / (width * height), 5), tokens=result.fields.get("tokens"),
        model=result.fields.get("model"),
    )  # fmt: skip


def _note(plan: BatchPlan, job: Job, before: os.stat_result, stamp: tuple[int, int], row: Row, data: bytes) -> None:
    """Notes a task in the journal; one whose source changed meanwhile so that the next run does it again."""
    read = journal.digest(job.source) if stat.S_ISREG(before.st_mode) else ""  # a pipe gives its bytes but once
    after = os.stat(job.source)
    if _times(after) != _times(before):
        read = ""
    written = below(row.output, plan.folder) if row.output is not None and row.status != KEPT else ""
    entry = Entry(
        below(job.target, plan.folder), plan.options, os.path.basename(job.source), before.st_size, before.st_mtime_ns,
        read, written, len(data), journal.digest_of(data), asdict(row), *stamp, plan.runtime, origin_of(job.source),
    )  # fmt: skip
    journal.append(plan.journal, entry)


def _times(about: os.stat_result) -> tuple[int, ...]:
    return about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns

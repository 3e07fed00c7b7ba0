"""Many pictures: which of them are this run's, and what is done to one of them, in whichever process.

The command is `ltokc.cli.batch`; what was done is kept in `ltokc.jobs.journal`, told in `ltokc.jobs.rows`.
"""

from __future__ import annotations

import hashlib
import os
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from ltokc.cli.convert import Convert, Result
from ltokc.jobs import journal, paths
from ltokc.jobs.journal import Entry
from ltokc.jobs.paths import Job
from ltokc.jobs.rows import COPIED, DONE, KEPT, UNCHANGED, Row


@dataclass(frozen=True, slots=True)
class Task:
    """A job and what journals say of its output."""

    job: Job
    known: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What all tasks of a run share; can be pickled.

    `options`: fingerprint of all that shapes the outputs; `folder`: the outputs' (-d); `journal`: path of this run's
    journal, `mark`: its mark in temporary files; `keep_smaller`: an output as large as its source is not kept.
    """

    convert: Convert
    options: str
    folder: str
    journal: str
    mark: str
    keep_smaller: bool = False


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


def copy_of(job: Job) -> str:
    """Where the source itself would be mirrored to."""
    return os.path.join(os.path.dirname(job.target), os.path.basename(job.source))


def copies_exist(jobs: Iterable[Job]) -> list[Job]:
    """With --keep-smaller and --no-clobber a copied source, too, is an output that exists."""
    return [
        replace(job, skip=True)
        if not job.error and os.path.lexists(copy_of(job)) and not paths.same_file(job.source, copy_of(job))
        else job
        for job in jobs
    ]


def done_before(recipe: Recipe, task: Task) -> Row | None:
    """The row of a task that needs no work, or None."""
    entry = journal.unchanged(task.known, recipe.options, task.job.source, recipe.folder)
    if entry is None:
        return None
    try:
        row = Row(**entry.row)
    except TypeError:  # a row of another version
        return None
    output = os.path.join(recipe.folder, *entry.written.split("/")) if entry.written else None
    return replace(row, status=UNCHANGED, input=task.job.source, output=output)


def perform(recipe: Recipe, task: Task) -> Row:
    """Does what is to do for one task: convert, write, note in the journal.  Raises what these raise."""
    if (row := done_before(recipe, task)) is not None:
        return row
    job = task.job
    start = time.perf_counter()
    before = os.stat(job.source)
    result = recipe.convert(job)
    target, data, status = job.target, result.data, DONE
    if recipe.keep_smaller and len(data) >= before.st_size:
        target, data = copy_of(job), paths.read(job.source)
        status = KEPT if paths.same_file(job.source, target) else COPIED
    if status != KEPT:
        paths.write(target, data, recipe.mark)
    seconds = time.perf_counter() - start
    row = _row(job.source, target, status, before.st_size, data, result, seconds)
    read = journal.digest(job.source)
    after = os.stat(job.source)
    if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):  # else the next run shall look again
        entry = Entry(
            below(job.target, recipe.folder), recipe.options, os.path.basename(job.source), before.st_size,
            before.st_mtime_ns, read, below(target, recipe.folder) if status != KEPT else "", len(data),
            hashlib.blake2b(data, digest_size=16).hexdigest(), asdict(row),
        )  # fmt: skip
        journal.append(recipe.journal, entry)
    return row


def _row(source: str, target: str, status: str, input_bytes: int, data: bytes, result: Result, seconds: float) -> Row:
    width, height = result.fields["width"], result.fields["height"]
    token_bytes = result.fields["bytes"] if status == DONE else len(data)
    return Row(
        input=source, output=target, status=status, width=width, height=height, input_bytes=input_bytes,
        output_bytes=len(data), bpp=round(8 * token_bytes / (width * height), 5),
        tokens=result.fields.get("tokens") if status == DONE else None,
        model=result.fields.get("model") if status == DONE else None,
        seconds=round(seconds, 3), notes="; ".join(result.notes),
    )  # fmt: skip

"""Outputs of earlier runs that stand for a picture under another name than the one it has now.

Where `--keep-smaller` copied a source, a later run may code it, or the other way round, and naming may change: both
files would lie side by side, and nothing says which one holds.  A journal knows what it wrote; that alone is removed,
and only while it is byte for byte what was written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ltokc.atomic import Exists, link_below
from ltokc.jobs import journal
from ltokc.jobs.journal import Entry
from ltokc.jobs.names import same_file
from ltokc.jobs.origin import is_of_another
from ltokc.jobs.paths import Existing, Job, copy_of, refusal

Place = tuple[str, str]  # folder of a source as seen from that of the outputs, and its name


class Earlier:
    """What journals say that was written for the pictures of a run.

    folder: of the outputs; every_name: also what other ways of naming (--keep-suffix) wrote, not only the output and
    the copy that this run could write.
    """

    def __init__(self, known: Mapping[str, Iterable[Entry]], folder: str, every_name: bool):
        self.folder, self.every_name = folder, every_name
        self.by_target = {target: tuple(entries) for target, entries in known.items()}
        self.by_place: dict[Place, list[Entry]] = {}
        for entries in self.by_target.values():
            for entry in entries:
                self.by_place.setdefault((os.path.dirname(entry.target), entry.source), []).append(entry)
        self.owned: set[str] = set()

    def own(self, jobs: Iterable[Job]) -> None:
        """Takes note of all outputs of this run: those of other pictures are nobody's leftovers."""
        self.owned = {path for job in jobs if not job.error for path in (job.target, copy_of(job))}

    def of(self, job: Job) -> tuple[Entry, ...]:
        """The entries of what may be left over of this job's picture."""
        target, copy = (_below(path, self.folder) for path in (job.target, copy_of(job)))
        same_source = self.by_place.get((os.path.dirname(target), os.path.basename(job.source)), ())
        own = [e for e in same_source if self.every_name or e.target == target or e.written == copy]
        others = [e for e in self.by_target.get(target, ()) if e.written == target and e not in own]
        return tuple(e for e in (*own, *others) if e.written and not self._is_of_another(_path(e, self.folder), job))

    def _is_of_another(self, path: str, job: Job) -> bool:
        return path in self.owned and path not in (job.target, copy_of(job))

    def settled(self, job: Job, existing: Existing) -> Job:
        """The job as what is left over allows it, where nothing of an earlier run may be replaced."""
        if job.error or job.skip or existing not in (Existing.REFUSE, Existing.SKIP):
            return job
        for path in dict.fromkeys(_path(entry, self.folder) for entry in self.of(job)):
            if os.path.lexists(path) and not same_file(path, job.source):
                if existing is Existing.SKIP:
                    return replace(job, skip=f"{path} exists")
                return replace(job, error=refusal(path, "--resume goes on with an earlier batch"))
        return job


def found(entries: Iterable[Entry], job: Job, output: str, folder: str) -> list[str]:
    """The files that are left over beside `output`, the one that holds for this job.

    Raises Exists where one is there that no batch wrote so, and that is thus no batch's to remove.
    """
    entries = tuple(entries)
    paths = dict.fromkeys(path for entry in entries if (path := _path(entry, folder)) != output)
    if output != job.target:
        paths[job.target] = None
    there = [path for path in paths if _stands(path, output, job)]
    for path in there:
        makers = [] if link_below(path, folder) else journal.makers(entries, path, folder)
        if is_of_another(makers, job.source):
            raise Exists(
                f"{path} is there too, made of a picture in another folder: move it away, or give each folder its own "
                "for outputs"
            )
        if not makers:
            raise Exists(
                f"{path} is there too, and not as a batch has written it: whether it or {output} holds is for you to "
                "say; move one of them away"
            )
    return there


def remove(paths: Iterable[str]) -> str:
    """Removes what `found` has found; their names in one text.  OSError."""
    gone = []
    for path in paths:
        os.unlink(path)
        gone.append(path)
    return ", ".join(gone)


def _stands(path: str, output: str, job: Job) -> bool:
    return os.path.lexists(path) and not same_file(path, output) and not same_file(path, job.source)


def _path(entry: Entry, folder: str) -> str:
    return os.path.join(folder, *entry.written.split("/"))


def _below(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")

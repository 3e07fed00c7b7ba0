"""What a batch has done, kept beside its outputs: an append-only file, one line for each picture that is finished.

`DIR/.ltokc-batch.journal` (with --shard: `.ltokc-batch-I-of-N.journal`).  A line is the CRC-32 of its JSON in eight
hexadecimal digits, a space, the JSON; a line that was torn by a kill or damaged later fails its CRC and counts as never
written.  A line alone is not believed either: what it says of the source and of the output is compared with the files
(`unchanged`), so neither an output that changed nor one that is not all there passes for done.

A line is written before its output takes its name, each by one write of a process that has the file open for appending.
So every output that a batch made is known (`makers`), also after a kill, and nothing else is ever replaced by --resume.
A kill between the two costs that picture's work once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ltokc.errors import LtokcError
from ltokc.jobs.lines import append_line, line_of, named, parse
from ltokc.jobs.locks import lock

NAME = re.compile(r"\.ltokc-batch(-\d+-of-\d+)?\.journal")
MARK_BYTES = 6
GRAIN = 2_500_000_000  # ns that the times of a file may be coarse; FAT's are 2 s
_BLOCK = 1 << 20
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture that was done.

    `target`: what the batch meant to write, `written`: what it did write (another name for a copied source, "" for
    nothing), both below DIR with "/".  `options`: fingerprint of all that shapes the output.  `source`: file name;
    `size` (bytes), `changed` (ns), `digest` of the source as it was read ("" where it changed meanwhile);
    `written_size`, `written_digest` of the output; `row`: the fields of the report.  `inode`, `status_changed` (ns),
    `origin`: of the source, see `stamp_of` and `ltokc.jobs.origin`.  `runtime`: of the networks.  "": not known.
    """

    target: str
    options: str
    source: str
    size: int
    changed: int
    digest: str
    written: str
    written_size: int
    written_digest: str
    row: dict[str, Any] = field(default_factory=dict)
    inode: int = 0
    status_changed: int = 0
    runtime: str = ""
    origin: str = ""


class Busy(LtokcError):
    """Another batch is writing to this folder."""


def name_of(shard: tuple[int, int] | None) -> str:
    return ".ltokc-batch.journal" if shard is None else f".ltokc-batch-{shard[0]}-of-{shard[1]}.journal"


def fingerprint(options: Any) -> str:
    """A short hash of options that JSON can write (others by their repr), the same in every process."""
    text = json.dumps(options, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def digest_of(data: bytes) -> str:
    """BLAKE2b of bytes, 128 bits, hexadecimal."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def digest(path: str) -> str:
    """`digest_of` a file's bytes.  OSError."""
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def stamp_of(about: os.stat_result, now: int) -> tuple[int, int]:
    """(inode, time of its last change of status in ns) of a file, (0, 0) where they tell nothing.

    Programs can set the time of the last change, but not this one: a file whose stamp stays has its bytes still.  It
    tells nothing of a file changed a moment before `now` (ns), since a further change may have the same time; nor on
    Windows, which gives the time of creation; nor where the inode is 0, as on some network file systems.
    """
    told = os.name == "posix" and about.st_ino > 0 and now - max(about.st_ctime_ns, about.st_mtime_ns) > GRAIN
    return (about.st_ino, about.st_ctime_ns) if told else (0, 0)


def entry_of(line: dict[str, Any]) -> Entry | None:
    """The entry in a line; None for a line of another kind, or from a version with other fields."""
    try:
        entry = Entry(**line)
    except TypeError:
        return None
    kinds = {"str": str, "int": int}  # by annotations, which are texts; the row alone is another
    sound = all(type(getattr(entry, each.name)) is kinds.get(str(each.type), dict) for each in fields(entry))
    return entry if sound and is_below(entry.written) else None


def is_below(name: str) -> bool:
    """Whether a name with "/" stays below its folder on this system: no root, no drive, no "..", no odd characters."""
    odd = "\\:\0" if os.name == "nt" else "\0"  # elsewhere a backslash and a colon are letters like others
    return not name.startswith("/") and ".." not in name.split("/") and not set(name) & set(odd)


def read_all(folder: str) -> dict[str, list[Entry]]:
    """The entries of every journal in a folder by target; none if there is no folder.  OSError, LtokcError."""
    found: dict[str, list[Entry]] = {}
    for line in _lines(folder):
        if (entry := entry_of(line)) is not None:
            found.setdefault(entry.target, []).append(entry)
    return found


def _lines(folder: str) -> Iterator[dict[str, Any]]:
    """The lines of every journal in a folder; none if there is no folder.  OSError, LtokcError."""
    try:
        names = sorted(os.listdir(folder or os.curdir))
    except FileNotFoundError:
        return
    for name in names:
        if NAME.fullmatch(name):
            path = os.path.join(folder, name)
            _check(path)
            with open(path, "rb") as file:
                yield from parse(file.read())


def unchanged(entries: Iterable[Entry], options: str, source: str, folder: str) -> Entry | None:
    """The entry that shows that `source` needs no work: same options, same source, the output there and the same.

    A source of the same size, time of change, inode and time of change of status is taken as the same; where one of
    them differs or is not known it is compared by its digest.  The output always is.
    """
    try:
        about = os.stat(source)
        stamp = about.st_mtime_ns, *stamp_of(about, time.time_ns())
        for entry in reversed(list(entries)):
            if (entry.options, entry.source, entry.size) != (options, os.path.basename(source), about.st_size):
                continue
            known = entry.inode and (entry.changed, entry.inode, entry.status_changed) == stamp
            if not entry.digest or (not known and entry.digest != digest(source)):
                continue
            if not entry.written or _is_there(os.path.join(folder, entry.written), entry):
                return entry
    except (OSError, ValueError):  # ValueError: a name that no file system can have
        pass
    return None


def makers(entries: Iterable[Entry], output: str, folder: str) -> list[Entry]:
    """Those entries of which a file is, byte for byte, the output.  output: its path."""
    about = [entry for entry in entries if entry.written and os.path.join(folder, *entry.written.split("/")) == output]
    return [] if os.path.islink(output) else [entry for entry in about if _is_there(output, entry)]


def note_report(path: str, report: str, data: bytes) -> None:
    """Notes in the journal of this path, if there is one, a report that will be written.  OSError, LtokcError."""
    if os.path.exists(path):
        _check(path)
        append_line(path, line_of({"report": _report_name(path, report), "digest": digest_of(data)}))


def made_report(folder: str, report: str) -> bool:
    """Whether a file is, byte for byte, a report that a journal in this folder knows.  OSError, LtokcError."""
    name = _report_name(os.path.join(folder, "journal"), report)
    known = {line.get("digest") for line in _lines(folder) if line.get("report") == name}
    return bool(known) and digest(report) in known


def _report_name(path: str, report: str) -> str:
    """A report as seen from the folder of a journal, whichever folder the program was started in."""
    try:
        return os.path.relpath(report, os.path.dirname(path) or os.curdir)
    except ValueError:  # on another drive
        return os.path.abspath(report)


def _check(path: str) -> None:
    """LtokcError where a journal is a link, which would be followed, or a pipe, which might never end."""
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise LtokcError(f"{path}: is a link or no regular file, which is taken for no journal")


def _is_there(path: str, entry: Entry) -> bool:
    try:
        return os.path.getsize(path) == entry.written_size and digest(path) == entry.written_digest
    except (OSError, ValueError):
        return False


class Journal:
    """The journal of this run: open as a context it is locked, so that two runs never share one.

    `mark`: of this run, in the names of its temporary files; `stale`: the marks of earlier runs, none of which can be
    alive while the lock is ours (empty where there are no locks).  Raises Busy, LtokcError and OSError on entering.
    """

    def __init__(self, folder: str, shard: tuple[int, int] | None = None):
        self.path = os.path.join(folder, name_of(shard))
        self.mark = os.urandom(MARK_BYTES).hex()
        self.stale: set[str] = set()
        self._file: Any = None

    def __enter__(self) -> Journal:
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        _check(self.path)
        self._file = open(self.path, "a+b", buffering=0)
        try:
            locked = lock(self._file)
            self._file.seek(0)
            before = self._file.read()
            for line in parse(before):
                if locked and isinstance(run := line.get("run"), str) and re.fullmatch(r"[0-9a-f]{12}", run):
                    self.stale.add(run)
            # after a kill inside a line, the next one must not be glued to its stump
            stump = b"\n" if before and not before.endswith(b"\n") else b""
            with named(self.path):
                self._file.write(stump + line_of({"run": self.mark}))
        except BlockingIOError:
            self._file.close()
            raise Busy(f"another batch is at work on {os.path.dirname(self.path) or '.'} (see --shard)") from None
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def clean(self, folders: Iterable[str]) -> int:
        """Removes the temporary files that killed runs of this journal left in these folders; how many they were."""
        if not self.stale:
            return 0
        ours = re.compile(rf".*\.({'|'.join(sorted(self.stale))})[0-9a-f]{{12}}\.tmp", re.DOTALL)
        count = 0
        for folder in folders:
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    if ours.fullmatch(name):
                        os.unlink(os.path.join(folder, name))
                        count += 1
        return count


def append(path: str, entry: Entry) -> None:
    """Adds a line by one write, which no other appending process comes between.  OSError, LtokcError."""
    append_line(path, line_of(asdict(entry)))

"""Which output belongs to which input: the path rules of the command line, and reading and writing of `-`.

`photo.png` becomes `photo.ltk` beside it; with a folder (`-d`) the outputs keep their paths below the deepest folder
that holds all inputs, so that a tree is mirrored and never flattened.  No input is ever its own output.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ltokc.atomic import write_atomic
from ltokc.errors import LtokcError, UsageError

STDIO = "-"
LTK = (".ltk",)
PICTURES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".bmp", ".gif",
    ".jp2", ".ico", ".tga",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """An input as it was named, or found below a named folder.  `error`: why it cannot be taken ("" when it can)."""

    path: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output (`-` for the standard streams).  `skip`: the output is there and shall stay."""

    source: str
    target: str
    error: str = ""
    skip: bool = False


def expand(name: str) -> list[str]:
    """What a pattern with * ? [] or ** matches, sorted, hidden names left out; a name that exists is itself."""
    if name == STDIO or os.path.lexists(name) or not glob.has_magic(name):
        return [name]
    return sorted(glob.iglob(name, recursive=True)) or [name]


def fixed_part(pattern: str) -> str:
    """The folder of a pattern before the first part with a wildcard: where its matches are mirrored from."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or os.curdir


def collect(
    inputs: Sequence[str], suffixes: Collection[str], recursive: bool = False, leave_out: str = ""
) -> list[Source]:
    """The files to read, every file once, in the order of the arguments and sorted inside a folder.

    Named files are taken whatever their suffix; below folders (only with `recursive`) those with one of `suffixes`
    (lower case, with the dot), hidden ones left out, and the folder `leave_out`, unless it is named itself.
    UsageError: `-` beside other inputs.
    """
    if STDIO in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) cannot be mixed with other inputs")
    sources: dict[str, Source] = {}
    for name in inputs:
        if name == STDIO or not os.path.isdir(name):
            found: Iterator[Source] = iter([Source(name)])
        elif recursive:
            found = _walk(name, suffixes, leave_out)
        else:
            found = iter([Source(name, "is a folder (-r takes the files in it)")])
        for source in found:
            sources.setdefault(os.path.abspath(source.path), source)
    return list(sources.values())


def _walk(folder: str, suffixes: Collection[str], leave_out: str) -> Iterator[Source]:
    refused: list[Source] = []
    outside = os.path.realpath(leave_out) if leave_out else ""

    def refuse(error: OSError) -> None:
        refused.append(Source(str(error.filename), error.strerror or str(error)))

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if outside:
            folders[:] = [f for f in folders if os.path.realpath(os.path.join(place, f)) != outside]
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                yield Source(os.path.join(place, name))
    yield from refused


def renamed(path: str, suffix: str, known: Collection[str]) -> str:
    """`path` with `suffix`, in place of its own when that is one of `known`: a.png -> a.ltk, a.v2 -> a.v2.ltk."""
    stem, own = os.path.splitext(path)
    return (stem if own.lower() in known else path) + suffix


def plan(
    inputs: Sequence[str],
    *,
    suffix: str,
    takes: Collection[str],
    output: str | None = None,
    directory: str | None = None,
    recursive: bool = False,
    no_clobber: bool = False,
    keep_beside: bool = False,
    patterns: bool = False,
) -> list[Job]:
    """Pairs inputs with outputs; touches nothing.

    `suffix`: of the outputs; `takes`: suffixes of the inputs; `output`, `directory`: -o and -d; `no_clobber`: existing
    outputs are skipped; `keep_beside`: without -o and -d an existing file is an error of its job, not overwritten (so
    that decoding photo.ltk does not replace the original photo.png); `patterns`: inputs may be globs, mirrored from
    their fixed part.  Outputs of an earlier run, below a folder that is walked, are no inputs.
    UsageError: the arguments do not fit together.  What is wrong with one file alone is told in its job's `error`.
    """
    if output is not None and directory is not None:
        raise UsageError("-o and -d exclude each other")
    if directory is not None and STDIO in inputs:
        raise UsageError("standard input has no name for a file in -d; use -o")
    if directory is not None and os.path.exists(directory) and not os.path.isdir(directory):
        raise UsageError(f"-d {directory}: is not a folder")
    if output is not None:
        if len(inputs) > 1 or os.path.isdir(inputs[0]):
            raise UsageError("-o takes one input; for several use -d")
        if output != STDIO and os.path.isdir(output):
            raise UsageError(f"-o {output}: is a folder; use -d")
    roots = [i if os.path.isdir(i) else os.path.dirname(i) for i in inputs]
    if patterns:
        found = [(name, expand(name)) for name in inputs]
        roots = [
            root if match == [name] else fixed_part(name) for root, (name, match) in zip(roots, found, strict=True)
        ]
        inputs = [name for _, match in found for name in match]
    sources = collect(inputs, takes, recursive, directory or "")
    root = _common_root(roots) if directory is not None else ""
    jobs: list[Job] = []
    owners: dict[str, str] = {}
    for source, error in ((s.path, s.error) for s in sources):
        if output is not None:
            target = output
        elif source == STDIO:
            target = STDIO
        elif directory is not None:
            target = renamed(os.path.join(directory, os.path.relpath(os.path.abspath(source), root)), suffix, takes)
        else:
            target = renamed(source, suffix, takes)
        skip = False
        if not error and target != STDIO:
            if same_file(source, target):
                if output is not None:
                    raise UsageError(f"{source}: input and output are the same file")
                error = "input and output are the same file"
            elif (owner := owners.setdefault(os.path.abspath(target), source)) != source:
                error = f"{target} is already the output of {owner}"
            elif os.path.lexists(target):
                skip = no_clobber
                if keep_beside and output is None and directory is None and not skip:
                    error = f"{target} exists; name the output with -o or -d"
        jobs.append(Job(source, target, error, skip))
    return jobs


def _common_root(folders: Sequence[str]) -> str:
    """The deepest folder that holds all these folders."""
    try:
        return os.path.commonpath([os.path.abspath(folder) for folder in folders])
    except ValueError as error:  # several drives
        raise UsageError("-d needs inputs that lie below one folder") from error


def same_file(a: str, b: str) -> bool:
    """Whether both names lead to one file (links followed; files that do not exist are compared by name)."""
    if STDIO in (a, b):
        return False
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.abspath(a) == os.path.abspath(b)


def read(source: str) -> bytes:
    """All bytes of a file or of standard input.  OSError as of `open`; UsageError: standard input is a terminal."""
    if source != STDIO:
        return Path(source).read_bytes()
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; a file or a pipe is needed")
    return sys.stdin.buffer.read()


def write(target: str, data: bytes, mark: str = "") -> None:
    """Writes a file as a whole or not at all, making its folder; or standard output.  OSError, LtokcError.

    `mark`: goes into the name of the temporary file, so that its maker can know it again after being killed.
    """
    if target == STDIO:
        refuse_terminal()
        sys.stdout.flush()
        stream = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)  # unbuffered: nothing is left when it fails
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) or 0 :]
        stream.flush()
        return
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    try:
        write_atomic(target, data, mark)
    except LtokcError as error:
        raise LtokcError(f"{target}: {error}") from error


def refuse_terminal() -> None:
    """UsageError when standard output is a terminal, which binary data would upset."""
    if sys.stdout.isatty():
        raise UsageError("binary data is not written to a terminal; use -o FILE or a pipe")

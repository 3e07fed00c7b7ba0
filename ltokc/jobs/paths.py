"""Which output belongs to which input: the path rules of the command line.

`photo.png` becomes `photo.ltk` beside it; with a folder (`-d`) the outputs keep their paths below the deepest folder
that holds all inputs, so that a tree is mirrored and never flattened.  No input is ever its own output.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ltokc.errors import UsageError
from ltokc.jobs.streams import STDIO

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
class OutputRule:
    """How outputs are named.

    suffix: of the outputs; takes: suffixes of the inputs (lower case, with the dot).  output, directory: -o and -d.
    recursive: take what lies in folders; patterns: inputs may be globs, mirrored from their fixed part.
    no_clobber: outputs that exist are skipped.  keep_beside: without -o and -d an output that exists is an error of its
    job, so that decoding photo.ltk does not replace the original photo.png.
    """

    suffix: str
    takes: Collection[str]
    output: str | None = None
    directory: str | None = None
    recursive: bool = False
    patterns: bool = False
    no_clobber: bool = False
    keep_beside: bool = False


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


def plan(inputs: Sequence[str], rule: OutputRule) -> list[Job]:
    """Pairs inputs with outputs; touches nothing.

    Outputs of an earlier run, below a folder that is walked, are no inputs.
    UsageError: the arguments do not fit together.  What is wrong with one file alone is told in its job's `error`.
    """
    _check(inputs, rule)
    roots = [i if os.path.isdir(i) else os.path.dirname(i) for i in inputs]
    if rule.patterns:
        found = [(name, expand(name)) for name in inputs]
        roots = [
            root if match == [name] else fixed_part(name) for root, (name, match) in zip(roots, found, strict=True)
        ]
        inputs = [name for _, match in found for name in match]
    sources = collect(inputs, rule.takes, rule.recursive, rule.directory or "")
    root = _common_root(roots) if rule.directory is not None else ""
    owners: dict[str, str] = {}
    return [_job(source, _target(source.path, rule, root), rule, owners) for source in sources]


def _check(inputs: Sequence[str], rule: OutputRule) -> None:
    """UsageError: -o and -d do not fit each other or the inputs."""
    output, directory = rule.output, rule.directory
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


def _target(source: str, rule: OutputRule, root: str) -> str:
    """The output of an input; root: folder from which inputs are mirrored to -d."""
    if rule.output is not None:
        return rule.output
    if source == STDIO:
        return STDIO
    if rule.directory is not None:
        source = os.path.join(rule.directory, os.path.relpath(os.path.abspath(source), root))
    return renamed(source, rule.suffix, rule.takes)


def _job(source: Source, target: str, rule: OutputRule, owners: dict[str, str]) -> Job:
    """The job of one input; owners: which input has an output, to which this one is added."""
    path = source.path
    if source.error or target == STDIO:
        return Job(path, target, source.error)
    if same_file(path, target):
        if rule.output is not None:
            raise UsageError(f"{path}: input and output are the same file")
        return Job(path, target, "input and output are the same file")
    if (owner := owners.setdefault(os.path.abspath(target), path)) != path:
        return Job(path, target, f"{target} is already the output of {owner}")
    if not os.path.lexists(target):
        return Job(path, target)
    if rule.keep_beside and rule.output is None and rule.directory is None and not rule.no_clobber:
        return Job(path, target, f"{target} exists; name the output with -o or -d")
    return Job(path, target, skip=rule.no_clobber)


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

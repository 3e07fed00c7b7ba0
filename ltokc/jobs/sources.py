"""The files that a command reads: those it names, and those in the folders that it names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ltokc.errors import UsageError
from ltokc.jobs.kinds import LTK, Kind
from ltokc.jobs.left_out import BELOW, DONE, LINKED, ODD, OTHER, LeftOut, excluding_named
from ltokc.jobs.streams import STDIO


@dataclass(frozen=True, slots=True)
class Source:
    """An input as it was named, or found below a named folder.

    `error`: why it cannot be taken ("" when it can); `root`: the named folder that it was found in, or the folder of a
    named file.
    """

    path: str
    error: str = ""
    root: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """What is taken of named folders: files of a kind.

    recursive: also in their folders; own: in the named ones alone.  exclude: patterns of names and paths that are left
    out.  outside: a folder that is not walked, unless it is named itself.
    """

    kind: Kind
    recursive: bool = False
    own: bool = False
    exclude: tuple[str, ...] = ()
    outside: str = ""


def collect(inputs: Sequence[str], walk: Walk, left_out: LeftOut | None = None) -> list[Source]:
    """The files to read, every file once, in the order of the arguments and sorted inside a folder.

    Named files are taken whatever they are, unless they are excluded; in folders those of the kind, by their suffix or
    else by their first bytes, hidden ones and what a system keeps for itself left out.  `left_out` is told of all that
    is not taken.  Devices, pipes and sockets are taken where they are named, and left out in folders.
    UsageError: `-` beside other inputs.
    """
    if STDIO in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) cannot be mixed with other inputs")
    left_out = LeftOut() if left_out is None else left_out
    left_out.kinds = walk.kind.name
    left_out.ask(walk.exclude)
    sources: dict[str, Source] = {}
    for name in inputs:
        if name != STDIO and left_out.excludes(name, excluding_named(name, walk.exclude)):
            continue
        if name == STDIO or not os.path.isdir(name):
            found: Iterator[Source] = iter([Source(name, root=os.path.dirname(name))])
        elif walk.recursive or walk.own:
            found = _walked(name, walk, left_out)
        else:
            found = iter([Source(name, "is a folder (-r takes the files in it)")])
        for source in found:
            sources.setdefault(os.path.abspath(source.path), source)
    return list(sources.values())


def _walked(folder: str, walk: Walk, left_out: LeftOut) -> Iterator[Source]:
    refused: list[Source] = []
    outside = os.path.realpath(walk.outside) if walk.outside else ""

    def refuse(error: OSError) -> None:
        refused.append(Source(str(error.filename), error.strerror or str(error)))

    for place, folders, names in os.walk(folder, onerror=refuse):
        below = [os.path.join(place, name) for name in sorted(folders)]
        below = [path for path in below if not left_out.passes_over(path, folder, walk.exclude)]
        if outside:
            below = [path for path in below if os.path.realpath(path) != outside]
        for path in below:
            if os.path.islink(path):
                left_out.add(LINKED, path)
            elif not walk.recursive:
                left_out.add(BELOW, path)
        folders[:] = [os.path.basename(path) for path in below if walk.recursive]
        for name in sorted(names):
            path = os.path.join(place, name)
            if not left_out.passes_over(path, folder, walk.exclude) and (source := _of_kind(path, walk.kind, left_out)):
                yield replace(source, root=folder)
    yield from refused


def _of_kind(path: str, kind: Kind, left_out: LeftOut) -> Source | None:
    """A file that was found, None where it is of another kind."""
    own_suffix = os.path.splitext(path)[1].lower()
    if is_odd(path):
        left_out.add(ODD, path)
        return None
    if own_suffix not in kind and own_suffix in LTK:
        left_out.add(DONE, path)
        return None
    try:
        if kind.holds(path):
            return Source(path)
    except FileNotFoundError:  # a link that leads nowhere
        pass
    except OSError as error:
        return Source(path, error.strerror or str(error))
    left_out.add(OTHER, path)
    return None


def is_odd(path: str) -> bool:
    """Whether a path leads to a device, a pipe or a socket, which are taken where they are named, but not found."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # whoever reads it will say why
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))

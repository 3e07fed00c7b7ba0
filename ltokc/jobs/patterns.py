"""Patterns of names, such as 'in/**/*.jpg': what they match, without following links to folders where ** goes down."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable, Collection, Iterator, Sequence

from ltokc.jobs.left_out import EXCLUDED, LINKED, LeftOut, excluding
from ltokc.jobs.streams import STDIO

ANY_DEPTH = "**"


def expand(name: str, exclude: Collection[str] = (), left_out: LeftOut | None = None) -> list[str]:
    """What a pattern with * ? [] or ** matches, sorted, hidden names left out; a name that exists is itself.

    ** stands for folders at any depth, as -r takes them: no links, none that is hidden or a system's own.  exclude: see
    `ltokc.jobs.left_out.excluding`; `left_out` is told of what is not taken.
    """
    if name == STDIO or os.path.lexists(name) or not glob.has_magic(name):
        return [name]
    left_out = LeftOut() if left_out is None else left_out
    left_out.ask(exclude)
    folder = _fixed(name)

    def passed_over(path: str) -> bool:
        return left_out.passes_over(path, folder, exclude)

    found = []
    for path in sorted(dict.fromkeys(_matches(folder, _parts(name[len(folder) :]), passed_over, left_out))):
        if not left_out.excludes(path, excluding(path, folder, exclude)):
            found.append(path)
    return found or ([] if EXCLUDED in left_out.paths else [name])


def fixed_part(pattern: str) -> str:
    """The folder of a pattern before the first part with a wildcard: where its matches are mirrored from."""
    return _fixed(pattern) or os.curdir


def _fixed(pattern: str) -> str:
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _parts(path: str) -> list[str]:
    return [part for part in path.replace(os.altsep or os.sep, os.sep).split(os.sep) if part]


def _matches(
    folder: str, parts: Sequence[str], passed_over: Callable[[str], bool], left_out: LeftOut
) -> Iterator[str]:  # fmt: skip
    """Paths below a folder ("" for the current one) that the parts of a pattern match."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == ANY_DEPTH:
        if rest:
            yield from _matches(folder, rest, passed_over, left_out)
        for name in _names(folder):
            path = os.path.join(folder, name)
            inside = os.path.isdir(path)
            if not (inside or not rest) or passed_over(path):
                continue
            if not inside:
                yield path
            elif os.path.islink(path):
                left_out.add(LINKED, path)
            else:
                yield from _matches(path, parts, passed_over, left_out)
        return
    if not glob.has_magic(part):
        path = os.path.join(folder, part)
        if os.path.isdir(path) if rest else os.path.lexists(path):
            yield from _matches(path, rest, passed_over, left_out)
        return
    for name in _names(folder):
        path = os.path.join(folder, name)
        if not fnmatch.fnmatch(name, part) or (rest and not os.path.isdir(path)):
            continue
        if part.startswith(".") or not passed_over(path):
            yield from _matches(path, rest, passed_over, left_out)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or os.curdir))
    except OSError:  # no folder, or one that may not be read: whoever names its files will be told
        return []

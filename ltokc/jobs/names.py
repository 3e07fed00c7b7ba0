"""Which names lead to one file: a file system may fold case (FAT, NTFS, APFS, SMB) or Unicode forms (APFS, HFS+).

Only the file system can say.  `key` gives equal keys to all names that some file system might take for one; only where
two names share a key the folder is asked (`same_name`).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

from ltokc.jobs.streams import STDIO

PREFIX = ".ltokc-names-"  # of the folders that ask; each is gone at once


def key(name: str) -> str:
    """Equal for names that differ in case, in Unicode form or in invisible characters only."""
    for _ in range(2):  # the capital of a letter may come apart, and its parts have small letters again
        name = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).upper().casefold())
    return "".join(c for c in name if unicodedata.category(c) != "Cf")


def same_name(a: str, b: str) -> bool:
    """Whether two paths that may not exist yet would be one file.

    Asks by a file in a temporary folder, in the nearest folder above both that exists.  Where none can be made there
    they count as one: a run that stops is better than one that loses a file.
    """
    a, b = os.path.abspath(a), os.path.abspath(b)
    if a == b:
        return True
    try:
        above = os.path.commonpath([a, b])
    except ValueError:  # two drives
        return False
    place = above
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    try:
        import tempfile  # takes a tenth of the time that `ltokc info` needs to start

        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as folder:
            one, other = (os.path.join(folder, os.path.relpath(path, above)) for path in (a, b))
            os.makedirs(os.path.dirname(one), exist_ok=True)
            with open(one, "xb"):
                return os.path.lexists(other)
    except OSError:
        return True


def same_file(a: str, b: str) -> bool:
    """Whether both names lead to one file (links followed; files that do not exist are compared by name)."""
    if STDIO in (a, b):
        return False
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.abspath(a) == os.path.abspath(b)


class Taken:
    """The files of a run: its inputs, and its outputs as the folders that they lie in compare names.

    asked: whether two paths would be one file, such as `same_name`.
    """

    def __init__(self, sources: Iterable[str], asked: Callable[[str, str], bool]):
        self.asked = asked
        self.inputs: dict[str, list[str]] = {}  # by `key`
        self.outputs: dict[str, list[tuple[str, str]]] = {}  # likewise: path, input that it is the output of
        self.real_folder = cache(os.path.realpath)
        for source in sources:
            self.inputs.setdefault(key(self._real(source)), []).append(source)

    def _real(self, path: str) -> str:
        """The path without links among its folders."""
        folder, name = os.path.split(path)
        return os.path.join(self.real_folder(folder or os.curdir), name)

    def is_input(self, path: str) -> bool:
        return any(same_file(path, name) for name in self.inputs.get(key(self._real(path)), ()))

    def owner(self, path: str, source: str) -> str:
        """The input whose output this file is: `source`, unless another had it before."""
        real = self._real(path)
        others = self.outputs.setdefault(key(real), [])
        for other, owner in others:
            if other == real or self.asked(other, real):
                return owner
        others.append((real, source))
        return source

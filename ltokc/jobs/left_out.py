"""What lies in named folders and is not taken: counted and named, since a picture that is passed over may be missed."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

OTHER, EXCLUDED, SYSTEM, HIDDEN = "other", "excluded", "system", "hidden"
LINKED, BELOW, DONE, ODD = "linked", "below", "done", "odd"
NAMED = 6  # files that are named one by one; of more than that their suffixes are counted

SYSTEM_NAMES = (  # lower case, as patterns
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", ".@__thumb", ".@upload_cache",  # NAS
    "__macosx", "._*", ".ds_store", ".trash", ".trash-*", ".trashes", ".spotlight-v100", ".fseventsd",
    "$recycle.bin", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found",
    "*@synoeastream", "*@synoresource",
)  # fmt: skip
SETTINGS = ("._*", ".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini")  # files about a folder, of a system
OWN = ".ltokc-*"  # journals of batches


def is_system(name: str) -> bool:
    """Whether a NAS or an operating system made a file or folder of this name for itself."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in SYSTEM_NAMES)


def excluding(path: str, root: str, patterns: Collection[str]) -> set[str]:
    """The patterns of --exclude that name a path, as it is seen from `root`, the folder that was named.

    A pattern without "/" is compared with each part, one with "/" with the path down to each part, so that all in a
    folder goes with it; case does not count.  A pattern may also begin with `root` as it was typed, which is what a
    shell completes.
    """
    parts = _parts(os.path.relpath(path, root or os.curdir))
    ways = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    found = set()
    for pattern in patterns:
        wanted = pattern.lower().replace(os.sep, "/").removeprefix("./").rstrip("/")
        against = ways if "/" in wanted else parts
        typed = _below_root(wanted, root)
        if any(fnmatch.fnmatchcase(each, wanted.removeprefix("/")) for each in against) or (
            typed and any(fnmatch.fnmatchcase(way, typed) for way in ways)
        ):
            found.add(pattern)
    return found


def excluding_named(name: str, patterns: Collection[str]) -> set[str]:
    """The patterns of --exclude that name an input: its own name, or it or a folder on its way as they were typed."""
    name = name.rstrip("/").rstrip(os.sep) or name
    parts = _parts(name)
    found = excluding(name, os.path.dirname(name), patterns)
    typed = [p for p in patterns if "/" in p.replace(os.sep, "/") and p.startswith("/") <= os.path.isabs(name)]
    return found | {p for p in typed if (wanted := _parts(p)) and parts[: len(wanted)] == wanted}


def _parts(path: str) -> list[str]:
    return [part for part in path.replace(os.sep, "/").lower().split("/") if part not in ("", ".")]


def _below_root(pattern: str, root: str) -> str:
    """What follows in a pattern that begins with `root`, "" where it does not."""
    wanted, typed = _parts(pattern), _parts(root)
    begins = typed and wanted[: len(typed)] == typed and pattern.startswith("/") <= os.path.isabs(root)
    return "/".join(wanted[len(typed) :]) if begins else ""


@dataclass
class LeftOut:
    """Paths that a run has not taken, by the reason.

    kinds: what the run takes, one and several of them.
    OTHER: of another kind; EXCLUDED: by --exclude; SYSTEM: made by a NAS or an operating system for itself; HIDDEN:
    names with a dot before; LINKED: folders that are links; BELOW: folders in folders without -r; DONE: .ltk files
    where pictures are encoded; ODD: devices, pipes and sockets.
    """

    kinds: tuple[str, str] = ("picture", "pictures")
    paths: dict[str, dict[str, None]] = field(default_factory=dict)  # by reason, each once, in order
    patterns: dict[str, bool] = field(default_factory=dict)  # of --exclude: whether they matched something

    def add(self, reason: str, path: str) -> None:
        self.paths.setdefault(reason, {})[path] = None

    def ask(self, patterns: Collection[str]) -> None:
        """These patterns will be looked for."""
        for pattern in patterns:
            self.patterns.setdefault(pattern, False)

    def excludes(self, path: str, patterns: Collection[str]) -> bool:
        """Leaves a path out that some of these patterns name; whether there are any."""
        self.patterns |= dict.fromkeys(patterns, True)
        if patterns:
            self.add(EXCLUDED, path)
        return bool(patterns)

    def idle(self) -> list[str]:
        """The patterns of --exclude that matched nothing."""
        return [pattern for pattern, matched in self.patterns.items() if not matched]

    def passes_over(self, path: str, root: str, exclude: Collection[str]) -> bool:
        """Leaves a file or folder out that its name or `exclude` says so of, seen from `root`; whether it did."""
        name = os.path.basename(path)
        if fnmatch.fnmatchcase(name, OWN):
            return True
        if self.excludes(path, excluding(path, root, exclude)):
            return True
        if is_system(name):
            self.add(SYSTEM, path)
        elif name.startswith("."):
            self.add(HIDDEN, path)
        else:
            return False
        return True

    def __len__(self) -> int:
        return sum(map(len, self.paths.values()))

    def unasked(self) -> Sequence[str]:
        """Files and folders that nobody asked to leave out: what makes a copy incomplete.

        Not a system's own settings, which lie in every folder that it has shown and hold no picture.
        """
        paths = [path for reason, paths in self.paths.items() if reason != EXCLUDED for path in paths]
        return [path for path in paths if not _is_setting(path)]

    def text(self) -> str:
        """One line that counts and names them, "" where there are none."""
        told = []
        for reason, one, many in (
            (OTHER, f"1 file that is no {self.kinds[0]}", f"files that are no {self.kinds[1]}"),
            (DONE, "1 .ltk file", ".ltk files"),
            (ODD, "1 that is no regular file", "that are no regular files"),
            (EXCLUDED, "1 by --exclude", "by --exclude"),
            (BELOW, "1 folder (-r takes it too)", "folders (-r takes them too)"),
            (LINKED, "1 folder that is a link", "folders that are links"),
            (SYSTEM, "1 of a NAS or an operating system", "of a NAS or an operating system"),
            (HIDDEN, "1 hidden", "hidden"),
        ):
            if paths := self.paths.get(reason):
                count = one if len(paths) == 1 else f"{len(paths):,} {many}"
                told.append(count if reason == DONE else f"{count}: {_names(reason, list(paths))}")
        return "left out: " + "; ".join(told) if told else ""


def _is_setting(path: str) -> bool:
    name = os.path.basename(path).lower()
    return os.path.isfile(path) and any(fnmatch.fnmatchcase(name, pattern) for pattern in SETTINGS)


def _names(reason: str, paths: Sequence[str]) -> str:
    """The paths, or of many how often each suffix or, of a system's own, each name is there."""
    if reason != SYSTEM and len(paths) <= NAMED:
        return ", ".join(paths)
    names = [os.path.basename(path) for path in paths]
    if reason != SYSTEM:
        names = [os.path.splitext(name)[1].lower() or "without a suffix" for name in names]
    counts = Counter("._*" if name.startswith("._") else name for name in names).most_common()
    told = [name if count == 1 else f"{count:,} {name}" for name, count in counts[:NAMED]]
    rest = sum(count for _, count in counts[NAMED:])
    hint = " (-v names them)" if reason not in (EXCLUDED, SYSTEM) else ""
    return ", ".join(told) + (f" and {rest:,} more" if rest else "") + hint

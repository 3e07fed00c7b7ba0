"""Graphs that OpenVINO has compiled, kept on disk: to read one takes a quarter of the time of compiling it.

They lie in the user's cache folder, or in the folder that LTOKC_CACHE names; "off" keeps none.  A blob's name is a hash
of all that it depends on, and its first bytes are the SHA-256 of the rest.  Blobs are written whole or not at all, so
that any number of processes may write.  One that cannot be read or is damaged counts as absent; one that cannot be
written is left out.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import sys
import time
from pathlib import Path

from ltokc.atomic import write_atomic
from ltokc.errors import LtokcError

VARIABLE = "LTOKC_CACHE"
OFF = ("off", "0", "no")
MOST_BYTES = 256 << 20  # of all blobs; those that were not used for longest go first
SUFFIX = ".blob"
LEFT_BEHIND = 3600  # seconds, after which a temporary file has no writer any more
DIGEST = hashlib.sha256().digest_size


def key_of(*parts: str | bytes) -> str:
    """A name for what depends on these parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:40]


def cache_folder() -> Path | None:
    """Where blobs are kept, existing or not; None: nowhere."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named.lower() in OFF else Path(named)
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA", "")
        elif sys.platform == "darwin":
            base = str(Path.home() / "Library" / "Caches")
        else:
            base = os.environ.get("XDG_CACHE_HOME", "")
            base = base if os.path.isabs(base) else str(Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return Path(base) / "ltokc" if base else None


def read(key: str) -> memoryview | None:
    """The blob of a key, if there is a whole one that only this user can have written; its bytes may be changed.

    It is mapped, not copied: a blob is never written over, only replaced or removed, which a mapping outlives.
    """
    folder = cache_folder()
    if not key or folder is None or not _is_ours(folder):
        return None
    path = folder / f"{key}{SUFFIX}"
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        os.utime(path)
    except (OSError, ValueError):  # ValueError: it is empty
        return None
    blob = data[DIGEST:]
    return blob if hashlib.sha256(blob).digest() == data[:DIGEST] else None


def write(key: str, blob: bytes) -> None:
    """Keeps a blob, and removes the oldest ones beyond `MOST_BYTES`."""
    folder = cache_folder()
    if folder is None or len(blob) > MOST_BYTES:
        return
    with contextlib.suppress(OSError, LtokcError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(folder):
            write_atomic(folder / f"{key}{SUFFIX}", hashlib.sha256(blob).digest() + blob)
            _remove_oldest(folder)


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can write into a folder (POSIX; elsewhere a user's folders are their own)."""
    try:
        about = folder.stat()
    except OSError:
        return False
    return not hasattr(os, "geteuid") or (about.st_uid == os.geteuid() and not about.st_mode & 0o022)


def _remove_oldest(folder: Path) -> None:
    found, now = [], time.time()
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            about = path.stat()
            if path.suffix == SUFFIX:
                found.append((about.st_mtime, about.st_size, path))
            elif path.suffix == ".tmp" and now - about.st_mtime > LEFT_BEHIND:
                path.unlink()
    left = MOST_BYTES
    for _, size, path in sorted(found, reverse=True):
        left -= size
        if left < 0:
            with contextlib.suppress(OSError):
                path.unlink()

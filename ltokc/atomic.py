"""Files that are written whole or not at all: a temporary file beside the final one takes its name at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ltokc.errors import LtokcError, Unwritable

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # of a disk, or of a share of it


@dataclass(frozen=True, slots=True)
class Placement:
    """How a file takes its place.

    overwrite: a file that is there may be replaced.  within: a folder below which no symbolic link is followed, the
    file's own name included; None: links are followed.  like: a file whose permissions a new file does not exceed;
    keep_times: and whose times it gets.  mark: goes into the name of the temporary file, see `replacing`.
    """

    overwrite: bool = True
    within: str | None = None
    like: str | None = None
    keep_times: bool = False
    mark: str = ""


ANYWHERE = Placement()


class Exists(LtokcError):
    """There is a file already, and it may not be replaced."""


def write_atomic(path: str | os.PathLike[str], data: bytes, placement: Placement = ANYWHERE) -> None:
    """Writes a file whole or not at all.

    A file that is replaced hands on its permissions; a new one has those of the umask, less what the file that it is
    made from does not give (`Placement.like`).  A link that is followed stays, its target is replaced.  A named device
    or pipe is written directly.  A file that may not be written is not replaced.  Raises Exists, LtokcError.
    """
    try:
        if placement.within is None and _is_stream(path):
            _write_into(path, data)
            return
        final = _final(os.fspath(path), placement)
        old = os.lstat(final) if os.path.lexists(final) else None
        if old is not None and not stat.S_ISREG(old.st_mode):
            if placement.within is not None and not stat.S_ISDIR(old.st_mode):
                raise LtokcError("is no regular file")
            _write_into(final, data)
            return
        if old is not None and not placement.overwrite:
            raise Exists("exists, and is not replaced")
        if old is not None and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with replacing(final, placement.mark, overwrite=placement.overwrite) as temporary:
            _write(temporary, data, old, placement)
    except FileExistsError as error:
        raise Exists("exists by now, and is not replaced") from error
    except OSError as error:
        kind = Unwritable if error.errno in FULL else LtokcError
        raise kind(f"cannot be written ({(error.strerror or str(error)).lower()})") from error


def why_unwritable(path: str) -> str:
    """Why a file cannot be written under this name, as far as that can be told before; "" where nothing says so.

    Links are followed, and folders that are missing could be made.
    """
    if os.path.isdir(path):
        return "is a folder, not a file"
    if _is_stream(path):
        return ""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return "permission denied"
    place = os.path.dirname(path)
    while not os.path.lexists(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        return f"{place} is no folder"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"folder {place}: permission denied"


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a name leads to a device or pipe; that of a shell's `>(...)` is a link to nothing that has a name."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_into(path: str | os.PathLike[str], data: bytes) -> None:
    with open(path, "wb") as device:
        device.write(data)


def _final(path: str, placement: Placement) -> str:
    """The name that is written in the end.  Raises LtokcError where a link is on the way that may not be followed."""
    if placement.within is None:
        return os.path.realpath(path)
    if link := link_below(path, placement.within):
        raise LtokcError(f"{link} is a link, and only -o follows links")
    return path


def link_below(path: str, folder: str) -> str:
    """The first part of `path` below `folder` that is a symbolic link (or junction); "" if there is none."""
    place = folder
    for part in os.path.relpath(os.path.abspath(path), os.path.abspath(folder)).split(os.sep):
        place = os.path.join(place, part)
        if os.path.islink(place) or _is_junction(place):
            return place
    return ""


def _is_junction(path: str) -> bool:
    return bool(getattr(os.path, "isjunction", lambda _: False)(path))  # from Python 3.12 on, of Windows


def _write(temporary: str, data: bytes, old: os.stat_result | None, placement: Placement) -> None:
    """Writes the temporary file, with the permissions and times that the final one shall have."""
    like = None
    if placement.like is not None:
        with contextlib.suppress(OSError):  # it is gone by now
            found = os.stat(placement.like)
            like = found if stat.S_ISREG(found.st_mode) else None  # a pipe's are the shell's
    mode = 0o600 if old is not None else 0o666 & (readers(like.st_mode) if like is not None else 0o777)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
        if old is not None:
            _hand_on(temporary, old)
        file.write(data)
    if placement.keep_times and like is not None:
        os.utime(temporary, ns=(like.st_atime_ns, like.st_mtime_ns))


def with_times(path: str, placement: Placement) -> None:
    """Gives a file that is there already the times that it would get if it were written.  OSError."""
    if placement.keep_times and placement.like is not None:
        like = os.stat(placement.like)
        if os.stat(path).st_mtime_ns != like.st_mtime_ns:
            os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def readers(mode: int) -> int:
    """Permissions for no one but those who may read a file of this mode, and its owner."""
    return 0o700 | sum(7 << shift for shift in (3, 0) if mode >> shift & 4)


def _hand_on(path: str, old: os.stat_result) -> None:
    """Gives a file the owner, where that is allowed, and the permissions of the one that it replaces."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if hasattr(os, "chown"):
        new = os.stat(path)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            try:
                os.chown(path, old.st_uid, old.st_gid)
            except OSError:  # another group must not get what this one had
                mode &= ~0o070 | (mode & 7) << 3
    os.chmod(path, mode)


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], mark: str = "", shared: bool = True, overwrite: bool = True
) -> Iterator[str]:
    """The name of a temporary file beside `path`, to be written inside; at the end it takes the place of `path`.

    Whatever goes wrong (also KeyboardInterrupt), `path` stays as it was and no temporary file stays behind, except
    after a kill: then one whose name ends in `mark`, 12 hexadecimal digits and .tmp.  shared: others may write the
    same file at the same time; if not, the name has no digits, and what a kill left is written over.  overwrite: where
    not, a `path` that exists at the end is an error.  Raises OSError (FileExistsError).
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f".{name[:48]}.{mark}{os.urandom(6).hex() if shared else ''}.tmp")
    try:
        yield temporary
        os.replace(temporary, path) if overwrite else _move(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _move(temporary: str, path: str | os.PathLike[str]) -> None:
    """Gives a file a name that no other has, in one step where the file system has hard links.  FileExistsError."""
    if os.name == "nt":
        os.rename(temporary, path)  # refuses by itself
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # FAT, some network file systems, some sandboxes
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)

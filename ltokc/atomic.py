"""Files that are written whole or not at all: a temporary file beside the final one takes its name at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from ltokc.errors import LtokcError


def write_atomic(path: str | os.PathLike[str], data: bytes, mark: str = "") -> None:
    """Writes a file whole or not at all; its mode is the umask's.

    A symbolic link stays and its target is replaced.  A device or pipe is written directly.  A file that may not be
    written is not replaced either.  `mark`: see `replacing`.  Raises LtokcError.
    """
    final = os.path.realpath(path)
    try:
        if os.path.exists(final) and not stat.S_ISREG(os.stat(final).st_mode):
            with open(final, "wb") as device:
                device.write(data)
            return
        if os.path.exists(final) and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with replacing(final, mark) as temporary, open(temporary, "xb") as file:
            file.write(data)
    except OSError as error:
        raise LtokcError(f"cannot be written ({(error.strerror or str(error)).lower()})") from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mark: str = "", shared: bool = True) -> Iterator[str]:
    """The name of a temporary file beside `path`, to be written inside; at the end it takes the place of `path`.

    Whatever goes wrong (also KeyboardInterrupt), `path` stays as it was and no temporary file stays behind, except
    after a kill: then one whose name ends in `mark`, 12 hexadecimal digits and .tmp.  shared: others may write the
    same file at the same time; if not, the name has no digits, and what a kill left is written over.  Raises OSError.
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f".{name[:48]}.{mark}{os.urandom(6).hex() if shared else ''}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise

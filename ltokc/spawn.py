"""Other programs and other Python processes, started so that nothing beside the user's pictures runs.

A folder of pictures may hold anything, also a `pickle.py` or a program named like one that ltokc calls.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def safe_path() -> Iterator[None]:
    """Python processes that are started inside do not look for modules in the current folder.

    `python -c`, by which multiprocessing starts its processes, puts that folder first of `sys.path`.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def find_program(name: str) -> str | None:
    """The absolute path of a program; None where it is only in the current folder, or nowhere.

    Parts of PATH that are empty or relative mean the current folder, or one below it, and are left out; Windows looks
    there even if PATH does not name it.
    """
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return found if found is not None and os.path.isabs(found) else None

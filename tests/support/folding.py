"""A folder whose file system folds the case of names."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMED = "LTOKC_TEST_FOLDING"  # an environment variable: a folder on such a file system


@contextmanager
def folding_folder(place: Path) -> Iterator[Path]:
    """The folder that is named, or a small NTFS image mounted at `place` by lowntfs-3g, or the test is skipped."""
    if NAMED in os.environ:
        folder = Path(os.environ[NAMED]) / f"ltokc-{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
        return
    if not (shutil.which("lowntfs-3g") and shutil.which("mkntfs") and os.access("/dev/fuse", os.W_OK)):
        pytest.skip(f"no file system that folds case: set {NAMED}, or install ntfs-3g (needs /dev/fuse)")
    image = place.with_suffix(".img")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkntfs", "-Q", "-q", "-F", image], check=True, capture_output=True)
    mounted = subprocess.run(["lowntfs-3g", "-o", "ignore_case", image, place], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("lowntfs-3g may not mount here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)

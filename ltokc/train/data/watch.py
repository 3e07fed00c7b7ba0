"""A folder of shards that is watched while a run goes on: what arrives is decoded beside it."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

from ltokc.errors import ModelError
from ltokc.train.data.pictures import build_cache

EVERY = 1.0  # seconds between looks


def arrived(folder: Path) -> list[Path]:
    """The whole .tar files of a folder by name: one that is still being written has no end of archive yet."""
    return [shard for shard in sorted(folder.glob("*.tar")) if _whole(shard)]


def _whole(shard: Path) -> bool:
    """Whether a tar file ends in the two empty blocks that close an archive."""
    try:
        with open(shard, "rb") as f:
            f.seek(-2 * tarfile.BLOCKSIZE, 2)
            return not any(f.read())
    except OSError:
        return False


class Watch:
    """Appends the shards that come into a folder to a cache, in a thread of its own, until it is closed.

    taken: those that the cache has, in its order.  `check` raises what went wrong with a shard.
    """

    def __init__(self, folder: Path, cache: Path, taken: list[Path], every: float = EVERY):
        self.folder, self.cache, self.taken, self.every = folder, cache, list(taken), every
        self.error: ModelError | None = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def check(self) -> None:
        """Raises ModelError if a shard that came was not one."""
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        while not self.over.wait(self.every):
            try:
                for shard in arrived(self.folder):
                    if shard.name not in {each.name for each in self.taken}:
                        build_cache([*self.taken, shard], self.cache)
                        self.taken.append(shard)
            except ModelError as error:
                self.error = error
                return

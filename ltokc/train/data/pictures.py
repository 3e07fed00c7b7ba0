"""Training pictures: tar shards decoded once into one flat uint8 array.

The cache (`pictures.bin`, `index.npy`, `shards.json` in one folder) is memory-mapped, so that several runs share it.
Shards are appended to it one by one, and those that use it see them when they look again (`Pictures.refresh`).
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ltokc.atomic import write_atomic
from ltokc.errors import ModelError
from ltokc.pictures.formats import FORMATS

SUFFIXES = (".webp", ".avif", ".png", ".jpg", ".jpeg")  # of what is taken for a picture, in lower case
KIND = re.compile(r"\d+-([a-z]+)-")  # names such as 00012-photo-source-hash.avif say of what kind the picture is
OTHER = "other"
BIN, INDEX, MARKER = "pictures.bin", "index.npy", "shards.json"


def decoded(shard: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(kind, (H, W, 3) uint8) of every file of a shard.  Raises ModelError for one that is no picture.

    A shard of which only a part is taken would train another model than the one that is asked for.
    """
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.isdir():
                    continue
                data = tar.extractfile(member) if member.isfile() else None
                if data is None or not member.name.lower().endswith(SUFFIXES):
                    raise ModelError(f"{shard.name}: {member.name} is no picture ({', '.join(SUFFIXES)})")
                try:
                    picture = np.asarray(Image.open(io.BytesIO(data.read()), formats=FORMATS).convert("RGB"))
                except (OSError, ValueError, SyntaxError) as error:
                    raise ModelError(f"{shard.name}: {member.name} cannot be decoded ({error})") from error
                named = KIND.match(Path(member.name).name)
                yield named[1] if named else OTHER, picture
    except (tarfile.TarError, OSError) as error:
        raise ModelError(f"{shard.name} cannot be read ({error})") from error


def build_cache(shards: list[Path], folder: Path) -> None:
    """Decodes the shards that the cache lacks; one that has others than these is built anew.

    Index and list of shards come last: what a broken run appended is written over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = _done(folder)
    if [item["name"] for item in done] != [shard.name for shard in shards][: len(done)]:
        done = []
    rows = [tuple(row) for row in np.load(folder / INDEX)] if done else []
    offset = sum(int(h) * int(w) * 3 for _, h, w in rows)
    for shard in shards[len(done) :]:
        kinds: Counter[str] = Counter()
        with open(folder / BIN, "r+b" if (folder / BIN).exists() else "w+b") as out:
            out.truncate(offset)
            out.seek(offset)
            for kind, picture in decoded(shard):
                out.write(picture.tobytes())
                rows.append((offset, *picture.shape[:2]))
                offset += picture.size
                kinds[kind] += 1
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(rows, np.int64).reshape(-1, 3))
        write_atomic(folder / INDEX, buffer.getvalue())
        done = [*done, {"name": shard.name, "kinds": dict(kinds)}]
        write_atomic(folder / MARKER, json.dumps(done).encode())


def _done(folder: Path) -> list[dict[str, Any]]:
    """What is in a cache: of each shard its name and how many pictures of each kind it has."""
    try:
        found = json.loads((folder / MARKER).read_text())
        return found if all({"name", "kinds"} <= set(item) for item in found) else []
    except (OSError, ValueError, TypeError):
        return []


class Pictures:
    """Random access to the decoded pictures of some shards.  `held_out`: the last so many pictures are kept aside.

    Raises ModelError for a shard that has something else than pictures.
    """

    def __init__(self, shards: list[Path], cache: Path, held_out: int = 0):
        self.folder, self.aside = cache, held_out
        if [item["name"] for item in _done(cache)] != [shard.name for shard in shards]:
            build_cache(shards, cache)
        self.seen = 0
        self.refresh()

    def refresh(self) -> bool:
        """Takes in what was appended to the cache since; whether there was anything."""
        seen = os.stat(self.folder / INDEX).st_mtime_ns
        if seen == self.seen:
            return False
        self.seen, self.bytes = seen, np.memmap(self.folder / BIN, np.uint8, "r")
        index = np.load(self.folder / INDEX)
        self.index, self.held_out = index[: len(index) - self.aside], index[len(index) - self.aside :]
        return True

    @property
    def kinds(self) -> dict[str, int]:
        """How many pictures of each kind the shards have."""
        total: Counter[str] = Counter()
        for item in _done(self.folder):
            total.update(item["kinds"])
        return dict(total.most_common())

    def __getstate__(self) -> dict:
        return {k: v for k, v in vars(self).items() if k != "bytes"}  # a copy in another process maps the file itself

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, bytes=np.memmap(state["folder"] / BIN, np.uint8, "r"))

    def __len__(self) -> int:
        return len(self.index)

    def read(self, row: np.ndarray) -> np.ndarray:
        """One picture by its row of the index: (H, W, 3) uint8 view."""
        offset, height, width = (int(v) for v in row)
        return self.bytes[offset : offset + height * width * 3].reshape(height, width, 3)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.read(self.index[i])

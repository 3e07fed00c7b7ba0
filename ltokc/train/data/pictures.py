"""Training pictures: tar shards decoded once into one flat uint8 array.

The cache (`pictures.bin`, `index.npy`, `shards.json` in one folder) is memory-mapped, so that several runs share it.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from ltokc.pictures.formats import FORMATS

SUFFIXES = (".webp", ".avif", ".png", ".jpg", ".jpeg")  # of what is taken for a picture, in lower case


def build_cache(shards: list[Path], folder: Path) -> None:
    """Decodes every picture of the shards into `folder`; the index comes last, so a broken cache is built again."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, offset = [], 0
    with open(folder / "pictures.bin", "wb") as out:
        for shard in shards:
            with tarfile.open(shard) as tar:
                for member in tar:
                    if not member.name.lower().endswith(SUFFIXES):
                        continue
                    data = tar.extractfile(member)
                    assert data is not None
                    picture = np.asarray(Image.open(io.BytesIO(data.read()), formats=FORMATS).convert("RGB"))
                    out.write(picture.tobytes())
                    rows.append((offset, *picture.shape[:2]))
                    offset += picture.size
    np.save(folder / "index.npy", np.asarray(rows, np.int64))
    (folder / "shards.json").write_text(json.dumps([p.name for p in shards]))


class Pictures:
    """Random access to the decoded pictures of some shards.  `held_out`: the last so many pictures are kept aside."""

    def __init__(self, shards: list[Path], cache: Path, held_out: int = 0):
        names = [p.name for p in shards]
        marker = cache / "shards.json"
        if not marker.exists() or json.loads(marker.read_text()) != names:
            build_cache(shards, cache)
        self.path = cache / "pictures.bin"
        self.bytes = np.memmap(self.path, np.uint8, "r")
        index = np.load(cache / "index.npy")
        self.index, self.held_out = index[: len(index) - held_out], index[len(index) - held_out :]

    def __getstate__(self) -> dict:
        return {k: v for k, v in vars(self).items() if k != "bytes"}  # a copy in another process maps the file itself

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, bytes=np.memmap(state["path"], np.uint8, "r"))

    def __len__(self) -> int:
        return len(self.index)

    def read(self, row: np.ndarray) -> np.ndarray:
        """One picture by its row of the index: (H, W, 3) uint8 view."""
        offset, height, width = (int(v) for v in row)
        return self.bytes[offset : offset + height * width * 3].reshape(height, width, 3)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.read(self.index[i])

"""The shipped model in a folder of its own, and shards to measure it on."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

from PIL import Image

from ltokc.zoo import registry
from ltokc.zoo.model import Model
from tests.support.pictures import grainy


def copied(model: Model, models: Path) -> Path:
    """Copies the model into the folder `models`, with a registry of its own; gives the model's folder there."""
    shutil.copytree(model.folder, models / model.entry.folder)
    own = json.loads((model.folder.parent / registry.REGISTRY).read_text())["models"]
    mine = [each for each in own if each["name"] == model.entry.name]
    (models / registry.REGISTRY).write_text(json.dumps({"models": mine}))
    return models / model.entry.folder


def grainy_shard(folder: Path, count: int) -> Path:
    """A folder with one tar of so many pictures."""
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(grainy(300, 280, seed=i)).save(file, "PNG")
            info = tarfile.TarInfo(f"{i}.png")
            info.size = file.tell()
            file.seek(0)
            tar.addfile(info, file)
    return folder

"""What `python -m bench speed` times: commands, a folder, a DataLoader, in turn with those of an older checkout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.speed.single import PILLOW_DECODE, PILLOW_ENCODE
from bench.speed.turns import THREADS, Figures, child, command, in_turn, launched
from ltokc.compare.codecs import make_codec

UNLIMITED = "from PIL import Image; Image.MAX_IMAGE_PIXELS = None; "  # the pictures are our own
SMALL = (384, 256)  # of a folder's and a DataLoader's pictures


def commands(
    sides: dict[str, Path], picture: Path, quality: float, rounds: int, efforts: Sequence[int] = (0, 1)
) -> dict[str, Any]:
    """encode at each effort, and decode of the last file, from start to file."""
    folder, out = picture.parent, {}
    files = {side: folder / f"{side}.ltk" for side in sides}
    for effort in efforts:
        common = ["-q", str(quality), "-e", str(effort), "--limit-pixels", "0"]
        out[f"encode -e {effort}"] = in_turn(rounds, {
            side: lambda side=side, tree=tree, common=common: command(  # type: ignore[misc]
                tree, ["encode", str(picture), "-o", str(fresh(files[side])), *common])
            for side, tree in sides.items()
        })  # fmt: skip
    out["decode"] = in_turn(rounds, {
        side: lambda side=side, tree=tree: command(  # type: ignore[misc]
            tree, ["decode", str(files[side]), "-o", str(fresh(folder / "back.ppm")), "--limit-pixels", "0"])
        for side, tree in sides.items()
    })  # fmt: skip
    return out


def fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def batch(sides: dict[str, Path], image: Image.Image, quality: float, count: int, work: Path) -> dict[str, Any]:
    """A folder of `count` pictures of .1 megapixels with effort 1, and back: one round, for the cost of starting."""
    pictures = work / "pictures"
    pictures.mkdir()
    for i in range(count):
        image.crop((i % 384, i % 256, i % 384 + SMALL[0], i % 256 + SMALL[1])).save(pictures / f"{i:04}.png")
    small = {side: work / f"small-{side}" for side in sides}
    runs: dict[str, dict[str, Callable[[], Figures]]] = {"encode -e 1": {}, "decode": {}}
    for side, tree in sides.items():
        there, back = str(small[side]), str(work / f"back-{side}")
        runs["encode -e 1"][side] = lambda tree=tree, there=there: command(  # type: ignore[misc]
            tree, ["batch", "-r", str(pictures), "-d", there, "-q", str(quality)]
        )
        runs["decode"][side] = lambda tree=tree, there=there, back=back: command(  # type: ignore[misc]
            tree, ["batch", "--decode", "-r", there, "-d", back]
        )
    out = {}
    for name, each in runs.items():
        out[name] = in_turn(1, each)
        for side in sides:
            out[name][side]["pictures_a_second"] = count / out[name][side]["seconds"]
    return out


def children(
    sides: dict[str, Path], picture: Path, quality: float, rounds: int, names: tuple[str, ...], **environment: str
) -> dict[str, Any]:
    """Work by name in a process of each checkout."""
    out = {}
    with ExitStack() as stack:
        measures = {
            side: stack.enter_context(child(tree, picture, quality, **environment)) for side, tree in sides.items()
        }
        for name in names:
            out[name] = in_turn(rounds, {side: partial(measure, name) for side, measure in measures.items()})
    return out


def loaders(sides: dict[str, Path], picture: Path, quality: float, rounds: int) -> dict[str, Any]:
    """Pictures a second of a DataLoader with two workers and nothing set, over those of a process with one thread."""
    one = dict.fromkeys(THREADS, "1")
    alone = children(sides, picture, quality, rounds, ("loader 0",), **one)["loader 0"]
    two = children(sides, picture, quality, rounds, ("loader 2",))["loader 2"]
    gain = {side: alone[side]["seconds"] / two[side]["seconds"] for side in sides}
    return {"one_thread": alone, "two_workers": two, "gain": gain}


def tiled(image: Image.Image, megapixels: int) -> Image.Image:
    """The picture side by side with itself, 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(1.5 * height)
    rgb = np.asarray(image)
    return Image.fromarray(np.tile(rgb, (-(-height // len(rgb)), -(-width // rgb.shape[1]), 1))[:height, :width])


def avif(picture: Image.Image, large: Path, bpp: float) -> dict[str, Any]:
    """Pillow's AVIF, speed 6, as commands there and back, of the quality at which a crop takes so many bits a pixel.

    picture: a crop of `large`, which is too large to look for a quality with.
    """
    codec = make_codec("avif")
    found = codec.encode_to_size(picture, round(bpp * picture.width * picture.height / 8))
    quality, file, back = str(found.quality if found else 50), large.with_suffix(".avif"), large.with_suffix(".bmp")
    words = {
        "encode": [PILLOW_ENCODE, str(large), str(file), quality, json.dumps(codec.options)],  # type: ignore[attr-defined]
        "decode": [PILLOW_DECODE, str(file), str(back)],
    }
    out: dict[str, Any] = {name: launched([sys.executable, "-c", UNLIMITED + line[0], *line[1:]])
                           for name, line in words.items()}  # fmt: skip
    return {"quality": float(quality), "bytes": file.stat().st_size} | out

"""Seconds of encode and decode beside those of an older checkout, measured in turn in the same run.

In-process with pixels and files in memory, as commands from start to file, of a large picture beside AVIF, of a folder,
of a DataLoader; where the processor's time goes; and what else could run the networks.

    git worktree add ../before 38dbfce
    python -m bench speed --before ../before --out speed.json
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click
from PIL import Image

from bench.common import options
from bench.common.pictures import SIZE, load_rgb, pictures, synthetic_picture
from bench.common.record import model_name, write_report
from bench.speed.large import mosaic
from bench.speed.runtimes import runtimes
from bench.speed.stages import stages, starting
from bench.speed.turns import THREADS
from bench.speed.work import avif, batch, children, commands, loaders, tiled
from ltokc.threads import set_threads

PARTS = ("in-process", "commands", "large", "batch", "data-loader", "stages", "runtimes")
CROP = (384, 384)  # of the pictures that 8-bit integers are scaled by, at most
CALIBRATED = 12  # pictures
RIVAL_CROP = (2048, 1536)  # of the large picture, by which the quality of AVIF is chosen


@options.command()
@options.image(required=False, text="Picture, brought to 768x512.  [default: noise]")
@options.images(required=False, text="Photographs: of the large picture, and for 8-bit integers.  [default: --image]")
@click.option("--before", type=options.FOLDER, help="Checkout of the commit to compare with.")
@options.quality()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Of each checkout, in turn.")
@click.option("--megapixels", default=24, show_default=True, type=click.IntRange(1), help="Of the large picture.")
@options.efforts("0,1")
@click.option("--count", default=500, show_default=True, type=click.IntRange(1), help="Pictures of the folder.")
@click.option("--threads", type=click.IntRange(1), help="Of both, for a machine with other work.  [default: unsaid]")
@options.parts(PARTS)
@options.note()
@options.out()
def main(
    image: Path | None, images: Path | None, before: Path | None, quality: float, rounds: int, megapixels: int,
    efforts: tuple[int, ...], count: int, threads: int | None, parts: tuple[str, ...], note: str, out: Path | None,
) -> None:  # fmt: skip
    """Measure speed now, and before.  Parts that this run leaves out stay as they are in --out.

    The large picture is encoded at --efforts.
    """
    sides = ({"before": before.resolve()} if before else {}) | {"now": Path(__file__).resolve().parents[2]}
    report: dict[str, Any] = {}
    for name in (*THREADS, "PYTHONDONTWRITEBYTECODE"):  # without the latter commands find their modules compiled
        os.environ.pop(name, None)
    os.environ.update({} if threads is None else dict.fromkeys(THREADS, str(threads)))
    if out is not None and out.exists():
        known = json.loads(out.read_text())
        report = {part: known[part] for part in PARTS if part in known}
    picture = load_rgb(image).resize(SIZE, Image.Resampling.LANCZOS) if image else synthetic_picture()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        small = work / "picture.png"
        picture.save(small)
        if "in-process" in parts:
            report["in-process"] = children(sides, small, quality, rounds, ("encode -e 0", "encode -e 1", "decode"))
        if "commands" in parts:
            report["commands"] = commands(sides, small, quality, rounds)
        if "large" in parts:
            measured = large(sides, picture, images, quality, megapixels, efforts, work)
            report["large"] = report.get("large", {}) | {str(megapixels): measured}
        if "batch" in parts:
            report["batch"] = {"count": count, **batch(sides, tiled(picture, 2), quality, count, work)}
        if "data-loader" in parts:
            report["data-loader"] = loaders(sides, small, quality, rounds)
        if "stages" in parts:
            set_threads(threads)  # numpy is loaded by now
            each = stages(picture, quality, rounds)
            set_threads(None)
            report["stages"] = {"milliseconds": each, "starting": starting(rounds)}
        if "runtimes" in parts:
            chosen = [load_rgb(path) for path in pictures(images)[:CALIBRATED]] if images else [picture]
            cut = [each.crop((0, 0, min(each.width, CROP[0]), min(each.height, CROP[1]))) for each in chosen]
            report["runtimes"] = runtimes(picture, cut, rounds, work)
    write_report(model_name(), {"rounds": rounds, "threads": threads, "quality": quality, "note": note} | report, out)


def large(
    sides: dict[str, Path], picture: Image.Image, images: Path | None, quality: float, megapixels: int,
    efforts: tuple[int, ...], work: Path,
) -> dict[str, Any]:  # fmt: skip
    """Commands of a large picture, made of photographs or of one, once; and of AVIF at about the same bytes."""
    whole = tiled(picture, megapixels)
    if images is not None:
        whole = mosaic([load_rgb(path) for path in pictures(images)], *whole.size)
    path = work / "large.ppm"
    whole.save(path)
    size, crop = whole.size, whole.crop((0, 0, *RIVAL_CROP))
    del whole
    out = commands(sides, path, quality, 1, efforts)
    written = (work / "now.ltk").stat().st_size
    rival = avif(crop, path, 8 * written / (size[0] * size[1]))
    return {"size": list(size), "bytes": written, **out, "avif speed 6": rival}


if __name__ == "__main__":
    main()

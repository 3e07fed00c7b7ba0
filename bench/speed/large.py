"""A picture of 100 megapixels through the command line: time, peak memory, a region of it, and what seams show.

The picture is put together from photographs (`--images`), mirrored, turned and enlarged, or from noise with the
spectrum of photographs.  Peak memory is that of a command's own process (wait4), so this needs a POSIX system.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.pictures import load_rgb, pictures, synthetic_picture
from bench.common.process import LTOKC, launch
from bench.common.record import model_name, write_report

REGION = 512
PARTS = ("encode", "decode", "region", "seams")
SEAM_SIZE = (2048, 1536)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the tokenizer's reach


def photographs(folder: Path | None) -> list[Image.Image]:
    """The pictures of a folder, or three of noise.  Raises UsageError where it has none."""
    if folder is None:
        return [synthetic_picture(width, height) for width, height in ((768, 512), (640, 480), (512, 512))]
    return [load_rgb(path) for path in pictures(folder)]


def mosaic(images: list[Image.Image], width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture of this size: rows of photographs, each turned, mirrored and enlarged at random."""
    rng, out, y = np.random.default_rng(seed), Image.new("RGB", (width, height)), 0
    while y < height:
        x, row = 0, int(rng.integers(400, 1400))
        while x < width:
            tile = images[rng.integers(len(images))]
            if rng.random() < 0.5:
                tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if rng.random() < 0.25:
                tile = tile.transpose(Image.Transpose.ROTATE_90)
            tile = tile.resize((max(1, tile.width * row // tile.height), row), Image.Resampling.LANCZOS)
            out.paste(tile, (x, y))
            x += tile.width
        y += row
    return out


def measured(words: list[str]) -> dict[str, float]:
    """Runs a command in a process of its own: seconds from start to end, peak in MB."""
    seconds, peak = launch(words)
    return {"seconds": round(seconds, 2), "peak_megabytes": round(peak, 1)}


def command_line(verb: str, work: Path, quality: float | None) -> dict[str, Any]:
    """`encode` of picture.ppm or `decode` of picture.ltk in the folder `work`, with no limit of pixels."""
    source, file, back = (str(work / n) for n in ("picture.ppm", "picture.ltk", "back.ppm"))
    cli, free = list(LTOKC), ["--overwrite", "--limit-pixels", "0"]
    if verb == "decode":
        return measured([*cli, "decode", file, "-o", back, *free])
    found: dict[str, Any] = measured(
        [*cli, "encode", source, "-o", file, *free, *([] if quality is None else ["-q", str(quality)])]
    )
    with Image.open(source) as picture:
        pixels = picture.width * picture.height
        size = Path(file).stat().st_size
        return found | {"size": list(picture.size), "bytes": size, "bpp": round(8 * size / pixels, 4)}


def regions(work: Path, count: int = 9) -> dict[str, Any]:
    """Regions of picture.ltk at random places, and the command line, against the pixels of back.ppm."""
    import ltokc

    data, (rng, seconds, differences) = (work / "picture.ltk").read_bytes(), (np.random.default_rng(0), [], [])
    about = ltokc.info(data)
    w, h = min(REGION, about.width), min(REGION, about.height)
    with Image.open(work / "back.ppm") as whole:
        for _ in range(count + 1):
            left, top = int(rng.integers(about.width - w + 1)), int(rng.integers(about.height - h + 1))
            start = time.perf_counter()
            region = ltokc.decode(data, crop=(left, top, w, h))
            seconds.append(time.perf_counter() - start)
            cut = np.asarray(whole.crop((left, top, left + w, top + h)), np.int16)
            differences.append(int(np.abs(cut - np.asarray(region, np.int16)).max()))
    words = [*LTOKC, "decode", str(work / "picture.ltk"), "-o", str(work / "part.png"), "--overwrite"]
    return {
        "size": [w, h],
        "first_seconds": round(seconds[0], 3),
        "median_seconds": round(float(np.median(seconds[1:])), 3),
        "most_seconds": round(max(seconds[1:]), 3),
        "max_difference_from_the_whole": max(differences),
        "command": measured([*words, "--crop", f"{(about.width - w) // 2},{(about.height - h) // 2},{w},{h}"]),
    }


def seams(images: list[Image.Image], keeps: tuple[int, ...] = (2, 4, 6, 8, 11)) -> dict[str, Any]:
    """The same pictures in one piece and in windows, both directions."""
    from ltokc.geometry import Size
    from ltokc.tokenizer.windows import TILING, Networks
    from ltokc.zoo.model import open_model

    model = open_model()

    def networks(whole: int, share: float = TILING.share) -> Networks:
        return Networks(model.runtime(), model.levels, model.field, replace(TILING, whole=whole, share=share))

    in_one, in_windows = networks(2**62), networks(0)
    shares: dict[float, dict[str, Any]] = {s: {"tokens_differing": 0, "seconds": 0.0} for s in SHARES}
    report: dict[str, Any] = {"pictures": len(images), "size": list(images[0].size)}
    tokens, decode_difference, seconds = 0, 0, {"whole": 0.0, "windows": 0.0}
    for picture in images:
        rgb = np.asarray(picture)
        whole = in_one.tokenize(rgb)
        tokens += whole.count
        for share, record in shares.items():
            start = time.perf_counter()
            found = networks(0, share).tokenize(rgb)
            record["seconds"] += time.perf_counter() - start
            record["tokens_differing"] += sum(
                int((a != b).any(2).sum()) for a, b in zip(whole.digits, found.digits, strict=True)
            )
        for keep in keeps:
            sent = whole.only([mask if k < keep else np.zeros_like(mask) for k, mask in enumerate(whole.masks)])
            pictures_of = {}
            for name, way in (("whole", in_one), ("windows", in_windows)):
                start = time.perf_counter()
                pictures_of[name] = way.detokenize(sent, Size.of(rgb)).astype(np.int16)
                seconds[name] += time.perf_counter() - start
            difference = int(np.abs(pictures_of["whole"] - pictures_of["windows"]).max())
            decode_difference = max(decode_difference, difference)
    report["decode"] = {
        "levels_kept": list(keeps),
        "max_difference": decode_difference,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
    report["encode"] = {
        "tokens": tokens,
        "share_in_use": TILING.share,
        "by_share_of_the_reach": {str(s): r | {"seconds": round(r["seconds"], 2)} for s, r in shares.items()},
    }
    return report


@options.command()
@options.images(required=False, text="Folder of photographs.  [default: noise]")
@click.option("--side", default=10000, show_default=True, type=click.IntRange(1024, 65535), help="Of the square.")
@options.quality(None)
@click.option("--seam-pictures", default=3, show_default=True, type=click.IntRange(1), help="Of 2048x1536.")
@options.parts(PARTS)
@options.work("Keeps the picture and its files there, so that parts may be measured one by one.")
@options.note()
@options.out()
def main(
    images: Path | None, side: int, quality: float | None, seam_pictures: int, parts: tuple[str, ...],
    work: Path | None, note: str, out: Path | None,
) -> None:  # fmt: skip
    """Measure large pictures; parts that this run leaves out stay as they are in --out."""
    Image.MAX_IMAGE_PIXELS = None  # the pictures are our own
    before = json.loads(out.read_text()) if out and out.exists() else {}
    report = {part: before[part] for part in PARTS if part in before}
    with tempfile.TemporaryDirectory() as folder:
        place = work or Path(folder)
        place.mkdir(exist_ok=True)
        if "encode" in parts and not (place / "picture.ppm").exists():
            mosaic(photographs(images), side, side).save(place / "picture.ppm")
        for part in parts:
            if part == "seams":
                found = photographs(images)
                report[part] = seams([mosaic(found, *SEAM_SIZE, seed=1 + i) for i in range(seam_pictures)])
            else:
                report[part] = regions(place) if part == "region" else command_line(part, place, quality)
            report[part]["note"] = note
    write_report(model_name(), report, out)


if __name__ == "__main__":
    main()

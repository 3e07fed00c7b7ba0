"""Seconds of encode and decode beside those of an older checkout, measured in turn in the same run.

In-process with pixels and files in memory, as commands from start to file, of a large picture, of a folder, and of a
DataLoader.  Every figure is the least of several rounds; in each the two checkouts take turns, so that `ratio` (now /
before) holds on a busy machine too.  `cpu` is what all threads of all processes took.  Needs Linux.

    git worktree add ../before 38dbfce
    python -m bench speed --before ../before --out speed.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.pictures import SIZE, load_rgb, synthetic_picture
from bench.common.process import launch_family
from bench.common.record import model_name, write_report

PARTS = ("in-process", "commands", "large", "batch", "data-loader")
THREADS = ("LTOKC_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SMALL = (384, 256)  # of a folder's and a DataLoader's pictures
# A process of a checkout: a line says what to do, and the answer is seconds and CPU seconds.
CHILD = """
import json, resource, sys, time
import numpy as np
from PIL import Image
import ltokc
image = Image.open(sys.argv[1]).convert("RGB")
quality = float(sys.argv[2])
files = {}
def encode(effort): files[effort] = ltokc.encode(image, quality, effort=effort)
class Pictures:
    def __len__(self): return 48
    def __getitem__(self, i): return len(ltokc.encode(image.crop((i, 0, i + 384, 256)), quality))
def load(workers):
    import torch
    loader = torch.utils.data.DataLoader(Pictures(), batch_size=None, num_workers=workers)
    return sum(1 for _ in loader)
WORK = {"encode -e 0": lambda: encode(0), "encode -e 1": lambda: encode(1), "decode": lambda: ltokc.decode(files[1]),
        "loader 0": lambda: load(0), "loader 2": lambda: load(2)}
def cpu():
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
encode(1)
for line in sys.stdin:
    start, before = time.perf_counter(), cpu()
    WORK[line.strip()]()
    print(json.dumps([time.perf_counter() - start, cpu() - before]), flush=True)
"""
Figures = dict[str, float]


def surroundings(checkout: Path) -> dict[str, str]:
    """The environment in which Python finds this checkout's package first."""
    return dict(os.environ) | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}


@contextmanager
def child(checkout: Path, picture: Path, quality: float, **environment: str) -> Iterator[Callable[[str], Figures]]:
    """A process of a checkout that does work by name."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(picture), str(quality)], env=surroundings(checkout) | environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout,
    )  # fmt: skip
    assert process.stdin and process.stdout

    def measured(what: str) -> Figures:
        assert process.stdin and process.stdout
        print(what, file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise click.ClickException(f"{checkout.name}: {what} failed")
        return dict(zip(("seconds", "cpu"), json.loads(line), strict=True))

    try:
        yield measured
    finally:
        process.stdin.close()
        process.wait()


def in_turn(rounds: int, sides: Mapping[str, Callable[[], Figures]]) -> dict[str, Any]:
    """The least of every figure of every side, and the ratio of `now` to `before`."""
    best: dict[str, Figures] = {}
    for _ in range(rounds):
        for side, measure in sides.items():
            found, known = measure(), best.get(side, {})
            best[side] = {name: min(value, known.get(name, value)) for name, value in found.items()}
    out: dict[str, Any] = dict(best)
    if "before" in best:
        out["ratio"] = {name: value / best["before"][name] for name, value in best["now"].items() if name != "pictures"}
    return out


def command(checkout: Path, words: list[str]) -> Figures:
    """`ltokc` of a checkout as a process: its seconds, CPU seconds, and the largest process in MB (sampled)."""
    outside = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ.update(PYTHONPATH=str(checkout), PYTHONSAFEPATH="1")
    try:
        family = launch_family([sys.executable, "-m", "ltokc", *words])
    finally:
        for name, value in outside.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})
    figures = {"seconds": family.seconds, "cpu": family.user + family.system}
    return figures | ({"peak_megabytes": family.largest / 1e6} if family.largest else {})


def commands(sides: dict[str, Path], picture: Path, quality: float, rounds: int) -> dict[str, Any]:
    """encode -e 0, -e 1 and decode of a picture from start to file."""
    folder, out = picture.parent, {}
    files = {side: folder / f"{side}.ltk" for side in sides}
    for name, words in (("encode -e 0", ["-e", "0"]), ("encode -e 1", ["-e", "1"])):
        common = ["-q", str(quality), *words, "--limit-pixels", "0"]
        out[name] = in_turn(rounds, {
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


@options.command()
@options.image(required=False, text="Picture, brought to 768x512.  [default: noise]")
@click.option("--before", type=options.FOLDER, help="Checkout of the commit to compare with.")
@options.quality()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Of each checkout, in turn.")
@click.option("--megapixels", default=24, show_default=True, type=click.IntRange(1), help="Of the large picture.")
@click.option("--count", default=500, show_default=True, type=click.IntRange(1), help="Pictures of the folder.")
@click.option("--threads", type=click.IntRange(1), help="Of both, for a machine with other work.  [default: unsaid]")
@options.parts(PARTS)
@options.note()
@options.out()
def main(
    image: Path | None, before: Path | None, quality: float, rounds: int, megapixels: int, count: int,
    threads: int | None, parts: tuple[str, ...], note: str, out: Path | None,
) -> None:  # fmt: skip
    """Measure speed now, and before.  Parts that this run leaves out stay as they are in --out."""
    sides = ({"before": before.resolve()} if before else {}) | {"now": Path(__file__).resolve().parents[2]}
    report: dict[str, Any] = {}
    for name in THREADS:
        os.environ.pop(name, None)
    os.environ.update({} if threads is None else dict.fromkeys(THREADS, str(threads)))
    if out is not None and out.exists():
        known = json.loads(out.read_text())
        report = {part: known[part] for part in PARTS if part in known}
    picture = load_rgb(image).resize(SIZE, Image.Resampling.LANCZOS) if image else synthetic_picture()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        small, large = work / "picture.png", work / "large.ppm"
        picture.save(small)
        if "in-process" in parts:
            report["in-process"] = children(sides, small, quality, rounds, ("encode -e 0", "encode -e 1", "decode"))
        if "commands" in parts:
            report["commands"] = commands(sides, small, quality, rounds)
        if "large" in parts:
            tiled(picture, megapixels).save(large)
            report["large"] = {"megapixels": megapixels, **commands(sides, large, quality, 1)}
        if "batch" in parts:
            report["batch"] = {"count": count, **batch(sides, tiled(picture, 2), quality, count, work)}
        if "data-loader" in parts:
            report["data-loader"] = loaders(sides, small, quality, rounds)
    write_report(model_name(), {"rounds": rounds, "threads": threads, "quality": quality, "note": note} | report, out)


def children(
    sides: dict[str, Path], picture: Path, quality: float, rounds: int, names: tuple[str, ...], **environment: str
) -> dict[str, Any]:
    """Work by name in a process of each checkout."""
    out = {}
    with contextmanager(_all)(sides, picture, quality, environment) as measures:
        for name in names:
            out[name] = in_turn(rounds, {side: partial(measure, name) for side, measure in measures.items()})
    return out


def _all(
    sides: dict[str, Path], picture: Path, quality: float, environment: dict[str, str]
) -> Iterator[dict[str, Callable[[str], Figures]]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield {side: stack.enter_context(child(tree, picture, quality, **environment)) for side, tree in sides.items()}


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


if __name__ == "__main__":
    main()

"""`ltokc batch` over a folder and back: pictures per second, use of the cores, memory; and what kill -9 costs.

Each run is a process of its own, from its start to its end, workers included.  CPU seconds are those of the whole
family (wait4), so `cpu_share` is user + system over wall * cores; `idle_share` of all the cores of the machine and
`others_share` tell what other programs took in that time.  Memory is sampled: the sum over all processes of their
proportional share (PSS), and the largest process.  Needs Linux (/proc).

    python -m bench batch --images DIR --out batch.json
    python -m bench batch --images DIR --kills 20 --out batch-kill.json
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from bench.common import options
from bench.common.process import LTOKC, launch_family, members
from bench.common.record import model_name, write_report
from ltokc.jobs import journal
from ltokc.jobs.kinds import PICTURES
from ltokc.jobs.sources import Walk, collect

BATCH = [*LTOKC, "batch"]


def there_and_back(pictures: str, quality: float, jobs: str, folder: Path) -> dict[str, Any]:
    """Encodes a folder, decodes the outcome, and encodes it with effort 0: three measurements."""
    small, back, quick = (str(folder / name) for name in ("small", "back", "quick"))
    out = {}
    for name, words in (
        ("encode", ["-r", pictures, "-d", small, "-q", str(quality)]),
        ("decode", ["--decode", "-r", small, "-d", back]),
        ("encode_effort_0", ["-r", pictures, "-d", quick, "-q", str(quality), "-e", "0"]),
    ):
        table = folder / f"{name}.json"
        record = launch_family([*BATCH, *words, "-j", jobs, "--report", str(table)]).record()
        totals = json.loads(table.read_text())["totals"]
        out[name] = record | {
            "pictures": totals["done"],
            "pictures_per_second": totals["done"] / record["seconds"],
            "megapixels_per_second": totals["pixels"] / 1e6 / record["seconds"],
            "input_bytes": totals["input_bytes"],
            "output_bytes": totals["output_bytes"],
        }
    return out


def outputs(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder that passes for an output."""
    found = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def killed(pictures: str, quality: float, jobs: str, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kills the whole group at random moments and resumes, `kills` times, then to the end; compares all bytes."""
    words = ["-r", pictures, "-q", str(quality), "-j", jobs, "-d"]
    start = time.perf_counter()
    whole = folder / "whole"
    launch_family([*BATCH, *words, str(whole)])
    undisturbed = time.perf_counter() - start
    expected = outputs(whole)
    there = folder / "killed"
    dice, moments = random.Random(seed), list[float]()
    wrong = temporary = unnoted = 0
    while len(moments) < kills:
        process = subprocess.Popen([*BATCH, *words, str(there), "--resume"], stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        delay = dice.uniform(0, 2 * (1 + 0.7 * undisturbed / kills))  # a second goes on starting
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(round(delay, 3))
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        else:  # done before it could be killed: the rest is killed from the start
            shutil.rmtree(there)
            continue
        while members(process.pid):
            time.sleep(0.01)
        found = outputs(there) if there.exists() else {}
        wrong += sum(expected.get(name) != digest for name, digest in found.items())
        temporary += len(list(there.rglob(".*.tmp")))
        unnoted += len(set(found) - set(journal.read_all(str(there))))
    final = launch_family([*BATCH, *words, str(there), "--resume"])
    entries = sum(map(len, journal.read_all(str(there)).values()))
    return {
        "pictures": len(expected), "kills": len(moments), "seconds_before_each_kill": moments, "seed": seed,
        "undisturbed_seconds": undisturbed, "last_run_seconds": final.seconds,
        "equal_bytes_in_the_end": outputs(there) == expected,
        "wrong_outputs_seen_after_kills": wrong, "temporary_files_seen_after_kills": temporary,
        "outputs_without_a_line_after_kills": unnoted, "pictures_done_twice": entries - len(expected),
        "temporary_files_in_the_end": len(list(there.rglob(".*.tmp"))),
    }  # fmt: skip


def chosen(pictures: Path, count: int, folder: Path) -> str:
    """A folder with the first `count` pictures (0: all) below `pictures`, linked."""
    if not count:
        return str(pictures)
    found = collect([str(pictures)], Walk(PICTURES, recursive=True))[:count]
    target = folder / "pictures"
    target.mkdir()
    for number, source in enumerate(found):
        name = f"{number:05}{os.path.splitext(source.path)[1]}"
        (target / name).symlink_to(os.path.abspath(source.path))
    return str(target)


@options.command()
@options.images()
@options.count(0, "The first so many pictures alone; 0: all.")
@options.quality()
@click.option("--jobs", default="all", show_default=True, help="As -j of the command.")
@click.option("--kills", type=click.IntRange(0), default=0,
              help="Instead: kill -9 the encoding so often at random moments, resume, compare bytes.")  # fmt: skip
@options.seed("Of the random moments.")
@options.out()
def main(
    images: Path, count: int, quality: float, jobs: str, kills: int, seed: int, out: Path | None
) -> None:  # fmt: skip
    """Measure `ltokc batch` over a folder, and back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = chosen(images, count, folder)
        if kills:
            record: dict[str, Any] = {"killed": killed(source, quality, jobs, folder, kills, seed)}
        else:
            record = there_and_back(source, quality, jobs, folder)
    write_report(model_name(), {"quality": quality, "jobs": jobs} | record, out)


if __name__ == "__main__":
    main()

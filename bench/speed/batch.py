"""`ltokc batch` over a folder and back: pictures per second, use of the cores, memory; and what kill -9 costs.

Each run is a process of its own, from its start to its end, workers included.  CPU seconds are those of the whole
family (wait4), so `cpu_share` is user + system over wall * cores; `idle_share` of all the cores of the machine and
`others_share` tell what other programs took in that time.  Memory is sampled: the sum over all processes of their
proportional share (PSS), and the largest process.  Needs Linux (/proc).

    python -m bench batch --pictures DIR --out bench/results/batch.json
    python -m bench batch --pictures DIR --kills 20 --out bench/results/batch-kill.json
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click

from bench.common.record import environment, write_report
from ltokc.jobs import journal, paths

SAMPLE = 0.25  # seconds between looks at the memory
LTOKC = (sys.executable, "-m", "ltokc", "batch")


class Memory(threading.Thread):
    """Samples the processes of a session until stopped: `together` (PSS, summed) and `largest` (RSS), in bytes."""

    def __init__(self, session: int):
        super().__init__(daemon=True)
        self.session, self.together, self.largest = session, 0, 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE):
            shares = [_memory(pid) for pid in _members(self.session)]
            self.together = max(self.together, sum(pss for pss, _ in shares))
            self.largest = max([self.largest, *(rss for _, rss in shares)])


def _members(session: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == session:
                    found.append(int(name))
            except ProcessLookupError:
                continue
    return found


def _memory(pid: int) -> tuple[int, int]:
    """(PSS, RSS) in bytes; zeros for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return found.get("Pss", 0), found.get("Rss", 0)


def _idle_seconds() -> float:
    """Seconds that the machine's cores had nothing to do, summed, since it was started."""
    idle, waiting = Path("/proc/stat").read_text().split("\n", 1)[0].split()[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def measured(words: list[str]) -> dict[str, Any]:
    """Runs a command to its end.  ClickException: it failed."""
    with tempfile.TemporaryFile() as said:
        idle, start = _idle_seconds(), time.perf_counter()
        process = subprocess.Popen([*LTOKC, *words], stderr=said, start_new_session=True)
        memory = Memory(process.pid)
        memory.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: the session of its own does not hear of it
            os.killpg(process.pid, signal.SIGTERM)
            raise
        seconds, idle = time.perf_counter() - start, _idle_seconds() - idle
        memory.done.set()
        memory.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise click.ClickException(f"{' '.join(words[:3])}: {said.read()[-400:].decode(errors='replace')}")
    cpu, machine = usage.ru_utime + usage.ru_stime, seconds * (os.cpu_count() or 1)
    return {
        "seconds": seconds, "user_seconds": usage.ru_utime, "system_seconds": usage.ru_stime,
        "cpu_share": cpu / seconds / len(os.sched_getaffinity(0)),
        "idle_share": idle / machine, "others_share": max(0.0, 1 - (idle + cpu) / machine),
        "peak_megabytes_together": memory.together / 1e6, "peak_megabytes_largest": memory.largest / 1e6,
    }  # fmt: skip


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
        record = measured([*words, "-j", jobs, "--report", str(table)])
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
    measured([*words, str(whole)])
    undisturbed = time.perf_counter() - start
    expected = outputs(whole)
    there = folder / "killed"
    dice, moments = random.Random(seed), list[float]()
    wrong = temporary = unnoted = 0
    while len(moments) < kills:
        process = subprocess.Popen([*LTOKC, *words, str(there), "--resume"], stderr=subprocess.DEVNULL,
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
        while _members(process.pid):
            time.sleep(0.01)
        found = outputs(there) if there.exists() else {}
        wrong += sum(expected.get(name) != digest for name, digest in found.items())
        temporary += len(list(there.rglob(".*.tmp")))
        unnoted += len(set(found) - set(journal.read_all(str(there))))
    final = measured([*words, str(there), "--resume"])
    entries = sum(map(len, journal.read_all(str(there)).values()))
    return {
        "pictures": len(expected), "kills": len(moments), "seconds_before_each_kill": moments, "seed": seed,
        "undisturbed_seconds": undisturbed, "last_run_seconds": final["seconds"],
        "equal_bytes_in_the_end": outputs(there) == expected,
        "wrong_outputs_seen_after_kills": wrong, "temporary_files_seen_after_kills": temporary,
        "outputs_without_a_line_after_kills": unnoted, "pictures_done_twice": entries - len(expected),
        "temporary_files_in_the_end": len(list(there.rglob(".*.tmp"))),
    }  # fmt: skip


def chosen(pictures: Path, count: int, folder: Path) -> str:
    """A folder with the first `count` pictures (0: all) below `pictures`, linked."""
    if not count:
        return str(pictures)
    found = paths.collect([str(pictures)], paths.PICTURES, recursive=True)[:count]
    target = folder / "pictures"
    target.mkdir()
    for number, source in enumerate(found):
        name = f"{number:05}{os.path.splitext(source.path)[1]}"
        (target / name).symlink_to(os.path.abspath(source.path))
    return str(target)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pictures", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of pictures.")  # fmt: skip
@click.option("--count", type=click.IntRange(0), default=0, help="The first so many alone.  [default: all]")
@click.option("--quality", default=0.6, show_default=True, help="Quality.")
@click.option("--jobs", default="all", show_default=True, help="As -j of the command.")
@click.option("--kills", type=click.IntRange(0), default=0,
              help="Instead: kill -9 the encoding so often at random moments, resume, compare bytes.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of the random moments.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON to write; without: standard output.")
def main(
    pictures: Path, count: int, quality: float, jobs: str, kills: int, seed: int, out: Path | None
) -> None:  # fmt: skip
    """Measure `ltokc batch` over a folder, and back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = chosen(pictures, count, folder)
        if kills:
            record = {"killed": killed(source, quality, jobs, folder, kills, seed)}
        else:
            record = there_and_back(source, quality, jobs, folder)
    write_report(environment() | {"quality": quality, "jobs": jobs} | record, out)


if __name__ == "__main__":
    main()

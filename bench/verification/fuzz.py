"""Many damaged files through the codec: each must give a picture or one of the codec's own errors, and soon.

    python -m bench fuzz --files 200000 --seed 1 --out fuzz.json     structured mutations, in this process
    python -m bench fuzz --every-length 50 --out cuts.json           every length of so many good files

Seeds are the golden files, the malformed ones and what was found before (formats/golden, tests/corpus).  A finding is
any other exception, more than 10 seconds, more memory than the limit, a result that contradicts another; its
file is kept.  A case is known by seed and number: `--only N` runs it alone.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.common.record import model_name, write_report
from bench.verification.fuzz_checks import LIMIT_PIXELS, check, cut_everywhere
from bench.verification.mutate import mutated
from ltokc import codec
from ltokc.errors import LtokcError

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("formats/golden/v1", "formats/golden/bad", "tests/corpus")
SECONDS = 10  # of computing that a case may take
WAIT = 60  # times as long on the clock: nothing waits, but another program may have the processor
MEGABYTES = 400  # of memory that the process may grow by, at LIMIT_PIXELS
MAX_SEED = 2000  # bytes


class Slow(BaseException):
    """The alarm; no `except Exception` may swallow it."""


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raises Slow after so many seconds of computing (a busy machine is no finding), or WAIT times that in all."""

    def ring(number: int, frame: Any) -> None:
        raise Slow(signal.Signals(number).name)

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, seconds * WAIT))
    before = [signal.signal(number, ring) for _, number, _ in timers]
    for timer, _, after in timers:
        signal.setitimer(timer, after)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def memory() -> float:
    """The most that this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def seeds() -> list[bytes]:
    """Good files four times, since what comes of them gets deepest."""
    paths = [path for folder in (SEEDS[0],) * 3 + SEEDS for path in sorted((ROOT / folder).glob("*.ltk"))]
    found = [path.read_bytes() for path in paths]
    return [data for data in found if len(data) <= MAX_SEED]


class Campaign:
    """Counts, times, and keeps what was found."""

    def __init__(self, out: Path, about: dict[str, Any]):
        self.out, self.folder, self.about = out, out.with_suffix(""), about
        self.outcomes: Counter[str] = Counter()
        self.findings: list[dict[str, Any]] = []
        self.slowest = (0.0, -1)
        self.start, self.cpu, self.done, self.ceiling = time.monotonic(), time.process_time(), 0, memory() + MEGABYTES

    def run(self, number: int, data: bytes, rng: random.Random) -> None:
        began, found = time.process_time(), ""
        try:
            with alarm(SECONDS):
                self.outcomes[check(data, rng)] += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a panic of an extension is no Exception)
            place = traceback.extract_tb(error.__traceback__)[-1]
            found = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        seconds = time.process_time() - began
        self.slowest = max(self.slowest, (seconds, number))
        if memory() > self.ceiling:
            found = found or f"memory grew to {memory():.0f} MB"
            self.ceiling = memory() + MEGABYTES
        if found:
            self.keep(number, data, found)
        self.done += 1

    def keep(self, number: int, data: bytes, found: str) -> None:
        self.outcomes["FINDING"] += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{number}.ltk").write_bytes(data)
        self.findings.append({"case": number, "bytes": len(data), "what": found})
        click.echo(f"case {number}: {found}", err=True)

    def write(self) -> None:
        seconds = time.monotonic() - self.start
        report = self.about | {
            "files": self.done, "findings": self.findings, "outcomes": dict(self.outcomes.most_common()),
            "seconds": round(seconds, 1), "cpu_seconds": round(time.process_time() - self.cpu, 1),
            "slowest": {"seconds": round(self.slowest[0], 3), "case": self.slowest[1]},
            "peak_megabytes": round(memory()),
            "limits": {"seconds": SECONDS, "megabytes": MEGABYTES, "pixels": LIMIT_PIXELS},
        }  # fmt: skip
        write_report(model_name(), report, self.out)


def case(corpus: list[bytes], seed: int, number: int) -> tuple[bytes, random.Random]:
    rng = random.Random(f"{seed}/{number}")
    return mutated(corpus, rng), rng


def good_files(count: int) -> list[bytes]:
    """The golden files, and as many more as it takes: pieces of the example photographs at any quality."""
    from PIL import Image

    import ltokc

    found = [path.read_bytes() for path in sorted((ROOT / SEEDS[0]).glob("*.ltk"))][:count]
    rng = random.Random(0)
    with Image.open(ROOT / "examples" / "chelsea.png") as image:
        while len(found) < count:
            width, height, x, y = rng.randrange(1, 130), rng.randrange(1, 130), rng.randrange(300), rng.randrange(150)
            found.append(ltokc.encode(image.crop((x, y, x + width, y + height)), rng.random()))
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--files", type=click.IntRange(min=1), default=1000, show_default=True, help="How many mutated files.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other files.")
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first case, to go on from.")
@click.option("--only", type=int, help="Run this case alone, keep its file, and say what becomes of it.")
@click.option(
    "--every-length", type=click.IntRange(min=1), metavar="N", help="Instead cut N good files at every length."
)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON; findings beside it.")
def main(files: int, seed: int, first: int, only: int | None, every_length: int | None, out: Path) -> None:
    """Run damaged files through the codec; exit status 1 when anything is found.

    \b
    Example:
      python -m bench fuzz --files 10000 --seed 1 --out /tmp/fuzz.json
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    corpus = seeds()
    if only is not None:
        data, rng = case(corpus, seed, only)
        out.with_suffix(".ltk").write_bytes(data)
        click.echo(check(data, rng))
        return
    if every_length:
        lengths, start = 0, time.monotonic()
        for data in good_files(every_length):
            lengths += cut_everywhere(data)
        report = {"files": every_length, "lengths": lengths, "findings": [],
                  "seconds": round(time.monotonic() - start, 1)}  # fmt: skip
        write_report(model_name(), report, out)
        click.echo(f"ok: every one of {lengths} lengths of {every_length} files")
        return
    warm_up(list(dict.fromkeys(corpus)))
    campaign = Campaign(out, {"seed": seed, "first": first, "seeds": len(corpus)})
    try:
        for number in range(first, first + files):
            campaign.run(number, *case(corpus, seed, number))
            if number % 1000 == 999:
                campaign.write()
    finally:
        campaign.write()
    click.echo(
        f"{'ok' if not campaign.findings else 'FAILED'}: {campaign.done} files, {len(campaign.findings)} findings"
    )
    sys.exit(bool(campaign.findings))


def warm_up(corpus: list[bytes]) -> None:
    """Loads model and runtime, which is not a file's doing."""
    for data in corpus:
        try:
            codec.decode(data, limit_pixels=LIMIT_PIXELS, backend="onnx", device="cpu")
            codec.verify(data, limit_pixels=LIMIT_PIXELS)
        except LtokcError:
            continue


if __name__ == "__main__":
    main()

"""The HTML report of a folder of pictures: ltokc at one quality against its rivals at equal bytes and equal quality."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click
from tqdm import tqdm

import ltokc
from bench.common import options
from bench.common.pictures import pictures
from ltokc.cli.compare import METRICS, Rivals
from ltokc.compare import VERSUS, CompareOptions, PictureComparison, batch_rows, write_csv, write_json, write_report


def measure(path: Path, quality: float, how: CompareOptions) -> PictureComparison:
    """One picture, encoded and compared."""
    return batch_rows(path, ltokc.encode(path, quality=quality), quality=quality, **how)


@options.command()
@options.images()
@options.out(required=True, text="HTML to write.")
@options.csv("Also the rows as CSV.")
@click.option("--json", "json_out", type=options.NEW_FILE, help="Also all records as JSON.")
@options.title("What the set is called.")
@options.quality()
@click.option("--versus", type=Rivals(), default=",".join(VERSUS), show_default=True, help="Rivals.")
@click.option("--metric", type=click.Choice(list(METRICS)), help="What quality is made equal by.")
@options.lpips()
@click.option("--curves/--no-curves", default=True, show_default=True, help="Rate-distortion curves, half of the time.")
@options.jobs()
@options.limit()
def main(
    images: Path, out: Path, csv_out: Path | None, json_out: Path | None, title: str | None, quality: float,
    versus: tuple[str, ...], metric: str | None, lpips: Path | None, curves: bool, jobs: int, limit: int | None,
) -> None:  # fmt: skip
    """Compare a folder of pictures with JPEG, WebP and AVIF in one page.

    \b
    Examples:
      python -m bench report --images kodak --title Kodak --out kodak.html -j 2
      python -m bench report --images photos -q 0.3 --versus webp,avif --no-curves --out photos.html --csv photos.csv
    """
    start = time.perf_counter()
    paths = pictures(images)[:limit]
    how: CompareOptions = {
        "versus": versus, "metric": METRICS[metric] if metric else None, "lpips": lpips, "curve": curves,
    }  # fmt: skip
    work = partial(measure, quality=quality, how=how)
    if jobs > 1:
        for name in ("OMP_NUM_THREADS", "LTOKC_THREADS"):
            os.environ.setdefault(name, "1")  # read by the workers when they start
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context) as pool:
            records = list(tqdm(pool.map(work, paths), total=len(paths), disable=None))
    else:
        records = [work(path) for path in tqdm(paths, disable=None)]
    write_report(out, records, title=title)
    if csv_out:
        write_csv(csv_out, records)
    if json_out:
        write_json(json_out, records)
    seconds = time.perf_counter() - start
    click.echo(f"{len(records)} pictures, {os.path.getsize(out):,} bytes of page, {seconds:.0f} s", err=True)


if __name__ == "__main__":
    main()

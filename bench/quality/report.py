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
from bench.quality.rate_distortion import pictures
from ltokc.cli.compare import METRICS, Rivals
from ltokc.compare import VERSUS, PictureComparison, batch_rows, write_csv, write_json, write_report
from ltokc.errors import LtokcError


def measure(path: Path, quality: float, versus: tuple[str, ...], metric: str | None, lpips: str | None, curve: bool
            ) -> PictureComparison:  # fmt: skip
    """One picture, encoded and compared."""
    return batch_rows(path, ltokc.encode(path, quality=quality), quality=quality, versus=versus, metric=metric,
                      lpips=lpips, curve=curve)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--images", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder.")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="HTML to write.")
@click.option("--csv", "csv_out", type=click.Path(dir_okay=False), help="Also the rows as CSV.")
@click.option("--json", "json_out", type=click.Path(dir_okay=False), help="Also all records as JSON.")
@click.option("--title", help="What the set is called.")
@click.option("-q", "--quality", default=0.6, show_default=True, type=click.FloatRange(0, 1), help="Of ltokc.")
@click.option("--versus", type=Rivals(), default=",".join(VERSUS), show_default=True, help="Rivals.")
@click.option("--metric", type=click.Choice(list(METRICS)), help="What quality is made equal by.")
@click.option("--lpips", type=click.Path(exists=True, dir_okay=False), help="LPIPS weights; without: no LPIPS.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Rate-distortion curves, half of the time.")
@click.option("--jobs", "-j", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--limit", type=click.IntRange(1), help="Only the first pictures.")
def main(
    images: Path, out: str, csv_out: str | None, json_out: str | None, title: str | None, quality: float,
    versus: tuple[str, ...], metric: str | None, lpips: str | None, curves: bool, jobs: int, limit: int | None,
) -> None:  # fmt: skip
    """Compare a folder of pictures with JPEG, WebP and AVIF in one page.

    \b
    Examples:
      python -m bench report --images kodak --title Kodak --out kodak.html -j 2
      python -m bench report --images photos -q 0.3 --versus webp,avif --no-curves --out photos.html --csv photos.csv
    """
    start = time.perf_counter()
    try:
        paths = pictures(images)[:limit]
        work = partial(measure, quality=quality, versus=versus, metric=METRICS[metric] if metric else None,
                       lpips=lpips, curve=curves)  # fmt: skip
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
    except LtokcError as error:
        raise click.ClickException(str(error)) from error
    seconds = time.perf_counter() - start
    click.echo(f"{len(records)} pictures, {os.path.getsize(out):,} bytes of page, {seconds:.0f} s", err=True)


if __name__ == "__main__":
    main()

"""Rate-distortion curves of ltokc and its rivals on a folder of pictures, and the BD-rates between them."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, environment, model_name, write_report
from bench.common.resume import Unfinished
from bench.quality.curves import OURS, Row, bd_rates, markdown, mean_rows, read_means, write_means
from ltokc.compare.codecs import make_codec
from ltokc.compare.scores import Lpips, Scorer
from ltokc.compare.tables import finite
from ltokc.errors import UsageError
from ltokc.rate.defaults import PATCH_MODES

DEFAULT_CODECS = "ltokc,jpeg,webp,avif,avif_half,avif_quarter"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure on every picture: (codec, quality) in order, and with what.

    model: the name of that of ltokc, None where only rivals are measured.
    """

    work: tuple[tuple[str, float], ...]
    lpips: Path | None = None
    ltokc_options: dict[str, Any] = field(default_factory=dict)
    model: str | None = None


def measure(path: Path, plan: Plan, lpips: Lpips | None) -> list[Row]:
    """Rows of one picture: `image`, `codec`, `q`, size, the metrics, seconds to encode and decode (first call too)."""
    image = load_rgb(path)
    scorer = Scorer(image, lpips)
    codecs = {name: make_codec(name, **plan.ltokc_options) for name in dict.fromkeys(name for name, _ in plan.work)}
    rows = []
    for name, quality in plan.work:
        start = time.perf_counter()
        data = codecs[name].encode(image, quality)
        encoded = time.perf_counter()
        decoded = codecs[name].decode(data)
        seconds = {"encode_seconds": encoded - start, "decode_seconds": time.perf_counter() - encoded}
        size = {"width": image.width, "height": image.height}
        scores = scorer.score(decoded, len(data))
        rows.append({"image": path.name, "codec": name, "q": quality} | size | scores | seconds)
    return rows


_worker: tuple[Plan, Lpips | None]


def _start_worker(plan: Plan) -> None:
    global _worker
    if plan.lpips:
        import torch

        torch.set_num_threads(1)
    _worker = plan, Lpips(plan.lpips) if plan.lpips else None


def _measure_in_worker(path: Path) -> list[Row]:
    return measure(path, *_worker)


def measure_all(paths: list[Path], plan: Plan, jobs: int) -> Iterator[list[Row]]:
    """Rows of every picture as they are done; with more than one job in processes of one thread each."""
    if jobs <= 1:
        lpips = Lpips(plan.lpips) if plan.lpips else None
        for path in paths:
            yield measure(path, plan, lpips)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by the numeric libraries of the workers when they start
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(plan,)) as pool:
        for done in as_completed([pool.submit(_measure_in_worker, path) for path in paths]):
            yield done.result()


def parse_qualities(texts: tuple[str, ...], codecs: list[str]) -> dict[str, tuple[float, ...]]:
    """Qualities of every codec: `CODEC=LIST` for one, a bare LIST for ltokc or the only codec, else its own curve."""
    out = {name: tuple(float(q) for q in make_codec(name).curve) for name in codecs}
    for text in texts:
        name, _, numbers = text.rpartition("=")
        name = name or (codecs[0] if len(codecs) == 1 else OURS)
        if name not in out:
            raise UsageError(f"--qualities {text}: '{name}' is not among the codecs of this run; write CODEC=LIST")
        try:
            out[name] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            raise UsageError(f"--qualities {text}: not a list of numbers") from None
    return out


def conditions(paths: list[Path], plan: Plan) -> dict[str, Any]:
    """What must be the same for rows of an earlier run to be taken over; the pictures are told by name and size."""
    return environment(plan.model) | {
        "changes": changes(),
        "pictures": [[path.name, path.stat().st_size] for path in paths],
        "work": [list(each) for each in plan.work],
        "lpips": plan.lpips is not None,
        "options": _flat(plan.ltokc_options),
    }


def run(paths: list[Path], plan: Plan, ready: list[Row], jobs: int, unfinished: Unfinished) -> dict[str, Any]:
    """Everything that goes into results.json, rows in the order of the pictures."""
    done = unfinished.resume()
    if done:
        click.echo(f"{len(done)} of {len(paths)} pictures were measured before", err=True)
    measured = {rows[0]["image"] for rows in done}
    for rows in measure_all([path for path in paths if path.name not in measured], plan, jobs):
        done.append(rows)
        unfinished.add(rows)
        click.echo(f"{len(done)}/{len(paths)} {rows[0]['image']}", err=True)
    rows = [row for group in sorted(done, key=lambda group: group[0]["image"]) for row in group]
    for row in ready:
        if row["images"] != len(paths):
            click.echo(
                f"note: ready curve of {row['codec']} is over {row['images']} pictures, not {len(paths)}", err=True
            )
            break
    means = mean_rows(rows) + ready
    rates = bd_rates(means) if any(row["codec"] == OURS for row in means) else []
    ready_names = list(dict.fromkeys(row["codec"] for row in ready))
    return {
        "images": [path.name for path in paths],
        "options": {key: str(value) for key, value in _flat(plan.ltokc_options).items()},
        "ready_curves": ready_names,
        "rows": rows,
        "means": means,
        "bd_rates": rates,
    }


def _flat(given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    pairs = ((kind, key, value) for kind, chosen in given.items() for key, value in chosen.items())
    return {f"{kind}.{key}": Path(value).name if key == "model" else value for kind, key, value in pairs}


@options.command()
@options.images()
@options.codecs(DEFAULT_CODECS, "Names, rivals also with _half or _quarter.")
@click.option("--qualities", multiple=True, metavar="[CODEC=]LIST", help="Qualities; without CODEC those of ltokc.")
@options.lpips()
@click.option("--rivals", type=options.FILE, help="CSV with ready mean curves.")
@options.jobs()
@options.limit()
@options.model()
@options.effort()
@click.option("--backend", help="Runtime of ltokc.")
@click.option("--patches", type=click.Choice(PATCH_MODES), default="off", show_default=True,
              help="Patches of ltokc; off measures the learned part alone.")  # fmt: skip
@options.out(required=True, text="JSON with all rows.")
@options.csv("The mean rows, for --rivals.")
def main(
    images: Path, codecs: str, qualities: tuple[str, ...], lpips: Path | None, rivals: Path | None, jobs: int,
    limit: int | None, model: str | None, effort: int | None, backend: str | None, patches: str, out: Path,
    csv_out: Path | None,
) -> None:  # fmt: skip
    """Measure codecs on a folder of pictures and print the BD-rates of ltokc.

    A run that was stopped goes on when the same command is given again.

    \b
    Examples:
      python -m bench rate-distortion --images kodak --out results.json
      python -m bench rate-distortion --images kodak --codecs ltokc --rivals rivals.csv \\
          --qualities 0,0.5,1 --out results.json
      python -m bench rate-distortion --images kodak --codecs jpeg,webp \\
          --qualities jpeg=5,10 --csv rivals.csv --out rivals.json
    """
    ready = read_means(rivals) if rivals else []
    ready_names = {row["codec"] for row in ready}
    names = [name for name in dict.fromkeys(codecs.split(",")) if name not in ready_names]
    if not names:
        raise UsageError("nothing to measure: the CSV has every codec asked for")
    wanted = parse_qualities(qualities, names)
    encode_options = {"model": model, "effort": effort, "backend": backend, "patches": patches}
    decode_options = {"backend": backend}
    given = {
        "encode_options": {key: value for key, value in encode_options.items() if value is not None},
        "decode_options": {key: value for key, value in decode_options.items() if value is not None},
    }
    plan = Plan(
        work=tuple((name, q) for name in names for q in wanted[name]), lpips=lpips, ltokc_options=given,
        model=model_name(model) if OURS in names else None,
    )  # fmt: skip
    paths = pictures(images)[:limit]
    unfinished = Unfinished(out, conditions(paths, plan))
    results: dict[str, Any] = finite(run(paths, plan, ready, jobs, unfinished))
    write_report(plan.model, results, out)
    unfinished.finish()
    if csv_out:
        write_means(csv_out, results["means"])
    if results["bd_rates"]:
        click.echo(markdown(results["bd_rates"]))


if __name__ == "__main__":
    main()

"""`ltokc batch --versus`: what was encoded, compared with rivals at equal bytes, as HTML, CSV or JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ltokc.cli.batch_tables import Reports, in_order
from ltokc.cli.console import Console, complain, reason, show_warnings
from ltokc.cli.progress import AtWork
from ltokc.cli.reading import read_ltk
from ltokc.cli.status_line import StatusLine
from ltokc.jobs import processes
from ltokc.jobs.rows import FAILED, SKIPPED, Row, totals

if TYPE_CHECKING:
    from ltokc.compare import PictureComparison
    from ltokc.compare.records import Batch

CURVES_UP_TO = 24  # pictures: whole curves of every codec take most of the time
VIEWS_UP_TO = 100  # pictures that are shown, not only measured


@dataclass(frozen=True, slots=True)
class Versus:
    """What the .ltk files of a batch are compared with.

    rivals: names of codecs; quality: the -q of the batch, None where another rate control set the rate; root: folder
    of the outputs, below which they are named; limit_pixels: None for no limit; workers: processes.
    """

    rivals: tuple[str, ...]
    quality: float | None
    root: str
    limit_pixels: int | None
    workers: int


def check_table(table: str) -> None:
    """UsageError: no comparison is written in the format of this suffix."""
    from ltokc.compare.report import suffix_of

    suffix_of(table)


def write_comparison(
    versus: Versus, reports: Reports, console: Console, rows: dict[int, Row], interrupted: bool = False
) -> None:
    """`Tables` of comparisons.  An interrupted batch is not compared."""
    from ltokc.compare.report import rendered

    if interrupted:
        return
    records, batch = compared(versus, console, in_order(rows))
    for table in reports.tables:
        reports.write(table, rendered(table, records, batch=batch))


def compared(versus: Versus, console: Console, rows: Sequence[Row]) -> tuple[list[PictureComparison], Batch]:
    """Records of the rows that have an .ltk file, in their order, and what there is to say of the others.

    A comparison that fails is told, counted as failed, and makes its row one that failed.
    """
    from ltokc.compare.records import Batch

    rows, places = list(rows), [place for place, row in enumerate(rows) if _has_ltk(row)]
    good = [rows[place] for place in places]
    compare = partial(compare_one, versus, len(good) <= CURVES_UP_TO, len(good) <= VIEWS_UP_TO)
    found: dict[int, PictureComparison] = {}
    workers = min(versus.workers, max(1, len(good)))
    at_work = AtWork(len(good))
    running = processes.run(
        good, compare, workers, started=show_warnings, heard=lambda i, row, *steps: at_work.heard(i, row.input, *steps)
    )
    with StatusLine(lambda: f"comparing: {at_work.text()}", not console.quiet), closing(running) as outcomes:
        for outcome in outcomes:
            at_work.finished(outcome.index)
            try:
                found[outcome.index] = outcome.get()
            except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
                console.failed += 1
                console.trace(error)
                text = f"cannot be compared: {reason(error, outcome.job.input)}"
                complain(f"{outcome.job.input}: {text}")
                rows[places[outcome.index]] = replace(outcome.job, status=FAILED, error=text)
    done = {places[index] for index in found}
    without = tuple(row for place, row in enumerate(rows) if place not in done)
    return [found[index] for index in sorted(found)], Batch(totals(rows), without)


def _has_ltk(row: Row) -> bool:
    """Whether there is an .ltk file of this row: a copy is none, and --no-clobber may have found a copy there."""
    if row.status == FAILED or not row.output or not row.output.endswith(".ltk"):
        return False
    return row.status != SKIPPED or os.path.isfile(row.output)


def compare_one(versus: Versus, curve: bool, views: bool, row: Row) -> PictureComparison:
    """The record of a row with an .ltk file; curve, views: see `ltokc.compare.compare_picture`."""
    from ltokc.compare import batch_rows

    assert row.output is not None
    name = os.path.relpath(row.output, versus.root)
    data = read_ltk(row.output)
    found = batch_rows(row.input, data, name=name, quality=versus.quality, versus=versus.rivals, curve=curve,
                       views=views, limit_pixels=versus.limit_pixels)  # fmt: skip
    return replace(found, source=row.input, status=row.status)

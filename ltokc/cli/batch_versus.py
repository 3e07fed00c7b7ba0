"""`ltokc batch --versus`: what was encoded, compared with rivals at equal bytes, as HTML, CSV or JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from ltokc.cli.console import Report, complain, reason
from ltokc.jobs import paths
from ltokc.jobs import processes as workers
from ltokc.jobs.rows import FAILED, Row

if TYPE_CHECKING:
    from ltokc.compare import PictureComparison

CURVES_UP_TO = 24  # pictures: whole curves of every codec take most of the time
VIEWS_UP_TO = 100  # pictures that are shown, not only measured


def compare_one(
    versus: Sequence[str], quality: float | None, root: str, curve: bool, views: bool, limit_pixels: int | None,
    row: Row,
) -> PictureComparison:  # fmt: skip
    from ltokc.compare import batch_rows

    assert row.output is not None
    name = os.path.relpath(row.output, root)
    data = paths.read(row.output)
    return batch_rows(row.input, data, name=name, quality=quality, versus=versus, curve=curve, views=views,
                      limit_pixels=limit_pixels)  # fmt: skip


def compared(
    report: Report, rows: Sequence[Row], versus: Sequence[str], quality: float | None, root: str,
    limit_pixels: int | None, processes: int,
) -> list[PictureComparison]:  # fmt: skip
    """Records of the rows that have an .ltk file, in their order; one that fails is told and counted as failed."""
    good = [row for row in rows if row.status != FAILED and row.output and row.output.endswith(".ltk")]
    curve, views = len(good) <= CURVES_UP_TO, len(good) <= VIEWS_UP_TO
    compare = partial(compare_one, versus, quality, root, curve, views, limit_pixels)
    found: dict[int, PictureComparison] = {}
    with closing(workers.run(good, compare, min(processes, max(1, len(good))))) as outcomes:
        for outcome in outcomes:
            try:
                found[outcome.index] = outcome.get()
            except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
                report.failed += 1
                report.trace(error)
                complain(f"{outcome.job.input}: cannot be compared: {reason(error, outcome.job.input)}")
    return [found[i] for i in sorted(found)]

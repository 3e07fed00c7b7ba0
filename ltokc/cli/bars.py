"""A progress bar on stderr for pictures that take several steps."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ltokc.cli.console import Report, one_line
from ltokc.threads import Progress

FEW = 4  # steps of pictures that are done before a bar would be read


def bars_wanted(report: Report, workers: int) -> bool:
    """Only people at a terminal want bars, and several at a time would overwrite each other."""
    return workers == 1 and not report.quiet and sys.stderr.isatty()


@contextmanager
def bar(name: str, wanted: bool) -> Iterator[Progress | None]:
    """A callback for `ltokc.codec` that draws a bar, None where none is wanted; the bar is gone at the end."""
    drawn: Any = None

    def advance(done: int, total: int) -> None:
        nonlocal drawn
        if drawn is None:
            if total < FEW:
                return
            from tqdm import tqdm

            drawn = tqdm(total=total, desc=one_line(os.path.basename(name))[:30], leave=False, file=sys.stderr)
        drawn.update(done - drawn.n)

    try:
        yield advance if wanted else None
    finally:
        if drawn is not None:
            drawn.close()

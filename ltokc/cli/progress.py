"""Progress bars on stderr: the steps of one picture, and the pictures of a batch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ltokc.cli import interruption
from ltokc.cli.console import Console, one_line
from ltokc.jobs.rows import FRESH, Row
from ltokc.threads import Progress

FEW = 4  # steps of pictures that are done before a bar would be read


def bars_wanted(console: Console, workers: int) -> bool:
    """Only people at a terminal want bars, and several at a time would overwrite each other."""
    return workers == 1 and not console.quiet and sys.stderr.isatty()


@contextmanager
def step_bar(name: str, wanted: bool) -> Iterator[Progress]:
    """A callback for `ltokc.codec` that draws a bar where one is wanted; the bar is gone at the end.

    It raises KeyboardInterrupt for a signal that nobody else has told of.
    """
    drawn: Any = None

    def advance(done: int, total: int) -> None:
        nonlocal drawn
        interruption.check()
        if not wanted:
            return
        if drawn is None:
            if total < FEW:
                return
            from tqdm import tqdm

            drawn = tqdm(total=total, desc=one_line(os.path.basename(name))[:30], leave=False, file=sys.stderr)
        drawn.update(done - drawn.n)

    try:
        yield advance
    finally:
        if drawn is not None:
            drawn.close()


def human(size: float) -> str:
    """A number of bytes for people: 812 B, 3.4 kB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class BatchProgress:
    """Pictures done of `total`, megapixels per second, bytes in and out; a bar only where `show`."""

    def __init__(self, total: int, show: bool):
        self.start = time.monotonic()
        self.pixels = self.bytes_in = self.bytes_out = 0
        self.bar: Any = None
        if show and total:
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit=" pictures", dynamic_ncols=True, mininterval=0.2, leave=False)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def add(self, row: Row) -> None:
        if row.status in FRESH:
            self.pixels += row.pixels
            self.bytes_in += row.input_bytes or 0
            self.bytes_out += row.output_bytes or 0
        if self.bar is not None:
            self.bar.set_postfix_str(self.text(), refresh=False)
            self.bar.update()

    def text(self) -> str:
        rate = self.pixels / 1e6 / max(self.seconds, 1e-6)
        return f"{rate:.2f} MP/s, {human(self.bytes_in)} -> {human(self.bytes_out)}"

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Lines written inside appear above the bar."""
        if self.bar is None:
            yield
            return
        with self.bar.external_write_mode(file=sys.stderr):
            yield

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

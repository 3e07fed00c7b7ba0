"""How far the work is: the picture that is worked on, and the pictures of a run."""

from __future__ import annotations

import os
import time

from ltokc.cli import interruption
from ltokc.cli.status_line import clock
from ltokc.jobs.reporting import report
from ltokc.jobs.rows import FRESH, Row

MOST_NAMED = 3  # pictures at work that the line names


def advance(done: int, total: int) -> None:
    """The `progress` of `ltokc.codec`: handed on to whoever shows it, from whichever process.

    It raises KeyboardInterrupt for a signal that nobody else has told of.
    """
    interruption.check()
    report(done, total)


def human(size: float) -> str:
    """A number of bytes for people: 812 B, 3.4 kB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class AtWork:
    """Jobs done of `total`, and how far those are that are worked on: the text of a status line."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        self.start = time.monotonic()
        self._at_work: dict[int, str] = {}

    def heard(self, index: int, name: str, done: int, total: int) -> None:
        """The job of this index has done so many steps of `total`; 0 of 0 as it begins."""
        share = f" {100 * done // total} %" if total else ""
        self._at_work[index] = os.path.basename(name) + share

    def finished(self, index: int) -> None:
        """The job of this index is done, or has failed."""
        self._at_work.pop(index, None)
        self.done += 1

    def text(self) -> str:
        """photo.png 45 %, 0:12; of several jobs how many are done before it."""
        named = list(self._at_work.values())
        more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
        counts = [f"{self.done:,} of {self.total:,} done"] if self.total > 1 else []
        return ", ".join([*counts, *self.said(), *named[:MOST_NAMED], *more, clock(self.start)])

    def said(self) -> list[str]:
        """What else there is to say."""
        return []


class BatchProgress(AtWork):
    """Pictures done of `total`, megapixels per second, bytes in and out."""

    def __init__(self, total: int):
        super().__init__(total)
        self.pixels = self.bytes_in = self.bytes_out = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def add(self, index: int, row: Row) -> None:
        """The picture of this index is done."""
        self.finished(index)
        if row.status in FRESH:
            self.pixels += row.pixels
            self.bytes_in += row.input_bytes or 0
            self.bytes_out += row.output_bytes or 0

    def sums(self) -> str:
        """Speed and sizes so far."""
        rate = self.pixels / 1e6 / max(self.seconds, 1e-6)
        return f"{rate:.2f} MP/s, {human(self.bytes_in)} -> {human(self.bytes_out)}"

    def said(self) -> list[str]:
        return [self.sums()] if self.pixels else []

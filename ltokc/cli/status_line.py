"""The last line of a terminal, which says how far long work is; it is gone when the work is done."""

from __future__ import annotations

import os
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

DELAY = 2.0  # seconds of work before there is a line
EVERY = 0.5  # seconds between two of its states
_shown: list[StatusLine] = []  # the one of this process: inner ones say nothing


class StatusLine:
    """A context in which a line on stderr is drawn again and again by a thread, from the third second on.

    text: of the line, called from that thread; wanted: whether people want one.  It needs a terminal.
    """

    def __init__(self, text: Callable[[], str], wanted: bool = True):
        self.text = text
        self.wanted = wanted and sys.stderr.isatty()
        self.lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._columns = 0  # that are written on

    def __enter__(self) -> StatusLine:
        if self.wanted and not _shown:
            thread = threading.Thread(target=self._draw_again, daemon=True)
            with suppress(RuntimeError):  # no thread may be started: the work goes on without a line
                thread.start()
                self._thread = thread
                _shown.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None
            _shown.remove(self)
            self.erase()

    def _draw_again(self) -> None:
        if self._over.wait(DELAY):
            return
        while True:
            with self.lock:
                self._draw()
            if self._over.wait(EVERY):
                return

    def _draw(self) -> None:
        text, columns = fitted(self.text(), _width())
        self._write("\r" + text + " " * (self._columns - columns))
        self._columns = columns

    def erase(self) -> None:
        """Leaves the line empty, with the cursor at its start."""
        with self.lock:
            if self._columns:
                self._write("\r" + " " * self._columns + "\r")
            self._columns = 0

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


@contextmanager
def aside() -> Iterator[None]:
    """What is written inside is a line of its own, above the status line if there is one."""
    if not _shown:
        yield
        return
    line = _shown[0]
    with line.lock:
        line.erase()
        yield


def clock(start: float) -> str:
    """Time since `start` (of time.monotonic) as 0:07 or 1:02:03."""
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def fitted(text: str, most: int) -> tuple[str, int]:
    """A text cut to `most` columns of a terminal, and the columns that it takes; control characters are left out."""
    out, columns = [], 0
    for character in text:
        if not character.isprintable():
            continue
        wide = 0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        if columns + wide > most:
            break
        out.append(character)
        columns += wide
    return "".join(out), columns


def _width() -> int:
    """Columns that may be written without a new line."""
    try:
        return max(10, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
    except (OSError, ValueError):
        return 79

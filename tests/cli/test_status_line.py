"""Work of more than two seconds says at a terminal how far it is: real terminals, and pictures that take as long as the
test wants, since they come through pipes.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from ltokc.cli.progress import AtWork
from ltokc.cli.status_line import clock, fitted
from ltokc.jobs import processes
from ltokc.jobs.reporting import report
from tests.support.cli_runner import ENVIRONMENT
from tests.support.pictures import grainy

posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals and pipes of POSIX")
COLUMNS = 60
LIMIT = 60.0  # seconds until a test that hangs fails


class Terminal:
    """What a program on a terminal of 60 columns says, as it comes."""

    def __init__(self, *args: str):
        import fcntl
        import termios

        self.master, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, COLUMNS, 0, 0))
        self.said = ""
        self.process = subprocess.Popen([sys.executable, "-m", "ltokc", *args], env=ENVIRONMENT, stderr=terminal,
                                        stdout=subprocess.DEVNULL)  # fmt: skip
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self.master, 1 << 12):
                self.said += data.decode()

    def wait_for(self, pattern: str) -> str:
        """What the pattern finds, as soon as it does."""
        end = time.monotonic() + LIMIT
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < end and self.process.poll() is None, self.said
            time.sleep(0.02)
        return found[0]

    def screen(self) -> list[str]:
        """The lines as they stand on the screen in the end."""
        self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        lines = []
        for raw in self.said.replace("\r\n", "\n").split("\n"):
            line = ""
            for part in raw.split("\r"):
                line = part + line[len(part) :]
            lines.append(line.rstrip())
        return lines


@contextlib.contextmanager
def pipes(*names: str) -> Iterator[None]:
    """Named pipes from which a picture comes only after this."""
    for name in names:
        os.mkfifo(name)
    yield
    buffer = io.BytesIO()
    Image.fromarray(grainy(64, 48)).save(buffer, "PNG")
    for name in names:
        Path(name).write_bytes(buffer.getvalue())


@posix
@pytest.mark.parametrize(("command", "jobs"), [("encode", "1"), ("batch", "2")])
def test_one_slow_picture(here: Path, command: str, jobs: str) -> None:
    with pipes("slow.png"):
        terminal = Terminal(command, "slow.png", "-d", "out", "-j", jobs)
        assert terminal.wait_for(r"slow\.png, 0:0[2-9]")
        terminal.wait_for(r"slow\.png, 0:0[3-9]")
    screen = terminal.screen()
    assert terminal.process.returncode == 0 and Path("out/slow.ltk").exists()
    assert not [line for line in screen if ", 0:" in line], "the line is gone in the end"


@posix
@pytest.mark.parametrize("command", ["batch"])
def test_several_slow_pictures_in_two_processes(here: Path, command: str) -> None:
    Path("bad.png").write_text("no picture")
    with pipes("one.png", "two.png"):
        terminal = Terminal(command, "bad.png", "one.png", "two.png", "-d", "out", "-j", "2")
        found = terminal.wait_for(r"1 of 3 done, (one|two)\.png, (one|two)\.png, 0:0[2-9]")
        assert "one.png" in found and "two.png" in found
    screen = terminal.screen()
    assert terminal.process.returncode == 1 and len(list(Path("out").glob("*.ltk"))) == 2
    assert any(re.fullmatch(r"ltokc: bad\.png: .*", line) for line in screen), "lines stand above it, whole"
    assert not [line for line in screen if "of 3 done" in line]


@posix
@pytest.mark.parametrize("line", ["decode slow.ltk -o x.png", "verify slow.ltk"])
def test_every_command_on_a_file(here: Path, encoded: bytes, line: str) -> None:
    os.mkfifo("slow.ltk")
    terminal = Terminal(*line.split())
    terminal.wait_for(r"slow\.ltk, 0:0[2-9]")
    Path("slow.ltk").write_bytes(encoded)
    assert not [line for line in terminal.screen() if ", 0:" in line] and terminal.process.returncode == 0


@posix
def test_quiet_is_quiet(here: Path) -> None:
    with pipes("slow.png"):
        terminal = Terminal("encode", "slow.png", "-o", "x.ltk", "--quiet")
        time.sleep(3)
    assert terminal.screen() == [""]


def far(job: int) -> int:
    for step in range(1, 5):
        report(step, 4)
    return job


@pytest.mark.parametrize("workers", [1, 2])
def test_steps_are_heard_of_work_in_every_process(workers: int) -> None:
    heard: list[tuple[int, int, int, int]] = []
    running = processes.run([7, 8, 9], far, workers, heard=lambda *told: heard.append(told))
    assert sorted(outcome.get() for outcome in running) == [7, 8, 9]
    for index, job in enumerate([7, 8, 9]):
        told = [steps for i, j, *steps in heard if i == index and j == job]
        assert told[0] == [0, 0] and (workers == 2 or told[1:] == [[n, 4] for n in (1, 2, 3, 4)])
    report(1, 2)  # nobody listens, and nothing happens
    assert len(heard) == (15 if workers == 1 else 3)


def test_the_text_of_a_run() -> None:
    work = AtWork(9)
    assert work.text() == "0 of 9 done, 0:00"
    for index in range(5):
        work.heard(index, f"in/{index}.png", index, 10 * (index > 0))
    work.finished(4)
    assert work.text() == "1 of 9 done, 0.png, 1.png 10 %, 2.png 20 %, 1 more, 0:00"
    alone = AtWork(1)
    alone.heard(0, "in/a.png", 1, 3)
    assert alone.text() == "a.png 33 %, 0:00"


def test_clock_and_columns() -> None:
    now = time.monotonic()
    assert [clock(now - s) for s in (0, 61, 3599.9, 3725)] == ["0:00", "1:01", "59:59", "1:02:05"]
    assert fitted("写真.png", 5) == ("写真.", 5) and fitted("e\u0301a", 2) == ("e\u0301a", 2)
    assert fitted("a\x1b[31m\nb", 9) == ("a[31mb", 6)

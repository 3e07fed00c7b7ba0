"""A few processes that work through many jobs, each on one at a time, and survive each other's deaths.

Unlike `concurrent.futures`, a process that is killed (out of memory, a crash inside a codec) costs the one job it had:
that job fails by name, the rest goes on in a new process.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, Generic, TypeVar

from ltokc.errors import LtokcError

Job = TypeVar("Job")
Value = TypeVar("Value")
THREADS = ("LTOKC_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE = 3.0  # seconds that a process has to leave by itself


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Job, Value]):
    """What became of a job: `get()` is its value, or raises what the work raised.  `index` counts jobs from 0."""

    index: int
    job: Job
    value: Value | None = None
    error: Exception | None = None

    def get(self) -> Value:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class WorkerDied(LtokcError):
    """The process that had this job ended without an answer."""


class _Ended(BaseException):
    """SIGTERM came: unwind, so that temporary files go."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    jobs: Iterable[Job], work: Callable[[Job], Value], workers: int = 1
) -> Generator[Outcome[Job, Value], None, None]:
    """Yields an Outcome for every job, as they are finished; with one worker in this process and in order.

    With several, `work`, jobs and values are pickled; each process gets its share of the cores as threads.  Closing
    the generator (or an exception in it, such as KeyboardInterrupt) ends the processes.
    """
    if workers < 2:
        for index, job in enumerate(jobs):
            try:
                outcome: Outcome[Job, Value] = Outcome(index, job, work(job))
            except Exception as error:  # noqa: BLE001 (handed on to whoever asks for the value)
                outcome = Outcome(index, job, error=error)
            yield outcome
        return
    crew = _Crew(deque(enumerate(jobs)), work, workers)
    try:
        yield from crew.outcomes()
    except BaseException:
        crew.end()
        raise
    crew.dismiss()


def in_order(outcomes: Iterable[Outcome[Job, Value]]) -> Generator[Outcome[Job, Value], None, None]:
    """The same outcomes in the order of their jobs; what is early waits."""
    early: dict[int, Outcome[Job, Value]] = {}
    turn = 0
    for outcome in outcomes:
        early[outcome.index] = outcome
        while turn in early:
            yield early.pop(turn)
            turn += 1


@dataclass
class _Hand:
    """One process, its pipe, and the jobs it was given and has not answered, the one at work first."""

    process: Any
    pipe: connection.Connection
    given: deque[tuple[int, Any]] = field(default_factory=deque)


class _Crew:
    def __init__(self, waiting: deque[tuple[int, Any]], work: Callable[[Any], Any], workers: int):
        self.waiting, self.work = waiting, work
        self.workers = min(workers, len(waiting))
        self.context = multiprocessing.get_context("spawn")
        self.hands: list[_Hand] = []

    def outcomes(self) -> Generator[Outcome, None, None]:
        while True:
            while len(self.hands) < self.workers and len(self.waiting) > 0:
                with _deaf():
                    self.hands.append(self._hire())
            for hand in self.hands:
                self._give(hand)
            busy = {hand.pipe: hand for hand in self.hands if hand.given}
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                yield self._answer(busy[pipe])  # type: ignore[index]

    def _hire(self) -> _Hand:
        here, there = self.context.Pipe()
        threads = max(1, cores() // self.workers)
        process = self.context.Process(target=_serve, args=(there, self.work, threads), daemon=True)
        process.start()
        there.close()  # so that the end of the process is the end of the pipe
        return _Hand(process, here)

    def _give(self, hand: _Hand) -> None:
        """A second job lies ready while one is at work, as long as nobody else would have to wait for it."""
        while self.waiting and len(hand.given) < (2 if len(self.waiting) > self.workers else 1):
            job = self.waiting.popleft()
            hand.given.append(job)
            try:
                hand.pipe.send(job[1])
            except OSError:  # it is gone; the end of its pipe will tell
                return

    def _answer(self, hand: _Hand) -> Outcome:
        try:
            good, value = hand.pipe.recv()
        except (EOFError, OSError):
            return self._bury(hand)
        index, job = hand.given.popleft()
        return Outcome(index, job, value) if good else Outcome(index, job, error=value)

    def _bury(self, hand: _Hand) -> Outcome:
        self.hands.remove(hand)
        hand.pipe.close()
        hand.process.join()
        (index, job), *rest = hand.given
        self.waiting.extendleft(reversed(rest))
        code = hand.process.exitcode
        how = f"was killed by signal {-code}" if code and code < 0 else f"ended with status {code}"
        return Outcome(index, job, error=WorkerDied(f"the process that worked on it {how}"))

    def dismiss(self) -> None:
        """All is done: the processes see their pipes end and leave."""
        for hand in self.hands:
            hand.pipe.close()
        for hand in self.hands:
            hand.process.join(PATIENCE)
        self.end()

    def end(self) -> None:
        for hand in self.hands:
            hand.process.terminate()
        for hand in self.hands:
            hand.process.join(PATIENCE)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait: a process is started wholly, and known to the crew, or not at all.

    What is started in here inherits that: Ctrl-C, which reaches the whole group, it never hears, since the parent ends
    its workers; SIGTERM it hears once it is ready to leave in order (`_serve`).
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first start would start it, and unblock both signals after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: connection.Connection, work: Callable[[Any], Any], threads: int) -> None:
    """The life of a process: jobs in, (True, value) or (False, exception) out, until the other end is gone."""
    try:
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for name in THREADS:
            os.environ.setdefault(name, str(threads))  # numpy and the runtimes are not loaded yet
        warnings.showwarning = _warn
        while True:
            job = pipe.recv()
            try:
                answer = (True, work(job))
            except Exception as error:  # noqa: BLE001 (told by the parent)
                answer = (False, _portable(error))
            pipe.send(answer)
    except (EOFError, OSError, _Ended):
        return


def _leave(number: int, frame: object) -> None:
    raise _Ended


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    from ltokc.cli.console import complain

    complain(f"warning: {message}")


def _portable(error: Exception) -> Exception:
    """The exception as it can cross to the parent, with its traceback as a note."""
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        copy.copy(error)  # goes the way that the pipe will: made again of its arguments
    except Exception:  # noqa: BLE001 (exceptions with arguments of their own)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

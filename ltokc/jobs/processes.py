"""A few processes that work through many jobs, each on one at a time, and survive each other's deaths.

Unlike `concurrent.futures`, a process that is killed (out of memory, a crash inside a codec) costs the one job it had:
that job fails by name, the rest goes on in a new process.
"""

from __future__ import annotations

import copy
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ltokc.errors import LtokcError
from ltokc.jobs.reporting import reporting
from ltokc.spawn import safe_path
from ltokc.threads import VARIABLES, cores

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Heard = Callable[[int, Any, int, int], None]  # index of a job, the job, steps done and in all: 0 and 0 as it begins
Job = TypeVar("Job")
Value = TypeVar("Value")
PATIENCE = 3.0  # seconds that a process has to leave by itself
OFTEN = 0.2  # seconds between two reports of a process


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
    """SIGTERM came: unwind, so that temporary files go.  `noted`: it came, also where a library swallowed this."""

    noted = False


def run(
    jobs: Iterable[Job], work: Callable[[Job], Value], workers: int = 1, started: Callable[[], None] | None = None,
    heard: Heard | None = None,
) -> Generator[Outcome[Job, Value], None, None]:  # fmt: skip
    """Yields an Outcome for every job, as they are finished; with one worker in this process and in order.

    With several, `work`, jobs, values and `started` are pickled; each process gets its share of the cores as threads
    and calls `started` once, before its first job.  heard: is told, in this process, what work gives to `report`.
    Closing the generator (or an exception in it, such as KeyboardInterrupt) ends the processes.
    """
    if workers < 2:
        for index, job in enumerate(jobs):
            try:
                with reporting(None if heard is None else partial(heard, index, job)):
                    outcome: Outcome[Job, Value] = Outcome(index, job, work(job))
            except Exception as error:  # noqa: BLE001 (handed on to whoever asks for the value)
                outcome = Outcome(index, job, error=error)
            yield outcome
        return
    pool = _Pool(deque(enumerate(jobs)), work, workers, started, heard)
    try:
        yield from pool.outcomes()
    except BaseException:
        pool.terminate()
        raise
    pool.close()


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
class _Worker:
    """One process, its pipe, and the jobs it was given and has not answered, the one at work first."""

    process: Any
    pipe: Connection
    alive: Connection  # nobody writes to it; when the parent dies, it closes
    given: deque[tuple[int, Any]] = field(default_factory=deque)


class _Pool:
    """The processes of a run, started as they are needed, and the jobs that no process has yet."""

    def __init__(
        self, waiting: deque[tuple[int, Any]], work: Callable[[Any], Any], size: int,
        started: Callable[[], None] | None, heard: Heard | None,
    ):  # fmt: skip
        from multiprocessing import get_context  # only now: the help of commands shall start at once

        self.waiting, self.work, self.started, self.heard = waiting, work, started, heard
        self.size = min(size, len(waiting))
        self.context = get_context("spawn")
        self.workers: list[_Worker] = []

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Gives out all jobs, and yields what became of each as soon as it is known."""
        from multiprocessing.connection import wait

        while True:
            while len(self.workers) < self.size and len(self.waiting) > 0:
                with safe_path(), _signals_held():
                    self.workers.append(self._start())
            for worker in self.workers:
                self._give(worker)
            busy = {worker.pipe: worker for worker in self.workers if worker.given}
            if not busy:
                return
            for pipe in wait(list(busy)):
                if (outcome := self._answer(busy[pipe])) is not None:  # type: ignore[index]
                    yield outcome

    def _start(self) -> _Worker:
        here, there = self.context.Pipe()
        over, alive = self.context.Pipe(duplex=False)
        threads = max(1, cores() // self.size)
        settings = _Settings(self.work, threads, self.started, self.heard is not None)
        process = self.context.Process(target=_serve, args=(there, over, settings), daemon=True)
        process.start()
        there.close()  # so that the end of the process is the end of the pipe
        over.close()
        return _Worker(process, here, alive)

    def _give(self, worker: _Worker) -> None:
        """A second job lies ready while one is at work, as long as nobody else would have to wait for it."""
        while self.waiting and len(worker.given) < (2 if len(self.waiting) > self.size else 1):
            job = self.waiting.popleft()
            worker.given.append(job)
            try:
                worker.pipe.send(job[1])
            except OSError:  # it is gone; the end of its pipe will tell
                return

    def _answer(self, worker: _Worker) -> Outcome | None:
        """What a process sent: the end of its job, or None for a report of steps."""
        try:
            good, value = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker)
        if good is None:
            if self.heard is not None:
                self.heard(*worker.given[0], *value)
            return None
        index, job = worker.given.popleft()
        return Outcome(index, job, value) if good else Outcome(index, job, error=value)

    def _died(self, worker: _Worker) -> Outcome:
        """The job at work fails; one that lay ready goes back to the front."""
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        (index, job), *rest = worker.given
        self.waiting.extendleft(reversed(rest))
        code = worker.process.exitcode
        how = f"was killed by signal {-code}" if code and code < 0 else f"ended with status {code}"
        return Outcome(index, job, error=WorkerDied(f"the process that worked on it {how}"))

    def close(self) -> None:
        """All is done: the processes see their pipes end and leave."""
        for worker in self.workers:
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(PATIENCE)
        self.terminate()

    def terminate(self) -> None:
        """Processes that do not leave in time are killed."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP wait: a process is started wholly, and known to the pool, or not at all.

    What is started in here inherits that: Ctrl-C and SIGHUP, which reach the whole group, it never hears, since the
    parent ends its workers; SIGTERM it hears once it is ready to leave in order (`_serve`).
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first start would start it, and unblock both signals after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a process is started with.  threads: its share of the cores; heard: somebody wants to know of steps."""

    work: Callable[[Any], Any]
    threads: int
    started: Callable[[], None] | None
    heard: bool


class _Reporter:
    """Sends the steps of a job, but not too often."""

    def __init__(self, pipe: Connection):
        self.pipe, self.last = pipe, -OFTEN

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last >= OFTEN:
            self.last = now
            with suppress(OSError):  # the parent is gone, which the end of the job will find out
                self.pipe.send((None, (done, total)))


def _watch(over: Connection) -> None:
    """Ends this process at once when its parent is gone, killed perhaps: the job at work is nobody's any more."""
    with suppress(EOFError, OSError):
        over.recv_bytes()
    os._exit(1)


def _serve(pipe: Connection, over: Connection, settings: _Settings) -> None:
    """The life of a process: jobs in, (True, value) or (False, exception) out, until the other end is gone.

    Before these, any number of (None, (steps done, in all)).
    """
    try:
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for name in VARIABLES:
            os.environ.setdefault(name, str(settings.threads))  # numpy and the runtimes are not loaded yet
        threading.Thread(target=_watch, args=(over,), daemon=True).start()
        if settings.started is not None:
            settings.started()
        while True:
            job = pipe.recv()
            try:
                with reporting(_Reporter(pipe) if settings.heard else None):
                    answer = (True, settings.work(job))
            except Exception as error:  # noqa: BLE001 (told by the parent)
                answer = (False, _portable(error))
            if _Ended.noted:
                return
            pipe.send(answer)
    except (EOFError, OSError, _Ended):
        return


def _leave(number: int, frame: object) -> None:
    _Ended.noted = True
    raise _Ended


def _portable(error: Exception) -> Exception:
    """The exception as it can cross to the parent, with its traceback as a note."""
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        copy.copy(error)  # goes the way that the pipe will: made again of its arguments
    except Exception:  # noqa: BLE001 (exceptions with arguments of their own)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

"""Several processes for one list of jobs: every job has its outcome, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ltokc.jobs import processes
from ltokc.jobs.processes import WorkerDied


class Awkward(Exception):
    """An exception that does not survive pickling."""

    def __init__(self, first: int, second: int):
        super().__init__(f"{first} and {second}")


def work(job: int | str) -> object:
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exit":
        os._exit(7)
    if job == "raise":
        raise FileNotFoundError(2, "nowhere", "x.png")
    if job == "awkward":
        raise Awkward(1, 2)
    if isinstance(job, str) and job.startswith("hold "):
        path = Path(job.removeprefix("hold "))
        try:  # from before the file can be seen: the test may end this process at that moment
            path.touch()
            time.sleep(60)
        finally:
            path.unlink()
    return job if isinstance(job, str) else (job * job, os.getpid())


def test_every_job_has_its_outcome_in_other_processes() -> None:
    outcomes = list(processes.in_order(processes.run(range(9), work, 2)))
    assert [o.job for o in outcomes] == list(range(9))
    assert [o.get()[0] for o in outcomes] == [n * n for n in range(9)]  # type: ignore[index]
    assert os.getpid() not in {o.get()[1] for o in outcomes}  # type: ignore[index]


def test_one_worker_is_this_process() -> None:
    assert {o.get()[1] for o in processes.run(range(3), work)} == {os.getpid()}  # type: ignore[index]


@pytest.mark.parametrize("count", [1, 2])
def test_exceptions_belong_to_their_job(count: int) -> None:
    outcomes = list(processes.in_order(processes.run(["a", "raise", "awkward", "b"], work, count)))
    assert [o.error is None for o in outcomes] == [True, False, False, True]
    with pytest.raises(FileNotFoundError) as error:
        outcomes[1].get()
    assert error.value.filename == "x.png"
    assert "1 and 2" in str(outcomes[2].error)


def test_death_of_a_process_costs_only_the_job_it_had() -> None:
    jobs = ["a", "die", "b", "exit", "c", "die", "d", "e", "f"]
    outcomes = list(processes.in_order(processes.run(jobs, work, 2)))
    assert [o.job for o in outcomes] == jobs
    for outcome in outcomes:
        assert isinstance(outcome.error, WorkerDied) == (outcome.job in ("die", "exit")), outcome
        if outcome.error is None:
            assert outcome.get() == outcome.job
    assert "signal 9" in str(outcomes[1].error)
    assert "status 7" in str(outcomes[3].error)


def test_processes_that_are_stopped_clean_up(tmp_path: Path) -> None:
    held = tmp_path / "held"
    with closing(processes.run(["a", f"hold {held}"], work, 2)) as outcomes:
        assert next(outcomes).get() == "a"
        limit = time.monotonic() + 20
        while not held.exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
    assert not held.exists()


def mark_environment() -> None:
    os.environ["STARTED"] = f"{os.environ.get('STARTED', '')}once"


def marked(_: int) -> str | None:
    return os.environ.get("STARTED")


def test_every_process_is_started_once_before_its_first_job() -> None:
    outcomes = processes.run(range(6), marked, 2, started=mark_environment)
    assert {o.get() for o in outcomes} == {"once"}
    assert {o.get() for o in processes.run(range(2), marked, started=mark_environment)} == {None}


def test_no_jobs() -> None:
    assert list(processes.run([], work, 2)) == []


def mask_of(_: int) -> list[int]:
    return sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be held back here")
def test_no_process_hears_ctrl_c_or_sighup_and_all_hear_sigterm(tmp_path: Path) -> None:
    """Also the first, whose start starts a helper that unblocks all: in a program of its own, where none runs yet."""
    code = (
        "from ltokc.jobs import processes\nfrom tests.jobs.test_processes import mask_of\n"
        "if __name__ == '__main__':\n    print(sorted(o.get() for o in processes.run([0, 1], mask_of, 2)))"
    )
    path = tmp_path / "masks.py"
    path.write_text(code)
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, str(path)], env={**os.environ, "PYTHONPATH": root}, capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    held = sorted([int(signal.SIGINT), int(signal.SIGHUP)])
    assert done.stdout == f"{[held, held]}\n", done.stderr


def sleeping(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)


def exists(process: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_processes_end_at_once_when_their_parent_is_killed(tmp_path: Path) -> None:
    """A run that goes on with what it left would else find them at work."""
    names = [str(tmp_path / name) for name in "ab"]
    script = tmp_path / "parent.py"
    script.write_text(
        "from ltokc.jobs import processes\nfrom tests.jobs.test_processes import sleeping\n"
        f"if __name__ == '__main__':\n    list(processes.run({names!r}, sleeping, 2))"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": root}) as parent:
        limit = time.monotonic() + 60
        while not all(Path(name).exists() and Path(name).read_text() for name in names):
            assert time.monotonic() < limit and parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    workers = [int(Path(name).read_text()) for name in names]
    limit = time.monotonic() + 20
    while any(map(exists, workers)):
        assert time.monotonic() < limit
        time.sleep(0.02)

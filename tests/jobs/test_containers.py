"""Cores, memory and threads as a container allows them."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltokc import cgroup, threads
from ltokc.errors import UsageError
from tests.support.cli_runner import ENVIRONMENT, run

V2 = {"cpu.max": "150000 100000\n", "memory.max": "3000000000\n"}
NO_LIMITS = {"cpu.max": "max 100000\n", "memory.max": "max\n"}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CASES = {
    "2, in a namespace": ("0::/\n", V2, 1.5, 3e9),
    "2, without a limit": ("0::/\n", NO_LIMITS, math.inf, math.inf),
    "2, the name of the host": ("0::/docker/abc\n", V2, 1.5, 3e9),
    "2, outside of the namespace": ("0::/../other\n", V2, 1.5, 3e9),
    "2, the group above is stricter": (
        "0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "50000 100000", "a/b/memory.max": "max",
                      "a/memory.high": "7000"}, 0.5, 7000,
    ),
    "1": (
        "3:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n",
        {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
         "memory/memory.limit_in_bytes": "2000000000\n"}, 2.5, 2e9,
    ),
    "1, without a limit": (
        "3:cpu:/\n2:memory:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n",
                                 "memory/memory.limit_in_bytes": "9223372036854771712\n"}, math.inf, math.inf,
    ),
    "both, version 2 beside 1": ("1:name=systemd:/\n0::/x\n", {f"unified/x/{k}": v for k, v in V2.items()}, 1.5, 3e9),
    "odd files": ("0::/\nnonsense\n", {"cpu.max": "", "memory.max": "lots\n"}, math.inf, math.inf),
    "nothing": ("", {}, math.inf, math.inf),
}  # fmt: skip


@pytest.mark.parametrize(("member", "files", "cpus", "memory"), CASES.values(), ids=list(CASES))
def test_limits_of_a_container(tmp_path: Path, member: str, files: dict[str, str], cpus: float, memory: float) -> None:
    root, membership = tree(tmp_path / "groups", files), tmp_path / "membership"
    membership.write_text(member)
    assert cgroup.cpus(root, membership) == cpus
    assert cgroup.memory(root, membership) == memory


def test_without_groups(tmp_path: Path) -> None:
    assert cgroup.cpus(tmp_path, tmp_path / "none") == cgroup.memory(tmp_path, tmp_path / "none") == math.inf


def test_all_is_what_quota_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cgroup, "memory", lambda: 1e15)
    monkeypatch.setattr(os, "sysconf", lambda _: 1 << 25, raising=False)
    for quota, expected in ((math.inf, 64), (2.5, 3), (0.2, 1)):
        monkeypatch.setattr(cgroup, "own_cpus", lambda quota=quota: quota)
        assert threads.cores() == threads.most_workers() == expected
    monkeypatch.setattr(cgroup, "own_cpus", lambda: math.inf)
    for memory, expected in ((3.5e9, 3), (1e8, 1)):
        monkeypatch.setattr(cgroup, "memory", lambda memory=memory: memory)
        assert threads.most_workers() == expected
    monkeypatch.setattr(cgroup, "own_cpus", lambda: 4.0)
    monkeypatch.delenv("LTOKC_THREADS", raising=False)
    assert threads.runtime_threads() == 4  # a runtime of its own choice would start 64


@pytest.mark.parametrize("value", ["3000", "9" * 5000])
def test_too_many_threads_are_as_many_as_there_are_cores(here: Path, value: str) -> None:
    """Three thousand hung, a hundred thousand took 16 GB: the limit on address space ends such a run at once."""
    code = "import resource as r; r.setrlimit(r.RLIMIT_AS, (8 << 30,) * 2); import sys; from ltokc.cli import main; " \
           "sys.argv = ['ltokc', 'encode', 'photo.png']; main()"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env={**ENVIRONMENT, "LTOKC_THREADS": value},
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_no_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTOKC_THREADS", "")
    assert threads.wanted_threads() is None and threads.threads() == threads.cores()


@pytest.mark.parametrize("value", ["²", "-3", "many", "1e3", " ", "0", "000"])
def test_what_is_no_number_of_threads_is_said(here: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LTOKC_THREADS", value)
    with pytest.raises(UsageError, match="LTOKC_THREADS is a whole number"):
        threads.wanted_threads()
    result = run("encode", "photo.png", "text.png", "-d", "out")
    assert (result.exit_code, result.stderr.count("LTOKC_THREADS")) == (2, 1)
    assert run("encode", "--help").exit_code == 0


NO_THREADS = """
#include <errno.h>
#include <pthread.h>
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *given) { return EAGAIN; }
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("number", ["", "2"])
def test_one_thread_where_no_other_can_be_made(here: Path, encoded: bytes, tmp_path: Path, number: str) -> None:
    """As under a limit on processes: the picture goes to stdout, and nothing else does."""
    (tmp_path / "none.c").write_text(NO_THREADS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "none.so", "none.c"], cwd=tmp_path, check=True)
    Path("photo.ltk").write_bytes(encoded)
    environment = {k: v for k, v in ENVIRONMENT.items() if not k.endswith("_NUM_THREADS")}
    environment |= {"LD_PRELOAD": str(tmp_path / "none.so"), "LTOKC_THREADS": number}
    for words in (["decode", "photo.ltk", "-o", "-", "-f", "ppm", "--quiet"], ["encode", "photo.png", "-o", "-"]):
        done = subprocess.run([sys.executable, "-m", "ltokc", *words], env=environment, capture_output=True, timeout=60,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout[:2] in (b"P6", b"\x89L"), done.stdout[:100]


def test_a_quota_is_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    now = [1e9]
    monkeypatch.setattr(cgroup, "cpus", lambda: asked.append(now[0]) or 2.0)
    monkeypatch.setattr(cgroup.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(cgroup._Said, "at", -math.inf)
    monkeypatch.setattr(cgroup._Said, "cpus", math.inf)
    for seconds in (0.0, 0.5, 0.6, 0.1):
        now[0] += seconds
        assert cgroup.own_cpus() == 2.0
    assert asked == [1e9, 1e9 + 1.1]

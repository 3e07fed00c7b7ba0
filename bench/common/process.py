"""Commands in processes of their own: seconds, CPU time and memory, of one process or of all that it starts.

Peak memory of one process is what wait4 says, so this needs a POSIX system; that of a family is sampled from /proc,
so that needs Linux.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ltokc.errors import UsageError

SAMPLE = 0.25  # seconds between two samples of the memory
LTOKC = (sys.executable, "-m", "ltokc")
# A small process starts the command, so that the peak counted is not this one's, which a fork would hand on.
LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
print("\\n" + json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss]))
"""


def launch(words: list[str]) -> tuple[float, float]:
    """Seconds from start to end of a command, and its own peak in megabytes.  Raises UsageError where it fails."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCHER, *words], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{words[0]} could not be started: {done.stderr.strip()[-200:]}")
    code, seconds, peak = json.loads(done.stdout.splitlines()[-1])
    if code:
        raise UsageError(f"'{' '.join(words[1:4])} ...' ended with {code}: {done.stderr.strip()[-300:]}")
    per_megabyte = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss: bytes on macOS, kibibytes elsewhere
    return seconds, peak / per_megabyte


@dataclass(frozen=True, slots=True)
class Family:
    """What a command and all its processes took.

    seconds: from start to end; user, system: CPU seconds; idle: seconds that the machine's cores had nothing to do in
    that time, summed; together: the most of all processes' proportional share of memory (PSS), largest: of the largest
    process (RSS), in bytes.
    """

    seconds: float
    user: float
    system: float
    idle: float
    together: int
    largest: int

    def record(self) -> dict[str, float]:
        """As benchmarks write it: with CPU seconds as a share of the cores, and what other programs took."""
        cpu, machine = self.user + self.system, self.seconds * (os.cpu_count() or 1)
        return {
            "seconds": self.seconds, "user_seconds": self.user, "system_seconds": self.system,
            "cpu_share": cpu / self.seconds / len(os.sched_getaffinity(0)), "idle_share": self.idle / machine,
            "others_share": max(0.0, 1 - (self.idle + cpu) / machine),
            "peak_megabytes_together": self.together / 1e6, "peak_megabytes_largest": self.largest / 1e6,
        }  # fmt: skip


def launch_family(words: list[str]) -> Family:
    """Runs a command to its end, in a session of its own.  Raises UsageError where it fails."""
    with tempfile.TemporaryFile() as said:
        idle, start = _idle_seconds(), time.perf_counter()
        process = subprocess.Popen(words, stderr=said, start_new_session=True)
        memory = Memory(process.pid)
        memory.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: the session of its own does not hear of it
            os.killpg(process.pid, signal.SIGTERM)
            raise
        seconds, idle = time.perf_counter() - start, _idle_seconds() - idle
        memory.done.set()
        memory.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise UsageError(f"{' '.join(words[2:6])}: {said.read()[-400:].decode(errors='replace')}")
    return Family(seconds, usage.ru_utime, usage.ru_stime, idle, memory.together, memory.largest)


class Memory(threading.Thread):
    """Samples the processes of a session until stopped: `together` (PSS, summed) and `largest` (RSS), in bytes."""

    def __init__(self, session: int):
        super().__init__(daemon=True)
        self.session, self.together, self.largest = session, 0, 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE):
            shares = [memory_of(pid) for pid in members(self.session)]
            self.together = max(self.together, sum(pss for pss, _ in shares))
            self.largest = max([self.largest, *(rss for _, rss in shares)])


def members(session: int) -> list[int]:
    """Ids of the processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == session:
                    found.append(int(name))
            except ProcessLookupError:
                continue
    return found


def memory_of(pid: int) -> tuple[int, int]:
    """(PSS, RSS) in bytes; zeros for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return found.get("Pss", 0), found.get("Rss", 0)


def _idle_seconds() -> float:
    """Seconds that the machine's cores had nothing to do, summed, since it was started."""
    idle, waiting = Path("/proc/stat").read_text().split("\n", 1)[0].split()[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")

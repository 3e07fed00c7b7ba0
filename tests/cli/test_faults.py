"""What goes wrong around a command: one clear line, the right exit status, no half file, nothing old destroyed.

Real processes: the faults are made by limits, signals, permissions and devices, not by patches.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc import codec
from tests.support.cli_runner import ENVIRONMENT, ROOT, hears_ctrl_c, program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, limits and devices of POSIX")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
LIMIT = 2000  # bytes that a process may write to a file


@pytest.fixture
def place(here: Path, encoded: bytes) -> Path:
    """photo.png and photo.ltk, and an older output that has to survive."""
    Path("photo.ltk").write_bytes(encoded)
    Path("old.png").write_bytes(b"an older picture")
    return here


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def without_privileges() -> None:
    """Root alone may write anywhere; without this capability (capabilities(7)) it is bound by the modes of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; not allowed to other users, who have no need of it


def start(*args: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "ltokc", *args], env=ENVIRONMENT, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=hears_ctrl_c,
                            **options)  # type: ignore[call-overload,no-any-return]  # fmt: skip


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def one_line(stderr: bytes) -> str:
    assert stderr.startswith(b"ltokc: ") and stderr.count(b"\n") == 1, stderr.decode()
    return stderr.decode()


# -- disks -------------------------------------------------------------------------------------------------------------
def test_a_full_disk(place: Path) -> None:
    """A process that may write no more than 2,000 bytes to a file, with a picture that needs more."""
    before = files()
    done = program("decode", "photo.ltk", "-o", "old.png", "--overwrite", preexec_fn=small_files)
    assert done.returncode == 1
    assert "old.png: cannot be written (file too large)" in one_line(done.stderr)
    assert files() == before


def test_the_others_are_done_on_a_full_disk(place: Path) -> None:
    Path("flat.ltk").write_bytes(codec.encode(np.zeros((8, 8, 3), np.uint8), tokens=1))
    done = program("decode", "photo.ltk", "flat.ltk", "-d", "out", preexec_fn=small_files)
    assert done.returncode == 1 and b"1 done, 1 failed" in done.stderr
    assert [p.name for p in Path("out").iterdir()] == ["flat.png"]
    assert Image.open("out/flat.png").size == (8, 8)


@pytest.mark.parametrize(("length", "why"), [(LIMIT - 60, "cannot be written"), (LIMIT, "cannot be written (file too")])
def test_a_journal_on_a_full_disk_is_named(place: Path, length: int, why: str) -> None:
    """Where its first line still fits, and where none does."""
    Path("out").mkdir()
    Path("out/.ltokc-batch.journal").write_bytes(b"\n" * length)
    done = program("batch", "photo.png", "-d", "out", "-e", "0", "-j", "1", preexec_fn=small_files)
    assert done.returncode == 1 and f"out/.ltokc-batch.journal: {why}".encode() in done.stderr
    assert not Path("out/photo.ltk").exists()


def test_a_batch_ends_where_nothing_more_can_be_noted_as_done(place: Path) -> None:
    """It had encoded all the rest for nothing."""
    Path("many").mkdir()
    for i in range(9):
        Image.new("RGB", (16, 16), (30 * i, 20, 90)).save(f"many/{i}.png")
    done = program("batch", "many", "-d", "out", "-e", "0", "-j", "1", preexec_fn=small_files)
    written = len(list(Path("out").glob("*.ltk")))
    left = 9 - written - 1
    assert done.returncode == 1 and 0 < written < 7
    said = f"stopped, since nothing more can be written; {left} left; --resume goes on with them"
    assert said.encode() in done.stderr
    assert done.stderr.count(b"cannot be written") == 1
    again = program("batch", "many", "-d", "out", "-e", "0", "-j", "1", "--resume")
    assert again.returncode == 0 and len(list(Path("out").glob("*.ltk"))) == 9


@needs_full
@pytest.mark.parametrize("args", [["decode", "photo.ltk", "-o", "-"], ["encode", "photo.png", "-o", "-"]])
def test_a_full_standard_output_is_named(place: Path, args: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "ltokc", *args], stdout=full, stderr=subprocess.PIPE,
                              env=ENVIRONMENT, timeout=60, check=False)  # fmt: skip
    assert f"{args[1]}: standard output: cannot be written (no space left on device)" in one_line(done.stderr)


@needs_full
@pytest.mark.parametrize(
    "args", [["decode", "photo.ltk", "-o", "/dev/full", "-f", "png"], ["encode", "photo.png", "-o", "/dev/full"]]
)
def test_a_full_device(place: Path, args: list[str]) -> None:
    done = program(*args)
    assert done.returncode == 1 and "no space left on device" in one_line(done.stderr)


@needs_full
@pytest.mark.parametrize(
    "args",
    [
        ["decode", "photo.ltk", "-o", "-"], ["info", "photo.ltk"], ["info", "photo.ltk", "--json"],
        ["tokens", "photo.ltk", "--json"], ["encode", "photo.png", "-o", "other.ltk", "--json", "--quiet"],
        ["verify", "photo.ltk", "--json", "--quiet"], ["models"],
    ],
)  # fmt: skip
def test_standard_output_is_full(place: Path, args: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "ltokc", *args], stdout=full, stderr=subprocess.PIPE,
                              env=ENVIRONMENT, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 1 and "no space left on device" in one_line(done.stderr).lower()


@needs_full
def test_the_work_is_done_when_nobody_can_hear_of_it(place: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "ltokc", "encode", "photo.png", "missing.png", "-d", "out"],
                              stderr=full, env=ENVIRONMENT, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 1
    assert codec.info(Path("out/photo.ltk").read_bytes()).width == 96


@pytest.mark.parametrize("output", ["locked/new.png", "locked/old.png"])
def test_a_read_only_folder(place: Path, output: str) -> None:
    Path("locked").mkdir()
    Path("locked/old.png").write_bytes(b"an older picture")
    Path("locked").chmod(0o555)
    before = files()
    try:
        done = program("decode", "photo.ltk", "-o", output, "--overwrite", preexec_fn=without_privileges)
    finally:
        Path("locked").chmod(0o755)
    assert done.returncode == 1
    assert f"{output}: cannot be written (permission denied)" in one_line(done.stderr)
    assert files() == before


def test_a_report_in_a_folder_that_is_locked(place: Path) -> None:
    Path("locked").mkdir()
    Path("out").mkdir(mode=0o777)
    before = files()
    Path("locked").chmod(0o555)
    line = ["batch", "photo.png", "-d", "out", "-j", "1", "--report", "locked/r.csv"]
    try:
        done = program(*line, preexec_fn=without_privileges)
    finally:
        Path("locked").chmod(0o755)
    assert done.returncode == 1
    said = one_line(done.stderr)
    assert "--report locked/r.csv: cannot be written (folder " in said and "permission denied" in said
    assert files() == before, "and nothing was encoded"


def test_a_read_only_file_is_not_replaced(place: Path) -> None:
    Path("old.png").chmod(0o444)
    before = files()
    done = program("decode", "photo.ltk", "-o", "old.png", "--overwrite", preexec_fn=without_privileges)
    assert done.returncode == 1 and "old.png: cannot be written (permission denied)" in one_line(done.stderr)
    assert files() == before


def test_an_unreadable_input(place: Path) -> None:
    Path("photo.png").chmod(0)
    done = program("encode", "photo.png", "-o", "new.ltk", preexec_fn=without_privileges)
    assert done.returncode == 1 and "cannot be read (permission denied)" in one_line(done.stderr)


def test_a_folder_in_the_way(place: Path) -> None:
    Path("out").write_text("a file where a folder should be")
    before = files()
    done = program("decode", "photo.ltk", "-o", "out/photo.png")
    assert done.returncode == 1 and "out" in one_line(done.stderr)
    assert files() == before


# -- while it runs -----------------------------------------------------------------------------------------------------
def when_reading(pipe: Path, data: bytes, then: Callable[[], None]) -> None:
    """Hands a command its input through a named pipe; `then` runs when it has begun to read."""
    descriptor = os.open(pipe, os.O_WRONLY)  # waits for the reader
    try:
        then()
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def test_the_output_folder_vanishes(place: Path, encoded: bytes) -> None:
    """It is made again: the user asked for an output there."""
    Path("out").mkdir()
    os.mkfifo("slow.ltk")
    process = start("decode", "slow.ltk", "-o", "out/photo.png")
    when_reading(Path("slow.ltk"), encoded, lambda: Path("out").rmdir())
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert Image.open("out/photo.png").size == (96, 80) and [p.name for p in Path("out").iterdir()] == ["photo.png"]


def test_the_output_folder_becomes_a_file(place: Path, encoded: bytes) -> None:
    Path("out").mkdir()
    os.mkfifo("slow.ltk")

    def replace() -> None:
        Path("out").rmdir()
        Path("out").write_text("mine")

    process = start("decode", "slow.ltk", "-o", "out/photo.png")
    when_reading(Path("slow.ltk"), encoded, replace)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "out" in one_line(stderr)
    assert Path("out").read_text() == "mine"


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(scope="module")
def long_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that takes seconds."""
    y, x = np.mgrid[0:1600, 0:1600]
    rgb = np.stack([x * y, x ^ y, x + y], -1).astype(np.uint8)
    path = tmp_path_factory.mktemp("long") / "long.png"
    Image.fromarray(rgb).save(path, compress_level=1)
    return path


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_middle(place: Path, long_work: Path, number: signal.Signals) -> None:
    """The first of two files is there; while the second is encoded the signal comes."""
    Path("long.ltk").write_bytes(b"an older file")
    Path("long.png").symlink_to(long_work)
    process = start("encode", "photo.png", "long.png", "--overwrite")
    assert process.stderr
    assert process.stderr.readline().startswith(b"photo.png -> photo.ltk")
    before = files()
    time.sleep(0.3)
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert rest == b"ltokc: interrupted\n"
    assert files() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_with_workers(place: Path, long_work: Path, number: signal.Signals) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Path(name).symlink_to(long_work)
    before = files()
    process = start("encode", "a.png", "b.png", "c.png", "-d", "out", "-j", "2", process_group=0)
    deadline = time.monotonic() + 30
    while len(children(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = children(process.pid)
    assert len(workers) >= 2
    os.killpg(process.pid, number) if number != signal.SIGTERM else process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and b"interrupted" in stderr and b"Traceback" not in stderr, stderr.decode()
    assert files() == before
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_batch_says_how_far_it_is(place: Path, long_work: Path, number: signal.Signals) -> None:
    Path("long.png").symlink_to(long_work)
    process = start("batch", "photo.png", "long.png", "photo.png", "-d", "out", "-j", "1", "-v", process_group=0)
    assert process.stderr
    assert process.stderr.readline().startswith(b"photo.png -> out/photo.ltk")
    time.sleep(0.3)
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert rest == b"1 of 2 done; --resume goes on with the rest\nltokc: interrupted\n"
    done = program("batch", "photo.png", "-d", "out", "-j", "1", "--resume")
    assert done.returncode == 0 and b"nothing to do" in done.stderr


def test_ctrl_c_is_heard_where_this_process_ignores_it(place: Path) -> None:
    """As in `nohup make test &`, where the shell has SIGINT ignored by all that it starts."""
    os.mkfifo("slow.ltk")
    inherited = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("decode", "slow.ltk", "-o", "out.png")
    finally:
        signal.signal(signal.SIGINT, inherited)
    descriptor = os.open("slow.ltk", os.O_WRONLY)  # waits for the reader
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    os.close(descriptor)
    assert (process.returncode, stderr) == (130, b"ltokc: interrupted\n")


def children(pid: int) -> list[int]:
    try:
        return [int(v) for v in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        pytest.skip("no list of child processes here")


def test_killed_while_writing(place: Path) -> None:
    """SIGKILL at random moments: the old output or the new one, whole."""
    data, rng = Path("photo.ltk").read_bytes(), np.random.default_rng(0)
    new = codec.trim(data, tokens=20)
    for _ in range(4):
        Path("out.ltk").write_bytes(b"old")
        process = start("trim", "photo.ltk", "--tokens", "20", "-o", "out.ltk", "--overwrite")
        try:
            process.wait(float(rng.uniform(0.2, 0.8)))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=60)
        assert Path("out.ltk").read_bytes() in (b"old", new)


def test_two_processes_write_one_output(place: Path) -> None:
    data = Path("photo.ltk").read_bytes()
    one, two = codec.trim(data, tokens=20), codec.trim(data, tokens=9)
    processes = [start("trim", "photo.ltk", "--tokens", n, "-o", "out.ltk", "--overwrite") for n in ("20", "9") * 2]
    for process in processes:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert Path("out.ltk").read_bytes() in (one, two)
    assert not [name for name in files() if name.endswith(".tmp")]


@pytest.mark.parametrize("args", [["encode", "photo.png", "-o", "-"], ["decode", "photo.ltk", "-o", "-"],
                                  ["tokens", "photo.ltk", "--json"]])  # fmt: skip
def test_a_closed_pipe(place: Path, args: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    before = files()
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run([sys.executable, "-m", "ltokc", *args], stdout=closed, stderr=subprocess.PIPE,
                              env=ENVIRONMENT, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")
    assert files() == before


# -- models ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of this checkout, to be damaged."""
    return Path(shutil.copytree(ROOT / "models", tmp_path_factory.mktemp("copy") / "models"))


def with_models(models: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "ltokc", *args], env={**ENVIRONMENT, "LTOKC_MODELS": str(models)},
                          capture_output=True, timeout=60, check=False)  # fmt: skip


@pytest.mark.parametrize("verb", [["encode", "photo.png", "-o", "new.ltk"], ["decode", "photo.ltk", "-o", "new.png"],
                                  ["verify", "photo.ltk"]])  # fmt: skip
@pytest.mark.parametrize("name", ["model.safetensors", "detokenizer.onnx"])
def test_a_damaged_model(place: Path, models: Path, verb: list[str], name: str) -> None:
    folder = models / json.loads((models / "registry.json").read_text())["models"][-1]["folder"]
    path, before = folder / name, files()
    good = path.read_bytes()
    path.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
    try:
        done = with_models(models, *verb)
    finally:
        path.write_bytes(good)
    assert done.returncode == 1 and f"{name} is damaged (its SHA-256 differs)" in one_line(done.stderr)
    assert files() == before


def test_a_model_cut_short(place: Path, models: Path) -> None:
    folder = models / json.loads((models / "registry.json").read_text())["models"][-1]["folder"]
    path = folder / "model.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    try:
        done = with_models(models, "decode", "photo.ltk", "-o", "new.png")
    finally:
        path.write_bytes(good)
    assert done.returncode == 1 and "model.safetensors has" in one_line(done.stderr)


def test_a_registry_of_another_version(place: Path, models: Path) -> None:
    path = models / "registry.json"
    good = path.read_text()
    changed = json.loads(good)
    for model in changed["models"]:
        model["bitstream_hash"] ^= 1
    path.write_text(json.dumps(changed))
    try:
        done = with_models(models, "decode", "photo.ltk", "-o", "new.png")
    finally:
        path.write_text(good)
    assert done.returncode == 1 and "taken twice" in one_line(done.stderr)


def test_what_of_models_is_bad_or_not_there_is_named(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    models = tmp_path_factory.mktemp("bad")
    (models / "registry.json").write_text("{")
    done = with_models(models, "verify", "photo.ltk")
    assert done.returncode == 1 and f"{models / 'registry.json'} is damaged" in one_line(done.stderr)
    done = with_models(models / "none", "encode", "photo.png", "-o", "new.ltk", "-e", "0")
    said = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert said.count(f"ltokc: warning: LTOKC_MODELS names what is no folder: {models / 'none'}") == 1

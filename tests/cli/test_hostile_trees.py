"""Folders that strangers filled: planted links, pipes, devices, files without end.  Real processes, with limits."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ltokc import container
from tests.support.cli_runner import ENVIRONMENT, program, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")
MEMORY = 2 << 30  # bytes that a process may allocate


def bounded(*args: str, seconds: int = 60) -> subprocess.CompletedProcess[bytes]:
    """A command with little memory; one that hangs fails the test."""
    command = [sys.executable, "-m", "ltokc", *args]
    return subprocess.run(
        command, env={**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1"}, timeout=seconds, check=False, capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip


@pytest.fixture
def tree(here: Path, encoded: bytes) -> Path:
    """tree/photo.png, packed/photo.ltk, and a file that must stay as it is."""
    for name, data in (("tree/photo.png", Path("photo.png").read_bytes()), ("packed/photo.ltk", encoded)):
        Path(name).parent.mkdir()
        Path(name).write_bytes(data)
    Path("victim.txt").write_text("mine")
    return here


# -- links that are planted --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("force", [[], ["--overwrite"]], ids=["plain", "overwrite"])
@pytest.mark.parametrize(
    ("line", "link"),
    [
        ("encode -r tree", "tree/photo.ltk"),
        ("encode tree/photo.png", "tree/photo.ltk"),
        ("encode -r tree -d out", "out/photo.ltk"),
        ("decode -r packed", "packed/photo.png"),
        ("decode -r packed -d out", "out/photo.png"),
        ("batch -r tree -d out -j 1", "out/photo.ltk"),
        ("batch -r tree -d out -j 1 --resume", "out/photo.ltk"),
        ("batch --decode -r packed -d out -j 1", "out/photo.png"),
    ],
)
@pytest.mark.parametrize("target", ["../victim.txt", "../not-there-yet"])
def test_derived_names_follow_no_link(tree: Path, line: str, link: str, force: list[str], target: str) -> None:
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(target)
    result = run(*line.split(), *force)
    assert result.exit_code == 1
    assert f"{link} is a link, and only -o follows links" in result.stderr
    assert Path("victim.txt").read_text() == "mine" and os.readlink(link) == target
    assert not Path("not-there-yet").exists()


@pytest.mark.parametrize("line", ["encode -r tree -d out", "batch -r tree -d out -j 1", "batch -r tree -d out -j 2"])
def test_a_linked_folder_in_the_output_tree_is_not_followed(tree: Path, line: str) -> None:
    Path("tree/sub/deep").mkdir(parents=True)
    shutil.copy("photo.png", "tree/sub/deep/photo.png")
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/sub").symlink_to("../elsewhere")
    result = run(*line.split(), "--overwrite")
    assert result.exit_code == 1 and "out/sub is a link, and only -o follows links" in result.stderr
    assert list(Path("elsewhere").iterdir()) == [] and Path("out/photo.ltk").exists()


def test_a_link_that_is_planted_while_it_runs(tree: Path, encoded: bytes) -> None:
    """The name was free when the work began."""
    os.mkfifo("packed/slow.ltk")
    process = subprocess.Popen([sys.executable, "-m", "ltokc", "decode", "packed/slow.ltk", "--overwrite"],
                               env=ENVIRONMENT, stderr=subprocess.PIPE)  # fmt: skip
    descriptor = os.open("packed/slow.ltk", os.O_WRONLY)  # waits for the reader
    Path("packed/slow.png").symlink_to("../victim.txt")
    os.write(descriptor, encoded)
    os.close(descriptor)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and b"packed/slow.png is a link" in stderr
    assert Path("victim.txt").read_text() == "mine"


def test_named_outputs_and_folders_may_be_links(tree: Path) -> None:
    Path("real").mkdir()
    Path("link").symlink_to("real")
    Path("new.ltk").symlink_to("real/a.ltk")
    assert run("encode", "photo.png", "-o", "new.ltk").exit_code == 0
    assert Path("new.ltk").is_symlink() and Path("real/a.ltk").is_file()
    assert run("encode", "-r", "tree", "-d", "link").exit_code == 0
    assert Path("real/photo.ltk").is_file() and Path("link").is_symlink()
    assert run("encode", "photo.png", "-o", "new.ltk").exit_code == 1, "it leads to a file that exists"
    assert run("encode", "photo.png", "-o", os.devnull).exit_code == 0


def test_a_planted_journal_is_not_written_to(tree: Path) -> None:
    Path("out").mkdir()
    Path("out/.ltokc-batch.journal").symlink_to("../victim.txt")
    for more in ([], ["--resume"]):
        result = run("batch", "-r", "tree", "-d", "out", "-j", "1", *more)
        assert result.exit_code == 1 and "is taken for no journal" in result.stderr
    assert Path("victim.txt").read_text() == "mine"


# -- pipes, devices, files without end ---------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["encode -r tree -d out", "batch -r tree -d out -j 1", "batch tree/* -d out -j 1"])
def test_a_walk_takes_regular_files_only(tree: Path, line: str) -> None:
    os.mkfifo("tree/pipe.png")
    Path("tree/zero.png").symlink_to("/dev/zero")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("tree/socket")
    done = bounded(*line.split())
    listener.close()
    assert done.returncode == 0, done.stderr.decode()
    said = b"left out: 3 that are no regular files: tree/pipe.png, tree/socket, tree/zero.png"
    assert done.stderr.splitlines()[-1] == said
    assert {p.name for p in Path("out").glob("*.ltk")} == {"photo.ltk"}


@pytest.mark.parametrize("verb", ["info", "verify", "decode"])
def test_a_walk_over_ltk_files_takes_regular_files_only(tree: Path, verb: str) -> None:
    os.mkfifo("packed/pipe.ltk")
    Path("packed/zero.ltk").symlink_to("/dev/zero")
    Path("packed/good.ltk").symlink_to("photo.ltk")
    done = bounded(verb, "-r", "packed")
    assert done.returncode == 0, done.stderr.decode()
    assert b"left out: 2 that are no regular files: packed/pipe.ltk, packed/zero.ltk" in done.stderr


VERBS = [["info"], ["verify"], ["decode"], ["tokens"], ["trim", "--tokens", "3", "-o", "x.ltk"],
         ["thumbnail", "-s", "9"], ["info", "--heatmap", "x.png"]]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_device_that_is_named_is_refused(tree: Path, verb: list[str]) -> None:
    Path("a.ltk").symlink_to("/dev/zero")
    done = bounded(*verb, "a.ltk", *(["x.png"] if verb[0] == "thumbnail" else []))
    assert done.returncode == 1 and b"is a device, not a file" in done.stderr


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_what_is_no_ltk_file_is_told_by_its_first_bytes(tree: Path, verb: list[str]) -> None:
    """Also where it is a pipe that never ends."""
    with open("sparse.ltk", "wb") as file:
        file.truncate(3 << 30)
    done = bounded(*verb, "sparse.ltk", *(["x.png"] if verb[0] == "thumbnail" else []))
    assert done.returncode == 1 and b"not an .ltk file" in done.stderr
    if verb == ["info"]:
        with open("/dev/zero", "rb") as endless:
            cat = subprocess.Popen(["cat"], stdin=endless, stdout=subprocess.PIPE)
            done = subprocess.run([sys.executable, "-m", "ltokc", "info", "-"], stdin=cat.stdout, capture_output=True,
                                  env=ENVIRONMENT, timeout=60, check=False)  # fmt: skip
            cat.kill()
            cat.communicate()
        assert done.returncode == 1 and b"not an .ltk file" in done.stderr


@pytest.mark.parametrize("verb", [["info"], ["verify"], ["compare", "photo.png"]], ids=" ".join)
def test_a_long_file_behind_a_good_header_is_refused_unread(tree: Path, encoded: bytes, verb: list[str]) -> None:
    Path("long.ltk").write_bytes(encoded)
    os.truncate("long.ltk", 3 << 30)
    done = bounded(*verb, "long.ltk")
    assert done.returncode == 1 and b"the file has more than the 256 MiB" in done.stderr
    header = container.read_header(encoded)
    assert (header.width, header.height) == (96, 80)


def test_pipes_that_are_named_are_read(tree: Path, encoded: bytes) -> None:
    command = (
        f"{sys.executable} -m ltokc info <(cat packed/photo.ltk) && {sys.executable} -m ltokc info - < packed/photo.ltk"
    )
    done = subprocess.run(["bash", "-c", command], env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.count(b"96 x 80 px") == 2, done.stderr
    assert program("info", "packed/photo.ltk").returncode == 0

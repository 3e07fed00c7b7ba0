"""Files that are whole or absent."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from ltokc.atomic import replacing, write_atomic
from ltokc.errors import LtokcError


def test_write_atomic_replaces_and_keeps_to_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    before = os.umask(0o027)
    try:
        write_atomic(path, b"one")
        write_atomic(path, b"two")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["a.bin"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), RuntimeError])
def test_write_atomic_leaves_nothing_behind(
    error: type[BaseException] | BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(LtokcError if isinstance(error, OSError) else error):  # type: ignore[arg-type]
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_write_atomic_accepts_a_name_of_full_length(tmp_path: Path) -> None:
    name = "ü" * 120 + ".ltk"
    write_atomic(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and devices of POSIX")
def test_write_atomic_on_links_and_devices(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    fifo_like = tmp_path / "null"
    fifo_like.symlink_to(os.devnull)
    write_atomic(fifo_like, b"gone")
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)
    with pytest.raises(LtokcError, match="directory"):
        write_atomic(tmp_path, b"x")


def test_write_atomic_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(LtokcError, match="cannot be written"):
        write_atomic(tmp_path / "missing" / "x.png", b"x")
    assert os.listdir(tmp_path) == []


def test_replacing_keeps_the_old_file_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        Path(temporary).write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]
    with replacing(path, "mark") as temporary:
        Path(temporary).write_bytes(b"new")
        assert path.read_bytes() == b"old" and re.fullmatch(r"\.a\.bin\.mark[0-9a-f]{12}\.tmp", Path(temporary).name)
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.bin"]


def test_replacing_of_a_file_with_one_writer_uses_one_name(tmp_path: Path) -> None:
    path, used = tmp_path / "a.bin", []
    for data in (b"one", b"two"):
        with replacing(path, shared=False) as temporary:
            used.append(temporary)
            Path(temporary).write_bytes(data)
    assert used[0] == used[1] and path.read_bytes() == b"two" and os.listdir(tmp_path) == ["a.bin"]

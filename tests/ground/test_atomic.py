"""Files that are whole or absent."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from ltokc.atomic import Exists, Placement, replacing, write_atomic
from ltokc.errors import LtokcError, Unwritable


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


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_exists_is_not_replaced_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Nor is one that appears while the new one is written.  links: the file system has hard links."""
    path = tmp_path / "a.bin"
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no hard links")))
    write_atomic(path, b"mine", Placement(overwrite=False))
    with pytest.raises(Exists, match="exists"):
        write_atomic(path, b"new", Placement(overwrite=False))
    with pytest.raises(FileExistsError), replacing(tmp_path / "b.bin", overwrite=False) as temporary:
        Path(temporary).write_bytes(b"new")
        (tmp_path / "b.bin").write_bytes(b"appeared")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.bin": b"mine", "b.bin": b"appeared"}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and pipes of POSIX")
def test_no_link_is_followed_below_a_folder(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "out"
    (tmp_path / "real").mkdir()
    folder.symlink_to("real")  # itself may be one
    victim.write_bytes(b"mine")
    (folder / "a.ltk").symlink_to("../victim")
    (folder / "new.ltk").symlink_to("../not-there")
    (folder / "sub").symlink_to("..")
    os.mkfifo(folder / "pipe.ltk")
    placement = Placement(within=str(folder))
    for name in ("a.ltk", "new.ltk", "sub/victim", "sub/other", "pipe.ltk"):
        with pytest.raises(LtokcError, match="link|regular"):
            write_atomic(folder / name, b"new", placement)
    assert victim.read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["out", "real", "victim"]
    write_atomic(folder / "b.ltk", b"new", placement)
    assert (tmp_path / "real" / "b.ltk").read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("source", "old", "expected"),
    [(0o644, None, 0o644), (0o600, None, 0o600), (0o640, None, 0o640), (0o400, None, 0o600), (0o444, None, 0o644),
     (0o644, 0o600, 0o600), (0o600, 0o664, 0o664), (None, 0o640, 0o640), (None, None, 0o644)],
)  # fmt: skip
def test_permissions(tmp_path: Path, source: int | None, old: int | None, expected: int) -> None:
    """Of what is replaced; else of the umask, but nobody may read a new file who may not read its source."""
    path, like = tmp_path / "a.ltk", tmp_path / "a.png"
    for file, mode in ((path, old), (like, source)):
        if mode is not None:
            file.touch()
            file.chmod(mode)
    before = os.umask(0o022)
    try:
        write_atomic(path, b"new", Placement(like=None if source is None else str(like)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == expected and path.read_bytes() == b"new"


def test_times_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    path, like = tmp_path / "a.ltk", tmp_path / "a.png"
    like.touch()
    os.utime(like, ns=(10**18, 12 * 10**17))
    write_atomic(path, b"one", Placement(like=str(like)))
    assert path.stat().st_mtime_ns > 12 * 10**17
    write_atomic(path, b"two", Placement(like=str(like), keep_times=True))
    assert path.stat().st_mtime_ns == 12 * 10**17


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


FULL = [(errno.ENOSPC, Unwritable), (errno.EDQUOT, Unwritable), (errno.EIO, LtokcError)]


@pytest.mark.parametrize("number, kind", FULL)
def test_a_full_disk_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[LtokcError]
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, "no more")

    monkeypatch.setattr("ltokc.atomic._write", full)
    with pytest.raises(LtokcError, match="cannot be written .no more.") as error:
        write_atomic(tmp_path / "a", b"1")
    assert type(error.value) is kind

"""Compiled graphs on disk: whole or absent, for this user alone, bounded, and never in the way."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ltokc.tokenizer.runtime import blobs
from tests.support.cli_runner import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(blobs.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_written_comes_back(folder: Path) -> None:
    assert blobs.read("a") is None
    blobs.write("a", b"graph")
    assert blobs.read("a") == b"graph" and blobs.read("b") is None
    assert [path.name for path in folder.iterdir()] == ["a.blob"]


def test_a_damaged_blob_is_none(folder: Path) -> None:
    for damage in (b"", b"short", bytes(40)):
        blobs.write("a", b"graph")
        (folder / "a.blob").write_bytes(damage)
        assert blobs.read("a") is None


@pytest.mark.parametrize("word", ["off", "OFF", "0"])
def test_off(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(blobs.VARIABLE, word)
    blobs.write("a", b"graph")
    assert blobs.cache_folder() is None and blobs.read("a") is None and not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of other systems")
def test_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(blobs.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # counts as unset, as the standard wants
    assert blobs.cache_folder() == tmp_path / ".cache" / "ltokc"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    assert blobs.cache_folder() == tmp_path / "own" / "ltokc"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of POSIX")
def test_a_folder_that_others_write_into_is_not_trusted(folder: Path) -> None:
    blobs.write("a", b"graph")
    folder.chmod(0o777)
    assert blobs.read("a") is None
    blobs.write("b", b"graph")
    assert not (folder / "b.blob").exists()


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(blobs.VARIABLE, str(tmp_path / "file" / "below"))
    blobs.write("a", b"graph")
    assert blobs.read("a") is None


def test_the_oldest_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MOST_BYTES", 3 * 132)
    for i, name in enumerate("abc"):
        blobs.write(name, bytes(100))
        os.utime(folder / f"{name}.blob", (1000 + i, 1000 + i))
    assert blobs.read("a")  # which makes it the newest
    (folder / ".left.tmp").write_bytes(b"of a writer that was killed")
    os.utime(folder / ".left.tmp", (1000, 1000))
    blobs.write("d", bytes(100))
    assert sorted(path.name for path in folder.iterdir()) == ["a.blob", "c.blob", "d.blob"]


def test_many_writers_and_readers(folder: Path) -> None:
    def both(i: int) -> bool:
        blobs.write("a", b"graph" * 10000)
        return blobs.read("a") == b"graph" * 10000

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(both, range(40)))
    assert len(list(folder.iterdir())) == 1


def test_a_key_tells_parts_apart() -> None:
    keys = [blobs.key_of(*parts) for parts in (("a", "b"), ("ab", ""), ("a", b"b", ""), ("b", "a"))]
    assert len(set(keys)) == 4 and keys[0] == blobs.key_of("a", b"b")


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/cli.md"])
def test_the_documents_say_where_blobs_are_and_how_large(page: str) -> None:
    text = " ".join((ROOT / page).read_text("utf-8").split())
    assert "~/.cache/ltokc" in text and f"at most {blobs.MOST_BYTES >> 20} MB" in text
    assert f"`{blobs.VARIABLE}={blobs.OFF[0]}` keeps none" in text

"""Networks that are opened while a picture is read: only for a file that will most likely need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ltokc.cli import encode
from tests.support.cli_runner import run
from tests.support.pictures import grainy


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(grainy(64, 48)).save("a.png")
    Path("text.png").write_text("no picture")
    Path("empty.png").touch()
    Path("b").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "small"),
    [("a.png", True), ("text.png", False), ("empty.png", False), ("b", False), ("none.png", False), ("-", False)],
)
def test_a_small_file_that_begins_as_a_picture(folder: Path, source: str, small: bool) -> None:
    assert encode._is_small_picture(source) is small


def test_a_large_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "SMALL", 100)
    assert not encode._is_small_picture("a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_opened(folder: Path) -> None:
    os.mkfifo("pipe")
    assert not encode._is_small_picture("pipe")


def test_the_file_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("encode", "a.png", "-o", "one.ltk").exit_code == 0
    monkeypatch.setattr(encode, "_is_small_picture", lambda _: False)
    assert run("encode", "a.png", "-o", "other.ltk").exit_code == 0
    assert Path("one.ltk").read_bytes() == Path("other.ltk").read_bytes()

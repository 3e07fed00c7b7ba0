"""What a user or a cron job expects of batch: a folder is its pictures, nothing is made of nothing, idle is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ltokc.jobs import journal
from tests.support.cli_runner import run
from tests.support.pictures import smooth


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in/deep").mkdir(parents=True)
    for name in ("in/a.png", "in/b.png", "in/deep/c.png"):
        Image.fromarray(smooth(30, 20)).save(name)


def batch(*arguments: str) -> tuple[int, str]:
    result = run("batch", *arguments, "-j", "1")
    return result.exit_code, result.stderr


def ltk_files(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.ltk"))


def test_a_folder_is_its_own_pictures_and_with_r_those_of_its_folders() -> None:
    assert batch("in", "-d", "own")[0] == 0 and ltk_files("own") == ["a.ltk", "b.ltk"]
    assert batch("-r", "in", "-d", "all")[0] == 0 and ltk_files("all") == ["a.ltk", "b.ltk", "deep/c.ltk"]
    assert batch("--decode", "all", "-d", "back")[0] == 0
    assert sorted(os.listdir("back")) == [".ltokc-batch.journal", "a.png", "b.png"]


def test_what_is_not_there_makes_no_folder() -> None:
    for arguments in (("-r", "nosuch"), ("nosuch",), ("no*such.png",)):
        status, said = batch(*arguments, "-d", "new")
        assert status == 1 and "no such file or folder" in said and not Path("new").exists()
    status, said = batch("in/a.png", "nosuch.png", "-d", "new")
    assert status == 1 and ltk_files("new") == ["in/a.ltk"], "the others are done"


def test_resume_with_nothing_to_do_is_no_failure() -> None:
    assert batch("in", "-d", "out")[0] == 0
    status, said = batch("in", "-d", "out", "--resume")
    assert status == 0 and "nothing to do" in said
    assert batch("in", "-d", "out", "--resume", "--dry-run")[0] == 0
    assert batch("in", "-d", "out", "-n")[0] == 3, "without --resume as before"
    Path("empty").mkdir()
    assert batch("empty", "-d", "out", "--resume")[0] == 3, "no picture at all"


def test_resume_says_where_another_runtime_made_what_is_there() -> None:
    assert batch("in", "-d", "out", "--backend", "onnx")[0] == 0
    (entries,) = {tuple(entry.runtime for entry in each) for each in journal.read_all("out").values()}
    assert entries == ("onnx",)
    assert "were made with" not in batch("in", "-d", "out", "--resume", "--backend", "onnx")[1]
    status, said = batch("in", "-d", "out", "--resume", "--backend", "torch")
    assert status == 0 and "were made with onnx, not torch" in said and "nothing to do" in said


def test_the_limit_of_pixels_names_its_option() -> None:
    result = run("encode", "in/a.png", "--limit-pixels", "5", "-o", "x.ltk")
    assert result.exit_code == 1 and "600 pixels, over the limit of 5 (--limit-pixels)" in result.stderr


@pytest.mark.parametrize("behind", [b"\n", bytes(16)])
@pytest.mark.parametrize("options", [(), ("--metadata", "all")])
def test_bytes_behind_the_end_are_called_that(behind: bytes, options: tuple[str, ...]) -> None:
    """Without chunks, and with one, where the end is found in another way."""
    Image.fromarray(smooth(30, 20)).save("source.png", dpi=(300, 300))
    assert run("encode", "source.png", *options, "-o", "x.ltk").exit_code == 0
    whole = Path("x.ltk").read_bytes()
    Path("y.ltk").write_bytes(whole + behind)
    count = f"{len(behind)} bytes follow" if len(behind) > 1 else "a byte follows"
    true = f"{count} the end of the file's contents, which are {len(whole)} bytes"
    for command in (("decode", "y.ltk", "-o", "y.png"), ("info", "y.ltk"), ("verify", "y.ltk")):
        result = run(*command)
        assert result.exit_code == 1 and true in result.stderr and "cut" not in result.stderr + result.stdout

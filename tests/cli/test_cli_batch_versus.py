"""`ltokc batch --versus`: the report beside a folder's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.cli_runner import run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    photo = Image.open(Path(__file__).parents[2] / "examples" / "coffee.jpg").convert("RGB")
    photo.crop((100, 60, 260, 220)).save(folder / "a.png")
    photo.crop((200, 100, 360, 220)).save(folder / "sub" / "b <i>.png")
    return folder


def test_reports_compare_every_picture(pictures: Path, tmp_path: Path) -> None:
    out, page, table = tmp_path / "out", tmp_path / "out.html", tmp_path / "out.json"
    done = run("batch", "-r", str(pictures), "-d", str(out), "-j", "2", "--versus", "jpeg,webp",
               "--report", str(page), "--report", str(table))  # fmt: skip
    assert done.exit_code == 0, done.stderr
    text = table.read_text()
    found = json.loads(text)
    assert "b <i>" in text and '"webp"' in text and found
    ours = (out / "a.ltk").stat().st_size
    assert f": {ours}" in text  # the bytes of the file that was written are in the table
    assert page.read_text().startswith("<!doctype html>") or page.read_text().startswith("<!DOCTYPE html>")
    again = run("batch", "-r", str(pictures), "-d", str(out), "--resume", "--versus", "jpeg", "--report", str(table),
                "--limit-pixels", "0")  # fmt: skip
    assert "b <i>" in table.read_text() and '"webp"' not in table.read_text(), again.stderr


@pytest.mark.parametrize(
    "arguments", [("--versus", "jpeg"), ("--versus", "gif", "--report", "x.html"), ("--report", "x.html"),
                  ("--versus", "jpeg", "--report", "x.txt"), ("--decode", "--versus", "jpeg", "--report", "x.html")],
)  # fmt: skip
def test_what_does_not_go_together(pictures: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("batch", "-r", str(pictures), "-d", str(tmp_path / "out"), *arguments)
    assert done.exit_code == 2 and "Error" in done.stderr
    assert not (tmp_path / "out").exists()

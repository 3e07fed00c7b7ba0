"""`ltokc compare` as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.cli_runner import program, run


@pytest.fixture
def made(here: Path, encoded: bytes) -> Path:
    """photo.png with photo.ltk, photo.jpg and photo.webp beside it."""
    Path("photo.ltk").write_bytes(encoded)
    with Image.open("photo.png") as image:
        image.save("photo.jpg", quality=30)
        image.save("photo.webp", quality=80)
    return here


def test_a_table_on_stdout(made: Path) -> None:
    result = run("compare", "photo.png", "photo.ltk", "photo.jpg", "photo.webp")
    assert result.exit_code == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split()[:3] == ["file", "bytes", "bpp"] and "PSNR" in head and "MS-SSIM" not in head  # it is too small
    assert [row.split()[0] for row in rows] == ["photo.ltk", "photo.jpg", "photo.webp"]
    for row, name in zip(rows, ("photo.ltk", "photo.jpg", "photo.webp"), strict=True):
        assert row.split()[1].replace(",", "") == str(Path(name).stat().st_size)
    assert result.stderr == ""


def test_json_and_rivals(made: Path) -> None:
    result = run("compare", "photo.png", "photo.ltk", "--versus", "jpg,webp", "--metric", "psnr", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    size = Path("photo.ltk").stat().st_size
    assert [rival["name"] for rival in found["rivals"]] == ["jpeg", "webp"]
    for rival in found["rivals"]:
        assert (rival["same_bytes"]["bytes"] <= size) == (rival["same_bytes"]["below"] >= 0)
        assert rival["same_quality"]["metric"] == "psnr"
    text = run("compare", "photo.png", "photo.ltk", "--versus", "webp", "--metric", "psnr").stdout
    assert "by PSNR at" in text.splitlines()[-1]


def test_a_page_is_written(made: Path) -> None:
    result = run("compare", "photo.png", "photo.jpg", "photo.ltk", "--html", "out/page.html", "--versus", "webp")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("photo.png -> out/page.html  ")
    text = Path("out/page.html").read_text()
    assert text.startswith("<!doctype html>") and "photo.jpg" in text and "image/avif" not in text


def test_a_file_from_a_pipe(made: Path, encoded: bytes) -> None:
    done = program("compare", "photo.png", "-", input=encoded)
    assert done.returncode == 0 and done.stdout.splitlines()[1].startswith(b"-")


@pytest.mark.parametrize(
    ("args", "status", "word"),
    [
        (["photo.png", "missing.ltk"], 1, "missing.ltk: No such file"),
        (["photo.png", "text.png"], 1, "text.png: not a picture"),
        (["missing.png", "photo.ltk"], 1, "missing.png: no such file"),
        (["photo.png"], 2, "FILE"),
        (["photo.png", "photo.ltk", "--versus", "gif"], 2, "gif"),
        (["photo.png", "photo.ltk", "--html", "photo.ltk"], 2, "same file"),
        (["photo.png", "photo.ltk", "--html", "-"], 2, "standard input"),
        (["photo.png", "photo.ltk", "--lpips", "text.png"], 1, "LPIPS"),
        (["photo.png", "photo.ltk", "--limit-pixels", "100"], 1, "limit"),
    ],
)
def test_errors_are_one_line(made: Path, args: list[str], status: int, word: str) -> None:
    before = Path("photo.ltk").read_bytes()
    result = run("compare", *args)
    assert result.exit_code == status and word in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    if status == 1:
        assert result.stderr.count("\n") == 1
    assert Path("photo.ltk").read_bytes() == before

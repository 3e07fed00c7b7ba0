"""`ltokc batch --versus`: the report beside a folder's files."""

from __future__ import annotations

import csv
import html
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc.cli import batch_versus
from ltokc.errors import LtokcError
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


def test_reports_hold_pictures_without_a_comparison_and_name_every_source(pictures: Path, tmp_path: Path) -> None:
    bad, out = pictures / "<b>ad.png", tmp_path / "out"
    bad.write_bytes(b"\x89PNG\r\n\x1a\njunk")
    noise = np.random.default_rng(0).integers(0, 2, (16, 16)) * 255
    image = Image.fromarray(np.tile(noise, (8, 8)).astype(np.uint8)).convert("1")
    image.save(pictures / "small.png", optimize=True)  # smaller than its .ltk file
    names = {suffix: tmp_path / f"v{suffix}" for suffix in (".csv", ".json", ".html")}
    reports = [word for name in names.values() for word in ("--report", str(name))]
    done = run("batch", "-r", str(pictures), "-d", str(out), "--versus", "webp", "--keep-smaller",
               "--patches", "off", "-e", "0", *reports)  # fmt: skip
    assert done.exit_code == 1 and "<b>ad.png" in done.stderr
    expected = {str(pictures / "a.png"): "done", str(pictures / "sub" / "b <i>.png"): "done", str(bad): "failed",
                str(pictures / "small.png"): "copied"}  # fmt: skip
    table = list(csv.DictReader(io.StringIO(names[".csv"].read_text("utf-8"))))
    assert {row["source"]: row["status"] for row in table} == expected
    (failed,) = [row for row in table if row["status"] == "failed"]
    assert failed["error"] and not failed["bytes"] and not failed["role"]
    whole = json.loads(names[".json"].read_text())
    assert {row["source"]: row["status"] for row in whole["pictures"]} == expected
    assert [bool(row["error"]) for row in whole["pictures"]] == [row["status"] == "failed" for row in whole["pictures"]]
    assert (whole["totals"]["pictures"], whole["totals"]["failed"], whole["totals"]["copied"]) == (4, 1, 1)
    page = names[".html"].read_text()
    assert html.escape(str(bad)) in page and html.escape(failed["error"]) in page and "<b>ad" not in page
    assert json.dumps(str(pictures / "a.png")) in page and "2 without a comparison" in page
    table = tmp_path / "again.json"
    again = run("batch", str(pictures / "small.png"), "-d", str(out), "-n", "--keep-smaller", "--versus", "webp",
                "--report", str(table))  # fmt: skip
    (row,) = json.loads(table.read_text())["pictures"]
    assert (again.exit_code, row["status"], row["error"]) == (3, "skipped", ""), "no .ltk file was made, none is missed"


def test_reports_are_written_where_no_picture_can_be_compared(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"junk")
    names = [tmp_path / f"v{suffix}" for suffix in (".csv", ".json", ".html")]
    reports = [word for name in names for word in ("--report", str(name))]
    done = run("batch", str(tmp_path / "bad.png"), "-d", str(tmp_path / "out"), "--versus", "webp", *reports)
    assert done.exit_code == 1
    assert all("bad.png" in name.read_text() and "failed" in name.read_text() for name in names)


def test_a_comparison_that_fails_is_a_row(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LtokcError("no luck")

    monkeypatch.setattr(batch_versus, "compare_one", fails)
    done = run("batch", str(pictures), "-d", str(tmp_path / "out"), "-j", "1", "--versus", "webp",
               "--report", str(tmp_path / "v.json"))  # fmt: skip
    (row,) = json.loads((tmp_path / "v.json").read_text())["pictures"]
    assert done.exit_code == 1 and (row["status"], row["error"]) == ("failed", "cannot be compared: no luck")


@pytest.mark.parametrize(
    "arguments", [("--versus", "jpeg"), ("--versus", "gif", "--report", "x.html"), ("--report", "x.html"),
                  ("--versus", "jpeg", "--report", "x.txt"), ("--decode", "--versus", "jpeg", "--report", "x.html")],
)  # fmt: skip
def test_what_does_not_go_together(pictures: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("batch", "-r", str(pictures), "-d", str(tmp_path / "out"), *arguments)
    assert done.exit_code == 2 and "Error" in done.stderr
    assert not (tmp_path / "out").exists()

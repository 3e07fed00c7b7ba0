"""`python -m bench odd-files` and `odd-batch` on folders of a few files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from bench.verification.odd_batch import main as odd_batch
from bench.verification.odd_files import at_stake, main


def test_outcomes_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    picture.save(folder / "taken.png")
    picture.save(folder / "frames.gif", save_all=True, append_images=[picture.rotate(180)])
    (folder / "text.png").write_text("no picture")
    out = tmp_path / "record.json"
    result = CliRunner().invoke(main, [str(folder), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    counts = json.loads(out.read_text())["folders"]["odd"]
    assert (counts["files"], counts["taken"], counts["converted"], counts["refused"]) == (3, 1, 1, 1)
    assert not any(counts[kind] for kind in ("silent", "wrong", "crashed", "hung"))
    assert at_stake((folder / "frames.gif").read_bytes())["frames"]


def test_a_folder_through_batch_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    picture = Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(48, 64))
    picture.save(folder / "kept.png")
    picture.save(folder / "nosuffix", "JPEG")
    picture.save(folder / "frames.gif", save_all=True, append_images=[picture.rotate(180)])
    Image.fromarray(np.arange(3072, dtype=np.uint16).reshape(48, 64) * 20).save(folder / "deep.png")
    (folder / "broken.png").write_text("no picture")
    (folder / "notes.txt").write_text("no picture")
    out = tmp_path / "record.json"
    result = CliRunner().invoke(odd_batch, [str(folder), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert found["files"] == 6 and not found["bad"]
    assert found["outcomes"] == {
        "kept": 2, "converted": 1, "dropped": 1, "refused": 1, "left out": 1, "silent": 0, "crashed": 0,
    }  # fmt: skip


def test_a_list_says_which_files_of_a_folder_are_taken(tmp_path: Path) -> None:
    folder, names, out = tmp_path / "odd", tmp_path / "names.txt", tmp_path / "record.json"
    (folder / "in").mkdir(parents=True)
    for name in ("in/a.png", "in/b.png", "c.png"):
        Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16)).save(folder / name)
    names.write_text("in/b.png\nc.png\n")
    words = [str(folder), "--only", str(names), "--out", str(out)]
    assert CliRunner().invoke(odd_batch, words, catch_exceptions=False).exit_code == 0
    assert json.loads(out.read_text())["files"] == 2
    names.write_text("c.png\nd.png\n")
    assert "1 files of the list are not in" in CliRunner().invoke(odd_batch, words).output

"""No picture is passed over silently: what the commands say of folders, and with which status they end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.cli_runner import names, run
from tests.support.pictures import grainy


@pytest.fixture
def album(here: Path) -> Path:
    """in/: pictures by every name, a text, thumbnails of a NAS; the current folder."""
    image = Image.fromarray(grainy(64, 48, 1))
    Path("in/@eaDir").mkdir(parents=True)
    for name, kind in (("camera.jfif", "JPEG"), ("nosuffix", "JPEG"), ("plain.png", "PNG"), ("@eaDir/t.jpg", "JPEG")):
        image.save(f"in/{name}", kind)
    image.save("in/two.mpo", "MPO", save_all=True, append_images=[image])
    image.save("in/moving.apng", "PNG", save_all=True, append_images=[image.rotate(180)])
    Path("in/notes.txt").write_text("a list")
    return here


TAKEN = {"camera.jfif", "nosuffix", "plain.png", "two.mpo", "moving.apng"}
SAID = "left out: 1 file that is no picture: in/notes.txt; 1 of a NAS or an operating system: @eaDir"


@pytest.mark.parametrize("line", ["encode -r in -d out --keep-suffix", "batch -r in -d out --keep-suffix -j 1",
                                  "batch in/** -d out --keep-suffix -j 1 --exclude *.txt"])  # fmt: skip
def test_every_picture_is_taken_and_the_rest_is_named(album: Path, line: str) -> None:
    result = run(*line.split())
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in Path("out").glob("*.ltk")} == {f"{name}.ltk" for name in TAKEN}
    said = SAID if "**" not in line else (
        "left out: 1 by --exclude: in/notes.txt; 1 of a NAS or an operating system: @eaDir"
    )  # fmt: skip
    assert result.stderr.splitlines()[-1] == said
    assert run(*line.split(), "--quiet", "--overwrite").stderr == ""


@pytest.mark.parametrize(("name", "head", "package"), [
    ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow-heif"),
    ("phone", b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "pillow-heif"),
    ("new.jxl", bytes.fromhex("ff0a1f070013880200a1a2b59f20"), "pillow-jxl-plugin"),
])  # fmt: skip
def test_a_picture_that_cannot_be_read_fails_by_name(album: Path, name: str, head: bytes, package: str) -> None:
    Path("in", name).write_bytes(head)
    result = run("batch", "-r", "in", "-d", "out", "-j", "1", "--exclude", "*.apng")
    assert result.exit_code == 1
    assert any(line.startswith(f"ltokc: in/{name}: ") for line in result.stderr.splitlines())


def test_a_promise_of_all_is_not_kept_in_silence(album: Path) -> None:
    line = ["batch", "-r", "in", "-d", "out", "-j", "1", "--keep-smaller", "--keep-suffix"]
    result = run(*line)
    assert result.exit_code == 1
    assert "ltokc: out is not complete: 2 left out that --exclude does not name" in result.stderr
    assert run(*line, "--resume", "--exclude", "*.txt", "--exclude", "@eaDir").exit_code == 0
    Path("in/notes.txt").unlink()
    assert run(*line, "--resume", "--exclude", "@eaDir").exit_code == 0


@pytest.mark.parametrize("name", ["only-copy.ltk", ".keep.png", ".drafts/a.png", "@eaDir/a.png", "link", "a.txt"])
def test_nothing_in_a_folder_is_missing_from_a_complete_one_in_silence(here: Path, name: str) -> None:
    Path("in", name).parent.mkdir(parents=True)
    Path("in/gray.png").write_bytes(Path("photo.png").read_bytes())
    Path("in", name).symlink_to("..") if name == "link" else Path("in", name).write_bytes(b"\x89LTK")
    line = ["batch", "-r", "in", "-d", "out", "-j", "1", "--keep-smaller", "--resume"]
    result = run(*line)
    assert result.exit_code == 1, result.stderr
    assert "ltokc: out is not complete: 1 left out that --exclude does not name" in result.stderr
    assert run(*line, "--exclude", name.split("/")[0]).exit_code == 0


@pytest.mark.parametrize(
    "line", ["batch -r in -d out --dry-run", "batch in/** -d out --dry-run", "encode -r in -d out"]
)
def test_a_pattern_that_matches_nothing_is_named(album: Path, line: str) -> None:
    said = "ltokc: warning: --exclude {} matches nothing"
    result = run(
        *line.split(), "--keep-suffix", "--exclude", "in/plain.png", "--exclude", "*.tif", "--exclude", "*.txt"
    )
    assert result.exit_code == 0 and said.format("*.tif") in result.stderr
    assert said.format("in/plain.png") not in result.stderr and "plain.png ->" not in result.stderr
    result = run(*line.split(), "--keep-suffix", "--overwrite", "--exclude", "draft", "--exclude", "*.txt", "--quiet")
    assert result.exit_code == 0 and result.stderr == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["p.jpg", "p"])
@pytest.mark.parametrize("source", ["in", "in/*"])
def test_a_pipe_is_missing_from_a_complete_folder(here: Path, name: str, source: str) -> None:
    Path("in").mkdir()
    Path("in/gray.png").write_bytes(Path("photo.png").read_bytes())
    os.mkfifo(f"in/{name}")
    line = ["batch", source, "-d", "out", "-e", "0", "-j", "1", "--keep-smaller"]
    result = run(*line)
    assert result.exit_code == 1 and f"left out: 1 that is no regular file: in/{name}" in result.stderr
    assert "ltokc: out is not complete: 1 left out that --exclude does not name" in result.stderr
    assert run(*line, "--resume", "--exclude", name).exit_code == 0


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._photo.png"])
def test_settings_of_a_system_are_no_pictures_that_a_complete_folder_lacks(here: Path, name: str) -> None:
    (here / "in").mkdir()
    Image.fromarray(grainy(48, 32, 1)).save("in/photo.png")
    Path("in", name).write_bytes(b"settings")
    result = run("batch", "in", "-d", "out", "-e", "0", "--keep-smaller")
    assert result.exit_code == 0, result.stderr
    assert "left out: 1 of a NAS or an operating system" in result.stderr


def test_what_is_left_out_is_named_with_v(album: Path) -> None:
    for n in range(8):
        Path(f"in/{n}.xmp").write_text("sidecar")
    assert "in/7.xmp" not in run("encode", "-r", "in", "-d", "out", "-n").stderr
    assert "in/7.xmp: left out" in run("encode", "-r", "in", "-d", "out", "-v", "-n").stderr


@pytest.mark.parametrize(
    "command", ["decode -r out -d back", "verify -r out", "info -r out", "batch --decode -r out -d b"]
)
def test_a_copied_source_is_no_ltk_file_and_said_so(album: Path, command: str) -> None:
    assert run("encode", "in/plain.png", "-d", "out").exit_code == 0
    Path("out/copied.png").write_bytes(Path("in/plain.png").read_bytes())
    result = run(*command.split())
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "left out: 1 file that is no .ltk file: out/copied.png"


def test_a_file_larger_than_its_source_is_said(here: Path) -> None:
    squares = np.random.default_rng(0).random((8, 8)) < 0.5
    Image.fromarray(np.kron(squares, np.ones((16, 16), bool))).save("flat.png")
    before = Path("flat.png").stat().st_size
    result = run("encode", "flat.png", "-q", "1", "--patches", "off", "--json")
    after = Path("flat.ltk").stat().st_size
    assert after > before
    said = f"the .ltk file is larger than its source: {after:,} instead of {before:,} bytes"
    assert f"flat.png: {said}" in result.stderr.splitlines()
    assert json.loads(result.stdout)["losses"] == [said]
    assert "larger" not in run("encode", "photo.png").stderr
    assert "larger" in run("batch", "flat.png", "-d", "out", "-q", "1", "--patches", "off", "-j", "1").stderr
    kept = run("batch", "flat.png", "-d", "kept", "-q", "1", "--patches", "off", "-j", "1", "--keep-smaller")
    assert kept.exit_code == 0 and "larger" not in kept.stderr and names() >= {"kept/flat.png"}

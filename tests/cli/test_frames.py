"""Animations and files of several pages: it is always said what is left out, and --frame takes another one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc.errors import LossWarning, UsageError
from tests.support.cli_runner import run

COLOURS = [(190, 70, 60), (60, 170, 80), (70, 90, 190), (200, 190, 70)]
NEAR = 15  # of 255, the codec's own error of a flat colour
KINDS = {"gif": "frames", "webp": "frames", "png": "frames", "tif": "pages"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [Image.new("RGB", (70, 50), colour) for colour in COLOURS]
    for kind in KINDS:
        how = {"compression": "tiff_lzw"} if kind == "tif" else {"duration": 100, "loop": 0}
        how |= {"lossless": True} if kind == "webp" else {}
        frames[0].save(f"four.{kind}", save_all=True, append_images=frames[1:], **how)


def colour(name: str) -> np.ndarray:
    return np.asarray(ltokc.decode(Path(name).read_bytes()), float).mean((0, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_is_taken_and_that_is_always_said(kind: str) -> None:
    said = f"four.{kind}: first of 4 {KINDS[kind]} taken"
    result = run("encode", f"four.{kind}", "-o", "x.ltk")
    assert result.exit_code == 0 and said in result.stderr
    assert np.abs(colour("x.ltk") - COLOURS[0]).max() < NEAR
    result = run("batch", f"four.{kind}", "-d", "out", "-j", "1", "--report", "rows.csv")
    assert result.exit_code == 0 and said in result.stderr
    assert f"first of 4 {KINDS[kind]} taken" in Path("rows.csv").read_text()
    with pytest.warns(LossWarning, match=f"first of 4 {KINDS[kind]}"):
        ltokc.encode(f"four.{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_another_frame(kind: str) -> None:
    for frame in (1, 3, 4):
        result = run("encode", f"four.{kind}", "--frame", str(frame), "-o", f"{frame}.ltk")
        assert result.exit_code == 0 and "first of" not in result.stderr
        assert np.abs(colour(f"{frame}.ltk") - COLOURS[frame - 1]).max() < NEAR
    result = run("encode", f"four.{kind}", "--frame", "5", "-o", "x.ltk")
    assert result.exit_code == 1 and "there is no frame 5: the picture has 4" in result.stderr
    assert not Path("x.ltk").exists()
    assert run("batch", f"four.{kind}", "-d", "out", "--frame", "2", "-j", "1").exit_code == 0
    assert np.abs(colour("out/four.ltk") - COLOURS[1]).max() < NEAR


def test_a_pillow_picture_is_taken_as_it_shows_itself(recwarn: pytest.WarningsRecorder) -> None:
    with Image.open("four.gif") as image:
        image.seek(2)
        for frame, wanted in ((None, 2), (4, 3), (1, 0)):
            found = np.asarray(ltokc.decode(ltokc.encode(image, frame=frame)), float).mean((0, 1))
            assert np.abs(found - COLOURS[wanted]).max() < NEAR
            assert image.tell() == 2
    assert not [w for w in recwarn if issubclass(w.category, LossWarning)]


@pytest.mark.parametrize("frame", [0, -1, 2, 1.0, True, "1", float("nan")])
def test_frames_that_are_none(frame: object) -> None:
    for source in (Image.new("RGB", (9, 9)), np.zeros((9, 9, 3), np.uint8), _file()):
        with pytest.raises(UsageError, match="frame"):
            ltokc.encode(source, frame=frame)


def _file() -> io.BytesIO:
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, "PNG")
    out.seek(0)
    return out


def test_one_picture_with_something_beside_it_has_no_frames() -> None:
    frames = [Image.new("RGB", (70, 50), colour) for colour in COLOURS[:2]]
    frames[0].save("photo.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert "first of" not in run("encode", "photo.jpg", "-o", "x.ltk").stderr


def test_a_comparison_is_of_the_first_frame() -> None:
    result = run("batch", "four.gif", "-d", "out", "--frame", "2", "--versus", "jpeg", "--report", "x.html")
    assert result.exit_code == 2 and "--frame excludes it" in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_pillow_picture_says_so_too_unless_a_frame_was_chosen(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    with Image.open(f"four.{kind}") as image:
        with pytest.warns(LossWarning, match=f"first of 4 {KINDS[kind]}"):
            ltokc.encode(image, effort=0)
        recwarn.clear()
        ltokc.encode(image, effort=0, frame=1)
        image.seek(2)
        ltokc.encode(image, effort=0)
    assert not [w for w in recwarn if issubclass(w.category, LossWarning)]


@pytest.mark.parametrize("kind, several", [("ico", 7), ("icns", 8)])
def test_other_sizes_of_an_icon_are_said(kind: str, several: int, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("RGB", (256, 256), "red").save(f"icon.{kind}")
    said = f"largest of {several} sizes taken, the others are not kept"
    assert f"icon.{kind}: {said}" in run("encode", f"icon.{kind}", "-e", "0").stderr.splitlines()
    with Image.open(f"icon.{kind}") as image:
        with pytest.warns(LossWarning, match=said):
            ltokc.encode(image, effort=0)
        image.size = (32, 32)
        recwarn.clear()
        ltokc.encode(image, effort=0)
    Image.new("RGB", (32, 32), "red").save("one.ico", sizes=[(32, 32)])
    ltokc.encode("one.ico", effort=0)
    assert not [w for w in recwarn if issubclass(w.category, LossWarning)]

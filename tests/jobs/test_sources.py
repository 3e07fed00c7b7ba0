"""What is taken of folders, and what is left out and counted (`ltokc.jobs`: sources, left_out, patterns, kinds)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from ltokc.jobs import left_out
from ltokc.jobs.kinds import LTK, PICTURES, is_picture
from ltokc.jobs.left_out import BELOW, DONE, EXCLUDED, HIDDEN, LINKED, OTHER, SYSTEM, LeftOut
from ltokc.jobs.patterns import expand
from ltokc.jobs.sources import Walk, collect

HEADS = {  # the first bytes of files that Pillow does not write
    "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "new.jxl": b"\xff\x0a\x1f\x07",
    "boxed": b"\0\0\0\x0cJXL \r\n\x87\n",
    "raw.raf": b"FUJIFILMCCD-RAW 0201", "canon.cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
}  # fmt: skip
OTHERS = {
    "notes.txt": b"P1 is a postcode, BM another", "film.mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "empty": b"",
    "sound.wav": b"RIFF\x24\0\0\0WAVEfmt ", "font.ttf": b"\0\1\0\0\0\x0f\0\x80", "page.pdf": b"%PDF-1.7",
    "x.xmp": b"<x:xmpmeta",
    "lines": b"\n\nBelow are lines",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """in/: an empty folder below the current one."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return tmp_path


def put(*names: str, data: bytes = b"x") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)


def taken(inputs: list[str], out: LeftOut, **rest: object) -> list[str]:
    return [s.path for s in collect(inputs, Walk(PICTURES, **{"recursive": True, **rest}), out)]  # type: ignore[arg-type]


WRITTEN = ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "ICO", "SGI", "PCX", "QOI", "DDS"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_picture_without_a_suffix_is_known_by_its_first_bytes(folder: Path, kind: str) -> None:
    image = Image.new("RGB", (64, 48), (200, 30, 30))
    image.save("in/nosuffix", kind)
    image.save("in/picture.backup", kind)
    out = LeftOut()
    assert taken(["in"], out) == ["in/nosuffix", "in/picture.backup"] and not out


def test_pictures_are_told_from_other_files(folder: Path) -> None:
    for name, data in (HEADS | OTHERS).items():
        put(f"in/{name}", data=data)
        assert is_picture(data) == (name in HEADS), name
    put("in/a.jfif", "in/b.mpo", "in/c.apng", "in/D.HEIF", "in/e.jxl", "in/photo.ltk")
    out = LeftOut()
    expected = sorted([*(f"in/{n}" for n in HEADS), "in/a.jfif", "in/b.mpo", "in/c.apng", "in/D.HEIF", "in/e.jxl"])
    assert sorted(taken(["in"], out)) == expected
    assert sorted(out.paths[OTHER]) == sorted(f"in/{n}" for n in OTHERS)
    assert list(out.paths[DONE]) == ["in/photo.ltk"]


def test_ltk_files_are_known_by_their_first_bytes_too(folder: Path) -> None:
    put("in/received", data=b"\x89LTK rest")
    put("in/copied.png")
    out = LeftOut()
    found = collect(["in"], Walk(LTK, recursive=True), out)
    assert [s.path for s in found] == ["in/received"] and list(out.paths[OTHER]) == ["in/copied.png"]
    assert out.text() == "left out: 1 file that is no .ltk file: in/copied.png"


@pytest.mark.parametrize("pattern", [False, True], ids=["-r", "**"])
def test_what_a_nas_or_a_system_keeps_is_left_out_and_counted(folder: Path, pattern: bool) -> None:
    folders = ("@eaDir/a.jpg", ".@__thumb", "#recycle", "@Recycle", "#snapshot", ".Trash-1000", "__MACOSX",
               "$RECYCLE.BIN", "System Volume Information", "lost+found")  # fmt: skip
    put("in/a.jpg", "in/deep/b.jpg", *(f"in/deep/{name}/thumb.jpg" for name in folders))
    put("in/deep/._b.jpg", "in/.hidden.jpg", "in/.git/c.jpg")
    out = LeftOut()
    found = sorted(expand("in/**/*", (), out)) if pattern else sorted(taken(["in"], out))
    assert [path for path in found if path.endswith(".jpg")] == ["in/a.jpg", "in/deep/b.jpg"]
    assert {os.path.basename(path) for path in out.paths[SYSTEM]} == {*(f.split("/")[0] for f in folders), "._b.jpg"}
    assert sorted(out.paths[HIDDEN]) == ["in/.git", "in/.hidden.jpg"]
    folders_made = [path for path in out.paths[SYSTEM] if not path.endswith("._b.jpg")]  # which is no picture's file
    assert sorted(out.unasked()) == sorted([*folders_made, *out.paths[HIDDEN]])
    out, exclude = LeftOut(), (".*", "*e*", "#*", "__MACOSX", "$RECYCLE.BIN", "lost+found")
    found = expand("in/**/*", exclude, out) if pattern else taken(["in"], out, exclude=exclude)
    assert not out.unasked() and set(out.paths) == {EXCLUDED}, "what is named is asked for, whoever made it"


def test_what_a_system_keeps_is_taken_where_it_is_named(folder: Path) -> None:
    put("in/@eaDir/a.jpg", "in/.hidden/b.jpg")
    assert taken(["in/@eaDir", "in/.hidden/b.jpg"], LeftOut()) == ["in/@eaDir/a.jpg", "in/.hidden/b.jpg"]
    assert expand("in/@eaDir/*.jpg") == ["in/@eaDir/a.jpg"] and expand("in/.hid*/*.jpg") == ["in/.hidden/b.jpg"]


EXCLUDES = [
    (["*.tif"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/raw/b.jpg"]),
    (["raw"], ["in/a.jpg", "in/d.TIF"]),
    (["RAW", "*.tif"], ["in/a.jpg"]),
    (["2024/*/raw"], ["in/a.jpg", "in/d.TIF", "in/raw/b.jpg"]),
    (["/raw"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF"]),
    (["raw/*"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF"]),
    (["in/raw"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF"]),
    (["./IN/raw/"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF"]),
    (["in/2024/*/raw/c.*"], ["in/a.jpg", "in/d.TIF", "in/raw/b.jpg"]),
    (["/in/raw"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF", "in/raw/b.jpg"]),
    (["in"], ["in/2024/x/raw/c.jpg", "in/a.jpg", "in/d.TIF", "in/raw/b.jpg"]),
]


@pytest.mark.parametrize("pattern", [False, True], ids=["-r", "**"])
@pytest.mark.parametrize(("exclude", "expected"), EXCLUDES, ids=[" ".join(e) for e, _ in EXCLUDES])
def test_exclude(folder: Path, exclude: list[str], expected: list[str], pattern: bool) -> None:
    put("in/a.jpg", "in/raw/b.jpg", "in/2024/x/raw/c.jpg", "in/d.TIF")
    out = LeftOut()
    if pattern:
        found = [path for path in expand("in/**/*.*", exclude, out) if os.path.isfile(path)]
    elif exclude == ["in"]:
        found = taken(["./in/"], out)
    else:
        found = taken(["in"], out, exclude=tuple(exclude))
    assert sorted(map(os.path.normpath, found)) == expected
    assert (EXCLUDED in out.paths) == (len(expected) < 4)


def test_exclude_holds_for_named_files_too(folder: Path) -> None:
    put("in/a.jpg", "in/b.tif")
    out = LeftOut()
    assert taken(["in/a.jpg", "in/b.tif", "in/gone.tif"], out, exclude=("*.tif",)) == ["in/a.jpg"]
    assert list(out.paths[EXCLUDED]) == ["in/b.tif", "in/gone.tif"]


def test_exclude_as_a_shell_completes_it(folder: Path) -> None:
    """The way to a file as it was typed, also an absolute one, a folder before it, and names with brackets."""
    put("in/a.jpg", "in/[raw]/b.jpg", "in/c/d.jpg")
    everything = ["in/a.jpg", "in/[raw]/b.jpg", "in/c/d.jpg"]
    cases = {"in/c/": everything[:2], "in/a.jpg": everything[1:], "in/": [], "./in/c": everything[:2],
             "/in/c": everything, "else/a.jpg": everything}  # fmt: skip
    for exclude, left in cases.items():
        assert taken(everything, LeftOut(), exclude=(exclude,)) == left, exclude
    whole = f"{folder}/in"
    assert taken([whole], LeftOut(), exclude=(f"{whole}/c/",)) == [f"{whole}/[raw]/b.jpg", f"{whole}/a.jpg"][::-1]
    assert taken(["in/[raw]"], LeftOut(), exclude=("in/[raw]/b.jpg",)) == []
    assert taken(["in"], LeftOut(), exclude=("in/",)) == [] == taken(["./in/"], LeftOut(), exclude=("in/",))
    assert taken(["."], LeftOut(), exclude=("in/c",)) == ["./in/a.jpg", "./in/[raw]/b.jpg"]


def test_patterns_that_match_nothing_are_known(folder: Path) -> None:
    put("in/a.jpg", "in/raw/b.jpg", "in/c.txt")
    out = LeftOut()
    assert taken(["in"], out, exclude=("raw", "*.txt", "in/drafts", "*.tif")) == ["in/a.jpg"]
    assert out.idle() == ["in/drafts", "*.tif"]
    out = LeftOut()
    assert expand("in/**/*.jpg", ("raw", "drafts"), out) == ["in/a.jpg"] and out.idle() == ["drafts"]


def test_a_pattern_follows_no_links_to_folders(folder: Path) -> None:
    """One loop gave each file 41 times, two loops never ended."""
    put("in/a.jpg", "in/deep/b.jpg", "else/c.jpg")
    for link, to in (("in/deep/up", ".."), ("in/again", "../in"), ("in/deep/other", "../../else")):
        Path(link).symlink_to(to)
    Path("in/linked.jpg").symlink_to("a.jpg")
    out = LeftOut()
    assert expand("in/**/*.jpg", (), out) == ["in/a.jpg", "in/deep/b.jpg", "in/linked.jpg"]
    walked = LeftOut()
    assert sorted(taken(["in"], walked)) == ["in/a.jpg", "in/deep/b.jpg", "in/linked.jpg"]
    for each in (out, walked):
        assert sorted(each.paths[LINKED]) == ["in/again", "in/deep/other", "in/deep/up"]
    assert expand("in/again/deep/*.jpg") == ["in/again/deep/b.jpg"], "a link that is named is followed"
    assert expand("in/*/b.jpg") == ["in/deep/b.jpg"]


def test_patterns_match_as_they_did(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("in/a.jpg", "in/d/b.jpg", "in/d/e/c.jpg", "in/d/e/c.png")
    assert expand("in/**/e/*.jpg") == ["in/d/e/c.jpg"]
    assert expand("in/**/**/*.jpg") == ["in/a.jpg", "in/d/b.jpg", "in/d/e/c.jpg"]
    assert [p for p in expand("in/**") if os.path.isfile(p)] == [
        "in/a.jpg", "in/d/b.jpg", "in/d/e/c.jpg", "in/d/e/c.png",
    ]  # fmt: skip
    assert expand("./in/?/b.jp[gG]") == ["./in/d/b.jpg"]
    assert expand(f"{folder}/in/*.jpg") == [f"{folder}/in/a.jpg"]
    assert expand("in/*.gone") == ["in/*.gone"]
    monkeypatch.chdir("in")
    assert expand("**/*.jpg") == ["a.jpg", "d/b.jpg", "d/e/c.jpg"]


def test_folders_that_are_not_walked_are_counted(folder: Path) -> None:
    put("in/a.jpg", "in/deep/b.jpg")
    out = LeftOut()
    assert taken(["in"], out, recursive=False, own=True) == ["in/a.jpg"]
    assert list(out.paths[BELOW]) == ["in/deep"] == out.unasked()


def test_many_are_counted_by_suffix_and_few_are_named(folder: Path) -> None:
    put(*(f"in/{n}.xmp" for n in range(20)), *(f"in/{n}.txt" for n in range(3)), "in/README", data=b"text")
    out = LeftOut()
    assert taken(["in"], out) == []
    assert out.text() == "left out: 24 files that are no pictures: 20 .xmp, 3 .txt, without a suffix (-v names them)"
    shutil.rmtree("in")
    put("in/a.txt", "in/b.txt", data=b"text")
    out = LeftOut()
    assert taken(["in", "in"], out) == []
    assert out.text() == "left out: 2 files that are no pictures: in/a.txt, in/b.txt"


def test_own_files_are_nothing_left_out(folder: Path) -> None:
    put("in/.ltokc-batch.journal", "in/.ltokc-batch-1-of-2.journal")
    out = LeftOut()
    assert taken(["in"], out) == [] and not out and left_out.LeftOut().text() == ""

"""Pairing of inputs with outputs (`ltokc.jobs.paths`)."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltokc.errors import UsageError
from ltokc.jobs.left_out import ODD, LeftOut
from ltokc.jobs.paths import LTK, PICTURES, Existing, Job, OutputRule, plan


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pictures/a.png, pictures/in/b.JPG, pictures/in/deep/c.webp and some that are not for us; the current folder."""
    for name in ("a.png", "in/b.JPG", "in/deep/c.webp", "notes.txt", ".hidden.png", ".git/d.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def encoding(*inputs: str, **rest: object) -> list[Job]:
    return plan(inputs, OutputRule(".ltk", PICTURES, **rest))  # type: ignore[arg-type]


def targets(jobs: list[Job]) -> list[str]:
    return [os.path.relpath(j.target) for j in jobs]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.png", "photo.ltk"),
        ("dir.png/photo.JPEG", "dir.png/photo.ltk"),
        ("a.b.png", "a.b.ltk"),
        ("photo.v2", "photo.v2.ltk"),
        ("photo", "photo.ltk"),
        (".png", ".png.ltk"),
        ("-odd name.tif", "-odd name.ltk"),
    ],
)
def test_output_lies_beside_the_input(name: str, expected: str) -> None:
    assert encoding(name) == [Job(name, expected)]


def test_several_inputs_go_beside_their_sources() -> None:
    assert targets(encoding("x/a.png", "y/a.png")) == ["x/a.ltk", "y/a.ltk"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["pictures"], ["out/a.ltk", "out/in/b.ltk", "out/in/deep/c.ltk"]),
        (["pictures/"], ["out/a.ltk", "out/in/b.ltk", "out/in/deep/c.ltk"]),
        (["pictures/in"], ["out/b.ltk", "out/deep/c.ltk"]),
        (["pictures/a.png", "pictures/in/b.JPG"], ["out/a.ltk", "out/in/b.ltk"]),
        (["pictures/in/b.JPG"], ["out/b.ltk"]),
        (["pictures/in/deep", "pictures/a.png"], ["out/in/deep/c.ltk", "out/a.ltk"]),
        (["pictures", "pictures/a.png", "./pictures/in"], ["out/a.ltk", "out/in/b.ltk", "out/in/deep/c.ltk"]),
    ],
)
def test_tree_is_mirrored_and_every_file_taken_once(tree: Path, inputs: list[str], expected: list[str]) -> None:
    assert targets(encoding(*inputs, directory="out", recursive=True)) == expected
    assert not Path("out").exists()


def test_folder_without_recursive_is_the_folders_failure(tree: Path) -> None:
    folder, file = encoding("pictures", "pictures/a.png")
    assert "-r" in folder.error
    assert not file.error


def test_explicit_output() -> None:
    assert encoding("photo.png", output="x.bin") == [Job("photo.png", "x.bin")]
    assert encoding("photo.png", output="-") == [Job("photo.png", "-")]


def test_standard_input_goes_to_standard_output() -> None:
    assert encoding("-") == [Job("-", "-")]
    assert encoding("-", output="x.ltk") == [Job("-", "x.ltk")]


@pytest.mark.parametrize(
    ("inputs", "rest"),
    [
        (["a.png", "b.png"], {"output": "x.ltk"}),
        (["pictures"], {"output": "x.ltk", "recursive": True}),
        (["a.png"], {"output": "x.ltk", "directory": "out"}),
        (["a.png"], {"output": "pictures"}),
        (["a.png"], {"directory": "pictures/a.png"}),
        (["-"], {"directory": "out"}),
        (["-", "a.png"], {}),
        (["a.png"], {"output": "a.png"}),
        (["pictures/a.png"], {"output": "pictures/in/../a.png"}),
    ],
)
def test_arguments_that_do_not_fit_together(tree: Path, inputs: list[str], rest: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        encoding(*inputs, **rest)


def test_input_is_never_its_own_output(tree: Path) -> None:
    Path("x.ltk").write_bytes(b"x")
    Path("link.png").symlink_to("x.ltk")
    (job,) = plan(["x.ltk"], OutputRule(".ltk", LTK))
    assert "same file" in job.error
    with pytest.raises(UsageError, match="same file"):
        encoding("link.png", output="x.ltk")


def test_two_inputs_never_share_an_output() -> None:
    first, second = encoding("a.png", "a.jpg")
    assert not first.error
    assert second.error == "a.ltk is already meant for a.png; --keep-suffix keeps both"


def test_no_clobber_skips_what_exists(tree: Path) -> None:
    Path("pictures/a.ltk").write_bytes(b"x")
    jobs = encoding("pictures", recursive=True, existing=Existing.SKIP)
    assert [j.skip for j in jobs] == ["pictures/a.ltk exists", "", ""]
    assert not any(j.skip for j in encoding("pictures", recursive=True))


@pytest.mark.parametrize("place", [{}, {"output": "pictures/a.png"}, {"directory": "pictures"}])
def test_a_file_that_exists_is_replaced_by_permission_alone(tree: Path, place: dict[str, object]) -> None:
    def decoding(existing: Existing) -> Job:
        (job,) = plan(["pictures/a.ltk"], OutputRule(".png", LTK, existing=existing, **place))  # type: ignore[arg-type]
        return job

    refused = decoding(Existing.REFUSE)
    assert refused.error == "pictures/a.png exists; --overwrite replaces it" and not refused.placement.overwrite
    assert decoding(Existing.SKIP).skip
    allowed = decoding(Existing.REPLACE)
    assert not allowed.error and allowed.placement.overwrite
    later = decoding(Existing.RESUME)
    assert not later.error and not later.placement.overwrite


def test_an_input_is_no_output_of_the_same_run(tree: Path) -> None:
    Path("pictures/a.ltk").write_bytes(b"a picture of another name")
    for names in (("a.png", "a.ltk", "b"), ("a.ltk", "a.png", "b")):
        jobs = encoding(*(f"pictures/{name}" for name in names), existing=Existing.REPLACE)
        assert {j.source: j.error for j in jobs} == {
            "pictures/a.png": "pictures/a.ltk is an input, too", "pictures/a.ltk": "", "pictures/b": "",
        }  # fmt: skip


def test_keep_suffix_keeps_pictures_of_one_name_apart() -> None:
    jobs = encoding("a.png", "a.jpg", "x/a.v2", keep_suffix=True)
    assert jobs == [Job("a.png", "a.png.ltk"), Job("a.jpg", "a.jpg.ltk"), Job("x/a.v2", "x/a.v2.ltk")]


@pytest.mark.parametrize(
    ("name", "suffix", "undone", "expected"),
    [
        ("a.png.ltk", ".png", [".png"], "a.png"),
        ("a.PNG.ltk", ".png", [".png"], "a.PNG"),
        ("a.jpg.ltk", ".png", [".png"], "a.jpg.png"),
        ("a.jpeg.ltk", ".jpg", [".jpg", ".jpeg"], "a.jpeg"),
        ("a.ltk", ".png", [".png"], "a.png"),
        ("a.b.ltk", ".png", [".png"], "a.b.png"),
    ],
)
def test_decoding_undoes_keep_suffix(name: str, suffix: str, undone: list[str], expected: str) -> None:
    assert plan([name], OutputRule(suffix, LTK, undone=undone)) == [Job(name, expected)]


def folds(a: str, b: str) -> bool:
    """How APFS compares names, as it is formatted by default."""
    return unicodedata.normalize("NFD", a).casefold() == unicodedata.normalize("NFD", b).casefold()


@pytest.mark.parametrize(
    "inputs", [("IMG_1.png", "img_1.png"), ("caf\u00e9.png", "cafe\u0301.png"), ("\u00c9/a.png", "e\u0301/a.png")]
)
def test_outputs_are_compared_as_their_folder_compares_names(inputs: tuple[str, str]) -> None:
    rule = OutputRule(".ltk", PICTURES, directory="out")
    first, second = plan(inputs, rule, folds)
    assert not first.error
    assert second.error == f"{second.target} is already meant for {inputs[0]}; --keep-suffix keeps both"
    assert not any(job.error for job in plan(inputs, rule, lambda a, b: False))


def test_names_that_no_file_system_takes_for_one_are_not_asked_about() -> None:
    def ask(a: str, b: str) -> bool:
        raise AssertionError(f"asked about {a} and {b}")

    names = ["IMG_1.png", "IMG_2.png", "img-1.png", "x/IMG_1.png", "ä.png", "a.png"]
    assert not any(job.error for job in plan(names, OutputRule(".ltk", PICTURES, directory="out"), ask))


def test_two_ways_to_one_folder_are_one_output(tree: Path) -> None:
    Path("way").symlink_to("pictures")
    shutil.copy("pictures/a.png", "pictures/a.jpg")
    first, second = encoding("pictures/a.png", "way/a.jpg")
    assert not first.error
    assert second.error.startswith("way/a.ltk is already meant for pictures/a.png")


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.REPLACE, Existing.RESUME])
def test_derived_outputs_follow_no_link_and_named_ones_do(tree: Path, existing: Existing) -> None:
    Path("victim.txt").write_text("mine")
    Path("pictures/a.ltk").symlink_to("../victim.txt")
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/in").symlink_to("../elsewhere")
    beside = encoding("pictures/a.png", existing=existing)
    mirrored = encoding("pictures", directory="out", recursive=True, existing=existing)
    assert [job.error for job in beside] == ["pictures/a.ltk is a link, and only -o follows links"]
    assert [job.error for job in mirrored] == ["", *["out/in is a link, and only -o follows links"] * 2]
    Path("new.ltk").symlink_to("not-there-yet")
    (named,) = encoding("pictures/a.png", output="new.ltk", existing=existing)
    assert not named.error and named.placement.within is None
    Path("way").symlink_to("pictures")  # a folder that is named may be a link
    assert not any(job.error for job in encoding("way/in", "way/in/b.JPG", recursive=True, existing=existing))
    assert not any(job.error for job in encoding("pictures/in", directory="out/in", recursive=True, existing=existing))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_walks_and_patterns_take_regular_files_only(tree: Path) -> None:
    os.mkfifo("pictures/in/pipe.png")
    Path("pictures/in/zero.png").symlink_to("/dev/zero")
    Path("pictures/in/good.png").symlink_to("../a.png")
    Path("pictures/in/gone.png").symlink_to("not-there")
    for name, recursive in (("pictures/in", True), ("pictures/in/*.*", False)):
        out = LeftOut()
        jobs = plan(
            [name], OutputRule(".ltk", PICTURES, directory="out", recursive=recursive, patterns=True), left_out=out
        )
        taken = {os.path.basename(job.source) for job in jobs if "deep" not in job.source}
        assert taken == {"b.JPG", "gone.png", "good.png"}
        assert list(out.paths[ODD]) == ["pictures/in/pipe.png", "pictures/in/zero.png"] == out.unasked()
    assert not any(job.skip for job in encoding("pictures/in/pipe.png", "pictures/in/zero.png"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["pictures/*.png"], ["out/a.ltk"]),
        (["pictures/**/*.JPG"], ["out/in/b.ltk"]),
        (["pictures/*/deep/*"], ["out/in/deep/c.ltk"]),
        (["pictures/in/*"], ["out/b.ltk", "out/deep/c.ltk"]),
        (["pictures/i?/b.JPG", "pictures/a.png"], ["out/in/b.ltk", "out/a.ltk"]),
    ],
)
def test_patterns_are_mirrored_from_their_fixed_part(tree: Path, inputs: list[str], expected: list[str]) -> None:
    assert targets(encoding(*inputs, directory="out", recursive=True, patterns=True)) == expected


def test_pattern_that_matches_nothing_or_is_a_name(tree: Path) -> None:
    (job,) = encoding("pictures/*.gone", patterns=True, directory="out")
    assert job.source == "pictures/*.gone"
    Path("pictures/a[1].png").touch()
    (job,) = encoding("pictures/a[1].png", patterns=True, directory="out")
    assert (job.source, targets([job])) == ("pictures/a[1].png", ["out/a[1].ltk"])


def test_outputs_of_an_earlier_run_are_no_inputs(tree: Path) -> None:
    for directory in ("pictures/out", "pictures/in/out"):
        Path(directory).mkdir()
        Path(directory, "x.png").touch()
        assert "x.png" not in str(encoding("pictures", directory=directory, recursive=True))
        Path(directory, "x.png").unlink()
    Path("pictures/out/x.png").touch()
    assert "x.png" in str(encoding("pictures/out", directory="pictures/out", recursive=True))


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda s: s not in (".", "..", "-")
)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=5))
def test_no_two_jobs_ever_write_one_file(pairs: list[tuple[str, str]]) -> None:
    jobs = encoding(*(f"{folder}/{name}" for folder, name in pairs), directory="out-that-is-not-there")
    good = [os.path.abspath(j.target) for j in jobs if not j.error]
    assert len(good) == len(set(good))
    root = os.path.abspath("out-that-is-not-there")
    assert all(t.startswith(root + os.sep) and t.endswith(".ltk") for t in good)

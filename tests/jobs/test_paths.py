"""Pairing of inputs with outputs (`ltokc.jobs.paths`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltokc.errors import UsageError
from ltokc.jobs.paths import LTK, PICTURES, Job, OutputRule, plan


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
    assert second.error == "a.ltk is already the output of a.png"


def test_no_clobber_skips_what_exists(tree: Path) -> None:
    Path("pictures/a.ltk").write_bytes(b"x")
    jobs = encoding("pictures", recursive=True, no_clobber=True)
    assert [j.skip for j in jobs] == [True, False, False]
    assert not any(j.skip for j in encoding("pictures", recursive=True))


def test_decoding_does_not_replace_the_original(tree: Path) -> None:
    def decoding(**rest: object) -> Job:
        (job,) = plan(["pictures/a.ltk"], OutputRule(".png", LTK, keep_beside=True, **rest))  # type: ignore[arg-type]
        return job

    assert decoding().error.startswith("pictures/a.png exists")
    assert decoding(no_clobber=True).skip
    assert not decoding(output="pictures/a.png").error
    assert not decoding(directory="pictures").error


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

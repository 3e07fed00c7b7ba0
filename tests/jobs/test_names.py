"""Which names lead to one file (`ltokc.jobs.names`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltokc.jobs.names import key, same_name
from tests.support.folding import folding_folder

SPELLINGS = [
    ("IMG_1.ltk", "img_1.ltk"), ("\u00e9.ltk", "e\u0301.ltk"), ("\u00c9.ltk", "\u00e9.ltk"),
    ("stra\u00dfe", "STRASSE"), ("\u212a", "k"), ("\ufb01x", "FIX"), ("a\u200db", "AB"), ("\u03c2", "\u03a3"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SPELLINGS)
def test_spellings_of_one_name_have_one_key(a: str, b: str) -> None:
    assert key(a) == key(b)


def test_other_names_have_other_keys() -> None:
    names = ["a", "ab", "\u00e4", "IMG_1", "IMG-1", "1", "\udcff"]
    assert len({key(name) for name in names}) == len(names)


@pytest.mark.parametrize("folder", [".", "there", "not/there/yet"])
def test_the_folder_is_asked_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there/A.png").touch()
    expected = Path("there/a.png").exists()  # what this file system does
    assert same_name(f"{folder}/IMG.ltk", f"{folder}/img.ltk") == expected
    assert same_name(f"{folder}/A/x.ltk", f"{folder}/a/x.ltk") == expected
    assert same_name(f"{folder}/x.ltk", f"{folder}/./x.ltk")
    assert sorted(os.listdir()) == ["there"] and os.listdir("there") == ["A.png"]


def test_where_nobody_can_ask_names_count_as_one(tmp_path: Path) -> None:
    too_long = "x" * 300
    assert same_name(f"{tmp_path}/{too_long}", f"{tmp_path}/{too_long.upper()}")


def test_a_folder_that_folds_case(tmp_path: Path) -> None:
    with folding_folder(tmp_path / "folds") as folder:
        assert same_name(f"{folder}/IMG.ltk", f"{folder}/img.ltk")
        assert same_name(f"{folder}/\u00c9/x.ltk", f"{folder}/\u00e9/x.ltk")
        assert not same_name(f"{folder}/IMG.ltk", f"{folder}/IMG_.ltk")

"""Sheets for blind comparison: what they show, and the count of the answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality.blind_sheets import LABEL, MARGIN, main, preferred, read_answers, tally
from ltokc.errors import UsageError

LETTERS = {"A": "faithful", "B": "generative", "C": "jpeg"}
KEY = {f"{i:02d}": {"letters": LETTERS} for i in (1, 2, 3)}


def test_who_is_not_named_comes_last() -> None:
    assert preferred("BAC", LETTERS, "generative", "faithful")
    assert not preferred("AB", LETTERS, "generative", "faithful")
    assert preferred("B", LETTERS, "generative", "jpeg") and not preferred("C", LETTERS, "generative", "jpeg")
    assert not preferred("C", LETTERS, "generative", "faithful")  # neither is named: not preferred


def test_votes_and_agreement_are_counted() -> None:
    answers = {"one": {"01": "BAC", "02": "ABC", "03": "CB"}, "two": {"01": "BCA", "02": "BAC"}}
    found = tally(KEY, answers)
    assert found["people"]["one"]["faithful"] == {"sheets": 3, "preferred": 2, "not": ["02"]}
    assert found["people"]["one"]["jpeg"] == {"sheets": 3, "preferred": 2, "not": ["03"]}
    assert found["people"]["two"]["faithful"]["preferred"] == 2
    assert found["agreement"] == {"one and two": {"faithful": 0.5, "jpeg": 1.0, "best": 0.5}}


@pytest.mark.parametrize("text", ["04 ABC", "01 ABD", "01 AAB", "01", "01 A B", "01 A\n01 B"])
def test_what_is_no_answer_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UsageError, match="line"):
        read_answers(tmp_path / "a.txt", KEY)


def test_a_sheet_shows_what_the_key_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    small = Image.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8))
    small.resize((160, 128), Image.Resampling.BICUBIC).save(tmp_path / "in" / "x.png")
    words = ["make", "--images", str(tmp_path / "in"), "--rates", "0.4", "--rival", "jpeg", "--out"]
    done = CliRunner().invoke(main, [*words, str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    key = json.loads((tmp_path / "out" / "key.json").read_text())["sheets"]
    assert sorted(key["01"]["letters"].values()) == ["faithful", "generative", "jpeg"]
    shown = Image.open(tmp_path / "out" / "01.png")
    parts = [
        np.asarray(shown.crop((x, y, x + 160, y + 128)), int)
        for y in (MARGIN + LABEL, 2 * (MARGIN + LABEL) + 128)
        for x in (MARGIN, 2 * MARGIN + 160)
    ]
    assert np.array_equal(parts[0], np.asarray(Image.open(tmp_path / "in" / "x.png")))
    by_name = {key["01"]["letters"][letter]: part for letter, part in zip("ABC", parts[1:], strict=True)}
    near = np.abs(by_name["faithful"] - by_name["generative"]).mean()
    assert 0 < near < np.abs(by_name["faithful"] - by_name["jpeg"]).mean()
    (tmp_path / "me.txt").write_text("01 " + "".join(key["01"]["letters"]))
    counted = CliRunner().invoke(main, ["tally", "--key", str(tmp_path / "out" / "key.json"), str(tmp_path / "me.txt")])
    assert counted.exit_code == 0 and json.loads(counted.output)["people"]["me"]["jpeg"]["sheets"] == 1

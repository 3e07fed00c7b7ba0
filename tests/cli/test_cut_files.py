"""Files that were cut: how much of them is shown, and which option shows it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import ltokc
from tests.support.cli_runner import run

SAYS = "decode --allow-truncated shows what there is of it"


@pytest.fixture
def told(here: Path, encoded: bytes) -> str:
    """packed/cut.ltk, the first half of a file, and what is to be said of it; packed/whole.ltk."""
    Path("packed").mkdir()
    Path("packed/whole.ltk").write_bytes(encoded)
    cut = encoded[: len(encoded) // 2]
    Path("packed/cut.ltk").write_bytes(cut)
    held = ltokc.tokens(cut, allow_truncated=True).count
    return f"the file is cut: {held:,} of {ltokc.info(encoded).tokens:,} tokens shown"


def test_decode_says_how_much_is_shown(told: str) -> None:
    result = run("decode", "packed/cut.ltk", "packed/whole.ltk", "-d", "back", "--allow-truncated", "--json")
    assert result.exit_code == 0 and f"packed/cut.ltk: {told}" in result.stderr.splitlines()
    assert result.stderr.count("the file is cut") == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["losses"] == [told] and "losses" not in second
    assert run("decode", "packed/cut.ltk", "-o", "x.png", "--allow-truncated", "--quiet").stderr == ""


def test_batch_says_it_of_each_file_and_in_its_report(told: str) -> None:
    result = run("batch", "--decode", "packed", "-d", "back", "-j", "2", "--allow-truncated", "--report", "r.csv")
    assert result.exit_code == 0 and f"packed/cut.ltk: {told}" in result.stderr.splitlines()
    assert result.stderr.count("the file is cut") == 1
    with open("r.csv", newline="") as file:
        rows = {row["input"]: row["losses"] for row in csv.DictReader(file)}
    assert rows == {"packed/cut.ltk": told, "packed/whole.ltk": ""}


@pytest.mark.parametrize("line", ["tokens packed/cut.ltk --allow-truncated", "thumbnail packed/cut.ltk t.png"])
def test_others_that_show_a_part_say_so(told: str, line: str) -> None:
    result = run(*line.split())
    assert result.exit_code == 0 and f"packed/cut.ltk: {told}" in result.stderr.splitlines()


@pytest.mark.parametrize("verb", ["verify", "decode", "tokens", "batch --decode -d back -j 2"])
def test_without_the_option_it_is_named(told: str, verb: str) -> None:
    result = run(*verb.split(), "packed/cut.ltk")
    assert result.exit_code == 1 and SAYS in result.stderr
    with pytest.raises(ltokc.FormatError, match=r"cut[a-z 0-9]*(: its checksum does not match)?$"):
        ltokc.decode(Path("packed/cut.ltk").read_bytes())


def test_where_nothing_can_be_shown_no_option_is_named(told: str) -> None:
    Path("stump.ltk").write_bytes(Path("packed/whole.ltk").read_bytes()[:8])
    for options in ((), ("--allow-truncated",)):
        result = run("decode", "stump.ltk", *options)
        assert result.exit_code == 1 and "cut" in result.stderr and "--allow-truncated" not in result.stderr

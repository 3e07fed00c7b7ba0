"""What is known of each picture of a batch, as rows, and the tables made of them.

A report writer takes the rows and returns the file's bytes; `WRITERS` has them by suffix.  Rows hold plain values only,
so that they can cross between processes and lie in a journal.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ltokc.errors import UsageError

DONE, COPIED, KEPT = "done", "copied", "kept"
UNCHANGED, SKIPPED, FAILED = "unchanged", "skipped", "failed"
MOST = 1 << 63  # of any number in a row
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is worked out by spreadsheet programs
FRESH = (DONE, COPIED, KEPT)  # work of this run


@dataclass(frozen=True, slots=True)
class Row:
    """One picture.  What is not known is None.

    status: "done"; "copied" or "kept" (--keep-smaller: the source was copied, or is there already); "unchanged"
    (--resume: was done before, the fields are of then); "skipped" (--no-clobber); "failed" (`error` says why).
    output: the file written, None without one.  input_bytes and output_bytes: sizes of the files; bpp: bits per pixel
    of the .ltk file; tokens in it; model: its name; seconds of work in one process; notes: what was changed on the way;
    losses: what was not kept, or that the file grew, told without -v too; removed: what an earlier run had written for
    the picture under another name.
    """

    input: str
    output: str | None
    status: str
    width: int | None = None
    height: int | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    bpp: float | None = None
    tokens: int | None = None
    model: str | None = None
    seconds: float | None = None
    notes: str = ""
    error: str = ""
    losses: str = ""
    removed: str = ""

    @property
    def pixels(self) -> int:
        return (self.width or 0) * (self.height or 0)


def row_of(fields_: dict[str, Any]) -> Row | None:
    """A row from the fields of a journal's line; None where these are others, or of other types."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int), "None": (type(None),)}
    for column in fields(Row):
        allowed = tuple(kind for name in str(column.type).split(" | ") for kind in kinds[name])
        value = fields_.get(column.name, column.default)
        if isinstance(value, bool) or not isinstance(value, allowed):
            return None
        if isinstance(value, (int, float)) and not 0 <= value < MOST:
            return None
    return Row(**fields_) if set(fields_) <= set(COLUMNS) else None


COLUMNS = tuple(field.name for field in fields(Row))


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts by status, and sums over the rows that have an output: pixels, bytes in and out, seconds of work."""
    good = [row for row in rows if row.status != FAILED and row.output_bytes is not None]
    return {
        "pictures": len(rows),
        **Counter(row.status for row in rows),
        "pixels": sum(row.pixels for row in good),
        "input_bytes": sum(row.input_bytes or 0 for row in good),
        "output_bytes": sum(row.output_bytes or 0 for row in good),
        "seconds": round(sum(row.seconds or 0.0 for row in good), 3),
    }


def as_csv(rows: Sequence[Row]) -> bytes:
    """A head and a line for each row, UTF-8; RFC 4180.  Unknown values are empty.  Texts are those of `cell`."""
    import csv

    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([cell(value) for value in asdict(row).values()] for row in rows)
    return out.getvalue().encode()


def cell(value: Any) -> Any:
    """A value for a cell of a table: a `printable` text, with an apostrophe before what would be a formula."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(FORMULA) else printable(value)


def printable(name: str) -> str:
    r"""A name as text that can be written anywhere: a byte that is no UTF-8 becomes \udc80 to \udcff, as in JSON."""
    return name.encode("utf-8", "backslashreplace").decode()


def as_json(rows: Sequence[Row]) -> bytes:
    """{"totals": {...}, "pictures": [{...}, ...]}"""
    return (json.dumps({"totals": totals(rows), "pictures": [asdict(row) for row in rows]}, indent=1) + "\n").encode()


WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {".csv": as_csv, ".json": as_json}


HTML = " (with --versus also .html)"


def check(path: str) -> None:
    """UsageError: no writer for this suffix."""
    if os.path.splitext(path)[1].lower() not in WRITERS:
        raise UsageError(f"--report {path}: the suffix says the kind, one of {', '.join(WRITERS)}{HTML}")


def render(path: str, rows: Sequence[Row]) -> bytes:
    """The report that belongs to the suffix of `path`."""
    check(path)
    return WRITERS[os.path.splitext(path)[1].lower()](rows)

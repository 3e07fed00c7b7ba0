"""What `ltokc batch --report` writes: a row for each picture, as CSV or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ltokc.jobs import rows as formats
from ltokc.jobs import streams
from ltokc.jobs.rows import Row


class Tables(Protocol):
    """Writes what --report asks for.

    rows: by their place in the plan; interrupted: the batch was, so that only what is quickly done is written.
    """

    def __call__(self, rows: dict[int, Row], interrupted: bool = False) -> None: ...


def in_order(rows: dict[int, Row]) -> list[Row]:
    """The rows in the order of the plan."""
    return [rows[place] for place in sorted(rows)]


def write_rows(tables: Sequence[str], rows: dict[int, Row], interrupted: bool = False) -> None:
    """`Tables` of plain rows; tables: names of the files."""
    for table in tables:
        streams.write(table, formats.render(table, in_order(rows)))

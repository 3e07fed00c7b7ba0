"""What `ltokc batch --report` writes: a row for each picture, as CSV or JSON."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from ltokc.atomic import Exists, Placement, why_unwritable
from ltokc.errors import LtokcError
from ltokc.jobs import journal, streams
from ltokc.jobs import rows as formats
from ltokc.jobs.paths import refusal
from ltokc.jobs.rows import Row


class Tables(Protocol):
    """Writes what --report asks for.

    rows: by their place in the plan; interrupted: the batch was, so that only what is quickly done is written.
    """

    def __call__(self, rows: dict[int, Row], interrupted: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Reports:
    """The files that --report names.

    journal: path of the run's journal, which will know them again; overwrite: they may replace any file; resume: they
    may replace what a journal beside this one knows.
    """

    tables: tuple[str, ...]
    journal: str
    overwrite: bool = False
    resume: bool = False

    def check(self) -> None:
        """Exists: a file is there that may not be replaced; LtokcError: none can be written there.

        So that it is known before any work is done.
        """
        for table in self.tables:
            if why := why_unwritable(table):
                raise LtokcError(f"--report {table}: cannot be written ({why})")
            if os.path.isfile(table) and not self._may_replace(table):
                raise Exists(refusal(table, "" if self.resume else "--resume goes on with an earlier batch"))

    def write(self, table: str, data: bytes) -> None:
        """Writes one whole or not at all.  Raises LtokcError, OSError."""
        placement = Placement(self._may_replace(table))
        journal.note_report(self.journal, table, data)
        streams.write(table, data, placement)

    def _may_replace(self, table: str) -> bool:
        return self.overwrite or (self.resume and journal.made_report(os.path.dirname(self.journal), table))


def in_order(rows: dict[int, Row]) -> list[Row]:
    """The rows in the order of the plan."""
    return [rows[place] for place in sorted(rows)]


def write_rows(reports: Reports, rows: dict[int, Row], interrupted: bool = False) -> None:
    """`Tables` of plain rows.  What keeps one from being written is raised when all were tried."""
    errors: list[Exception] = []
    for table in reports.tables:
        try:
            reports.write(table, formats.render(table, in_order(rows)))
        except (LtokcError, OSError) as error:
            errors.append(error)
    if errors:
        raise errors[0]

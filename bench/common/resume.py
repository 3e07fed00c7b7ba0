"""What a benchmark had measured when it was stopped: a file beside its output, so that the same command goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Unfinished:
    """Rows by picture in `OUT.rows`: a line that says what is measured, on what, then one line for every picture.

    out: the benchmark's output; conditions: whatever must be the same for rows to be taken over, as JSON can hold it.
    """

    def __init__(self, out: Path, conditions: Row):
        self.path, self.conditions = out.with_name(out.name + ".rows"), json.dumps(conditions, sort_keys=True)

    def resume(self) -> list[list[Row]]:
        """The pictures' rows so far.  Those of other conditions are dropped, and a line that was cut with them."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        found = []
        for line in lines[1:] if lines[:1] == [self.conditions] else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        self.path.write_text("".join(f"{line}\n" for line in (self.conditions, *map(json.dumps, found))))
        return found

    def add(self, rows: list[Row]) -> None:
        """Keeps the rows of one more picture."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(rows) + "\n")

    def finish(self) -> None:
        """Removes the file: the output holds everything."""
        self.path.unlink(missing_ok=True)

"""The part of the report that names the pictures of a batch that have no comparison, as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ltokc.jobs.rows import Row, printable


def section(rows: Sequence[Row]) -> str:
    """A table of these pictures, what became of each, and why; "" where there are none."""
    if not rows:
        return ""
    return (
        '<section aria-labelledby="without">\n  <div class="head"><h2 id="without">Without a comparison</h2></div>\n'
        '  <div class="scroll" tabindex="0" role="region" aria-label="Table of pictures without a comparison"><table>\n'
        '<thead><tr><th scope="col">Picture</th><th scope="col">Status</th><th scope="col"></th></tr></thead>\n'
        f"<tbody>{''.join(map(_line, rows))}</tbody></table></div>\n</section>"
    )


def _line(row: Row) -> str:
    name, why = escape(printable(row.input)), escape(printable(row.error or row.notes))
    return f'<tr><td title="{name}">{name}</td><td>{escape(row.status)}</td><td class="quiet">{why}</td></tr>\n'

"""Pictures compared with what people use now: rivals searched to equal bytes and equal quality, tables, an HTML report.

    record = batch_rows("photo.png", ltk_bytes, quality=0.6)     # in any process; a PictureComparison
    write("report.html", [record, ...], title="holiday")         # or .csv, .json; write_report, write_csv, write_json

Everything is loaded at first use (PEP 562), so that naming this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltokc.compare.options import VERSUS, CompareOptions
    from ltokc.compare.picture import batch_rows, compare_picture
    from ltokc.compare.records import PictureComparison
    from ltokc.compare.report import write, write_report
    from ltokc.compare.summary import summarize
    from ltokc.compare.tables import write_csv, write_json

_PLACES = {
    "VERSUS": "options", "CompareOptions": "options", "batch_rows": "picture", "compare_picture": "picture",
    "PictureComparison": "records",
    "write_report": "report", "write": "report", "summarize": "summary", "write_csv": "tables", "write_json": "tables",
}  # fmt: skip
__all__ = [
    "VERSUS", "CompareOptions", "PictureComparison", "batch_rows", "compare_picture", "summarize", "write",
    "write_csv", "write_json", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'ltokc.compare' has no attribute {name!r}")
    return getattr(import_module(f"ltokc.compare.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The records of a comparison as CSV (one row a file) and JSON, without pictures.

A batch's pictures that have no comparison are rows without figures.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ltokc.compare.codecs import library_versions
from ltokc.compare.records import Batch, FileRecord, PictureComparison
from ltokc.compare.scores import METRICS
from ltokc.compare.summary import summarize
from ltokc.jobs import streams
from ltokc.jobs.rows import Row, cell, printable

COLUMNS = ("picture", "width", "height", "role", "label", "codec", "quality", "scale", "bytes", "bpp", *METRICS,
           "below_percent", "equal_metric", "bytes_at_equal_quality", "source", "status", "error")  # fmt: skip


def csv_rows(pictures: Sequence[PictureComparison], without: Sequence[Row] = ()) -> Iterator[dict[str, Any]]:
    """Rows with the keys COLUMNS.  role: `file`, `same_bytes` or `same_quality`, none for a picture that has no
    comparison; below_percent: how far a rival of `same_bytes` lands below ours; bytes_at_equal_quality: of a rival of
    `same_quality`, interpolated."""
    for picture in pictures:
        head = {"picture": picture.name, "width": picture.width, "height": picture.height, "source": picture.source,
                "status": picture.status}  # fmt: skip
        for record in picture.files:
            yield head | {"role": "file"} | _fields(record)
        for rival in picture.rivals:
            below = {"below_percent": round(100 * rival.below, 2)}
            yield head | {"role": "same_bytes"} | _fields(rival.same_bytes) | below
            equal = rival.same_quality
            if equal.file is not None and equal.bytes is not None:
                more = {"equal_metric": equal.metric, "bytes_at_equal_quality": round(equal.bytes, 1)}
                yield head | {"role": "same_quality"} | _fields(equal.file) | more
    for row in without:
        yield _without(row)


def _without(row: Row) -> dict[str, Any]:
    return {"picture": printable(row.input), "source": row.input, "status": row.status, "error": row.error,
            "width": row.width, "height": row.height}  # fmt: skip


def _fields(record: FileRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"label": record.label, "codec": record.codec, "quality": record.quality,
                              "scale": record.scale, "bytes": record.bytes, "bpp": round(record.bpp, 5)}  # fmt: skip
    scores = {metric: record.scores.get(metric) for metric in METRICS}
    return fields | {metric: None if value is None else round(value, 5) for metric, value in scores.items()}


def csv_text(pictures: Sequence[PictureComparison], batch: Batch | None = None) -> str:
    """The rows as CSV with a heading; an empty field is what is not known."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    rows = csv_rows(pictures, batch.without if batch else ())
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def json_fields(picture: PictureComparison) -> dict[str, Any]:
    """One picture as plain values; None instead of an infinite PSNR.  `source`, `status` and `error` of a batch's."""
    fields = {"picture": picture.name, "width": picture.width, "height": picture.height, "notes": list(picture.notes)}
    if picture.source:
        fields |= {"source": picture.source, "status": picture.status, "error": ""}
    fields["files"] = [_fields(record) for record in picture.files]
    fields["rivals"] = [
        {
            "name": rival.name,
            "same_bytes": _fields(rival.same_bytes) | {"below": round(rival.below, 5)},
            "same_quality": {
                "metric": rival.same_quality.metric,
                "bytes": rival.same_quality.bytes,
                "bound": rival.same_quality.bound,
                "file": _fields(rival.same_quality.file) if rival.same_quality.file else None,
            },
        }
        for rival in picture.rivals
    ]
    if picture.curve:
        fields["curve"] = [
            {"codec": p.codec, "quality": p.quality, "bytes": p.bytes, "bpp": p.bpp, **asdict(p.scores)}
            for p in picture.curve
        ]
    return finite(fields)  # type: ignore[no-any-return]


def finite(value: Any) -> Any:
    """The same value without the infinities and NaN that JSON does not have: None in their place."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def json_text(pictures: Sequence[PictureComparison], batch: Batch | None = None) -> str:
    """`versions` of the rivals' libraries, `summary` for each rival, `totals` of a batch, `pictures`."""
    whole: dict[str, Any] = {"versions": library_versions(), "summary": list(map(asdict, summarize(pictures)))}
    whole |= {"totals": batch.totals} if batch else {}
    whole["pictures"] = [json_fields(p) for p in pictures]
    for row in batch.without if batch else ():
        notes = [row.notes] if row.notes else []
        whole["pictures"].append(_without(row) | {"notes": notes, "files": [], "rivals": []})
    return json.dumps(finite(whole), indent=1, allow_nan=False) + "\n"


def write_csv(path: str | os.PathLike[str], pictures: Sequence[PictureComparison]) -> None:
    """Writes `csv_text` whole or not at all.  Raises LtokcError, OSError."""
    streams.write(os.fspath(path), csv_text(pictures).encode())


def write_json(path: str | os.PathLike[str], pictures: Sequence[PictureComparison]) -> None:
    """Writes `json_text` whole or not at all.  Raises LtokcError, OSError."""
    streams.write(os.fspath(path), json_text(pictures).encode())

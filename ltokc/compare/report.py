"""The HTML report: one file that opens from disk, loads nothing and runs only its own script.

The page is `page/page.html` with style, script, data and pictures put in.  Its Content-Security-Policy names the hashes
of that style and script and allows pictures from `data:` alone, so that nothing else runs or loads whatever a file's
name says; names reach the page as JSON, and the script writes them as text, or escaped, where no script is needed.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from ltokc import __version__
from ltokc.compare import report_text, report_without
from ltokc.compare.codecs import CODECS
from ltokc.compare.records import Batch, FileRecord, PictureComparison, Scores, View
from ltokc.compare.scores import DIGITS, IN_THE_LOSS, LABELS, LOWER_IS_BETTER, METRICS, SHORT
from ltokc.compare.summary import mean_curves, mean_scores, metric_of
from ltokc.compare.tables import csv_text, finite, json_text
from ltokc.errors import UsageError
from ltokc.jobs import streams
from ltokc.jobs.rows import printable

SCRIPTS = ("common.js", "viewer.js", "tables.js", "plots.js", "main.js")  # in this order, one scope
BUDGET = 15_000_000  # bytes of the page; pictures beyond it are in the tables only


def write_report(
    path: str | os.PathLike[str], pictures: Sequence[PictureComparison], *, title: str | None = None,
    budget: int | None = BUDGET,
) -> None:  # fmt: skip
    """Writes the page of these comparisons, whole or not at all.

    title: what the set is called (default: the picture's name, or how many there are); budget: the most bytes of the
    page, None for no limit: where all pictures would be more, evenly spread ones are shown and the rest are in the
    tables only.  Raises UsageError (no pictures), LtokcError, OSError.
    """
    streams.write(os.fspath(path), report_html(pictures, title=title, budget=budget).encode())


def write(path: str | os.PathLike[str], pictures: Sequence[PictureComparison], *, title: str | None = None) -> None:
    """Writes the records as what the suffix of `path` says: .html the page, .csv or .json the tables.

    Raises UsageError for another suffix (see `suffix_of`) and without pictures, LtokcError, OSError.
    """
    streams.write(os.fspath(path), rendered(path, pictures, title=title))


def rendered(
    path: str | os.PathLike[str], pictures: Sequence[PictureComparison], *, title: str | None = None,
    batch: Batch | None = None,
) -> bytes:  # fmt: skip
    """What `write` writes; batch: that the pictures are of.  Raises UsageError."""
    suffix = suffix_of(path)
    if suffix == ".html":
        return report_html(pictures, title=title, batch=batch).encode()
    return {".csv": csv_text, ".json": json_text}[suffix](pictures, batch).encode()


def suffix_of(path: str | os.PathLike[str]) -> str:
    """`.html`, `.csv` or `.json`; raises UsageError for another name, so that it is known before any work is done."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    suffix = {".htm": ".html"}.get(suffix, suffix)
    if suffix not in (".html", ".csv", ".json"):
        raise UsageError(f"{os.fspath(path)}: a report is .html, .csv or .json")
    return suffix


def report_html(
    pictures: Sequence[PictureComparison], *, title: str | None = None, budget: int | None = BUDGET,
    batch: Batch | None = None,
) -> str:  # fmt: skip
    """The page as text.  Raises UsageError where there is neither a picture nor a batch."""
    if not pictures and batch is None:
        raise UsageError("a report needs a picture")
    without = batch.without if batch else ()
    rest = report_without.section(without)
    shown = _shown(pictures, None if budget is None else budget - len(rest))
    metric = metric_of(pictures) or _first_metric(pictures)
    text = report_text.texts(pictures, metric, len(shown), title, len(without))
    css, script = _asset("page.css"), _script() if pictures else ""
    fields = {
        "policy": (
            f"default-src 'none'; img-src data:; style-src '{_digest(css)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        "version": html.escape(__version__), "css": css, "js": script,
        "data": _data(pictures, shown, metric) if pictures else "", "without": rest,
        "title": text.title, "set": text.set, "headline": text.headline, "stats": text.stats, "lead": text.lead,
        "method": text.method,
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda match: fields[match[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return resources.files("ltokc.compare").joinpath("page", name).read_text(encoding="utf-8")


def _script() -> str:
    return '"use strict";\n(() => {\n' + "\n".join(_asset(name) for name in SCRIPTS) + "})();\n"


def _digest(text: str) -> str:
    """How a policy names an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> str:
    """ASCII JSON that can stand inside a script element: no `<` that could end it."""
    return json.dumps(finite(value), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _shown(pictures: Sequence[PictureComparison], budget: int | None) -> list[int]:
    """Indices of the pictures whose views fit the page."""
    candidates = [i for i, picture in enumerate(pictures) if picture.views is not None]
    sizes = {i: _embedded(pictures[i]) for i in candidates}
    rest = 150_000 + 2500 * len(pictures)  # style, script and a row of data for each picture
    count = len(candidates)
    while count:
        chosen = [candidates[k * len(candidates) // count] for k in range(count)]
        if budget is None or rest + sum(sizes[i] for i in chosen) <= budget:
            return chosen
        count -= max(1, count // 20)
    return []


def _embedded(picture: PictureComparison) -> int:
    """Bytes that a picture's views take in the page, as base64."""
    return 0 if picture.views is None else picture.views.size() * 4 // 3 + 2000


def _first_metric(pictures: Sequence[PictureComparison]) -> str:
    scores = pictures[0].ours.scores if pictures else Scores()
    return next((m for m in METRICS if scores.get(m) is not None), "psnr")


def _data(pictures: Sequence[PictureComparison], shown: Sequence[int], metric: str) -> str:
    """All script elements with data: one for the tables and plots, one for the views of each picture."""
    order = {index: place for place, index in enumerate(shown)}
    whole = {
        "metric": metric,
        "ours": pictures[0].ours.label,
        "headline": report_text.headline_rival(pictures),
        "metrics": [_metric(m) for m in METRICS if any(p.ours.scores.get(m) is not None for p in pictures)],
        "rivals": [{"name": name, "label": label} for name, label in _rivals(pictures).items()],
        "pictures": [_picture(picture, order.get(i)) for i, picture in enumerate(pictures)],
        "curvePictures": sum(bool(p.curve) for p in pictures),
        "curves": [
            {
                "codec": name,
                "label": _label(name),
                "points": [{"quality": p.quality, "bpp": p.bpp, "scores": asdict(p.scores)} for p in points],
            }
            for name, points in mean_curves(pictures).items()
        ],
        "equal": _equal_points(pictures),
    }
    parts = [f'<script type="application/json" id="data">{_json(whole)}</script>']
    for index, place in order.items():
        parts.append(f'<script type="application/json" id="view-{place}">{_json(_views(pictures[index]))}</script>')
    return "\n".join(parts)


def _metric(key: str) -> dict[str, Any]:
    mark = "†" if key in IN_THE_LOSS else ""
    hint = "A form of it was in the training of ltokc" if mark else "Not in the training of ltokc"
    return {"key": key, "label": SHORT[key] + mark, "short": SHORT[key], "digits": DIGITS[key],
            "hint": f"{LABELS[key]}. {hint}", "lower": key in LOWER_IS_BETTER}  # fmt: skip


def _rivals(pictures: Sequence[PictureComparison]) -> dict[str, str]:
    return {rival.name: rival.label for picture in pictures for rival in picture.rivals}


def _label(name: str) -> str:
    base, _, variant = name.partition("_")
    label = CODECS[base].label if base in CODECS else base
    return f"{label} {variant} size" if variant else label


def _record(record: FileRecord) -> dict[str, Any]:
    return {"label": record.label, "codec": record.codec, "bytes": record.bytes, "bpp": record.bpp,
            "quality": record.quality, "scale": record.scale, "scores": asdict(record.scores)}  # fmt: skip


def _picture(picture: PictureComparison, view: int | None) -> dict[str, Any]:
    rivals = [
        {
            "name": rival.name,
            "label": rival.label,
            "below": rival.below,
            "same": _record(rival.same_bytes),
            "equal": {
                "metric": rival.same_quality.metric,
                "bytes": rival.same_quality.bytes,
                "bound": rival.same_quality.bound,
                "scale": rival.same_quality.file.scale if rival.same_quality.file else 1,
            },
        }
        for rival in picture.rivals
    ]
    thumb = _source(picture.views.thumb) if picture.views and view is not None else None
    return {"name": picture.name, "source": printable(picture.source), "width": picture.width, "height": picture.height,
            "notes": picture.notes,
            "view": view, "thumb": thumb, "files": [_record(f) for f in picture.files], "rivals": rivals}  # fmt: skip


def _equal_points(pictures: Sequence[PictureComparison]) -> list[dict[str, Any]]:
    """Means over the set of what stands in all its pictures: the files in their order, the rivals at equal bytes."""
    groups: list[list[FileRecord]] = []
    for place in range(min(len(p.files) for p in pictures)):
        groups.append([p.files[place] for p in pictures])
    for name in _rivals(pictures):
        groups.append([rival.same_bytes for p in pictures for rival in p.rivals if rival.name == name])
    names = [*("" for _ in range(min(len(p.files) for p in pictures))), *_rivals(pictures)]
    return [
        {
            "codec": name or group[0].codec,
            "label": _label(name) if name else group[0].label,
            "bpp": sum(record.bpp for record in group) / len(group),
            "scores": asdict(mean_scores([record.scores for record in group])),
        }
        for name, group in zip(names, groups, strict=True)
    ]


def _views(picture: PictureComparison) -> dict[str, Any]:
    views = picture.views
    assert views is not None
    heat = {"src": _source(views.heat), "note": f"{views.heat_bits:.2f}"} if views.heat else None
    return {"original": _view(views.original), "files": [_view(v) for v in views.files],
            "rivals": [_view(v) for v in views.rivals], "heat": heat,
            "heatFile": next((i for i, f in enumerate(picture.files) if f.codec == "ltokc"), None)}  # fmt: skip


def _view(view: View) -> dict[str, str]:
    return {"src": _source(view), "note": view.note}


def _source(view: View) -> str:
    return f"data:{view.mime};base64,{base64.b64encode(view.data).decode()}"

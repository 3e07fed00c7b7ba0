"""Real comparisons of small pictures, made once for the tests of the report and of the page in a browser."""

from __future__ import annotations

from functools import cache

from bench.common.pictures import synthetic_picture
from ltokc.compare.picture import batch_rows
from ltokc.compare.records import PictureComparison

HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    "</script><script>alert(2)</script>.png",
    '"><svg onload=alert(3)>&amp;.png',
)
SIZES = ((192, 168), (176, 240), (168, 164))


@cache
def comparisons() -> tuple[PictureComparison, ...]:
    """Three pictures with hostile names, each an .ltk file against JPEG, WebP and AVIF; curves of the first."""
    import ltokc

    found = []
    for i, (name, size) in enumerate(zip(HOSTILE, SIZES, strict=True)):
        source = synthetic_picture(*size)
        data = ltokc.encode(source, quality=0.6, effort=0)
        found.append(batch_rows(source, data, name=name, quality=0.6, curve=not i))
    return tuple(found)

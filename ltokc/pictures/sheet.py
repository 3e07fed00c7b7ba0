"""Pictures of one size on a sheet, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 8  # px between pictures


def sheet(images: Sequence[Image]) -> Image:
    """As many columns as rows or one more, in white gaps; mode and `info` are those of the first picture."""
    from PIL import Image

    first = images[0]
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    width, height = first.width + GAP, first.height + GAP
    out = Image.new(first.mode, (columns * width - GAP, rows * height - GAP), "white")
    for i, image in enumerate(images):
        out.paste(image, (i % columns * width, i // columns * height))
    out.info = dict(first.info)
    return out

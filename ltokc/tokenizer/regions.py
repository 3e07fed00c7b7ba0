"""Which parts of a file a region of its picture depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltokc.container import Header, Ltk, segment_boxes
from ltokc.container.records import CELL
from ltokc.errors import UsageError
from ltokc.tokenizer.receptive_field import Reach, decoder_spans

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True, slots=True)
class Needed:
    """`levels`: number of a segment -> how many of its levels; `origin` and `grid`: (row, column), (rows, columns) of
    the cells that they all lie in."""

    levels: dict[int, int]
    origin: tuple[int, int]
    grid: tuple[int, int]


def checked(crop: Box | None, width: int, height: int) -> Box:
    """The region, None for the whole picture.  Raises UsageError for one that is none or reaches outside."""
    if crop is None:
        return 0, 0, width, height
    try:
        left, top, w, h = (int(v) for v in crop)
        whole_numbers = (left, top, w, h) == tuple(crop)
    except (TypeError, ValueError):
        raise UsageError(f"{crop!r} is no region (left, top, width, height)") from None
    if not whole_numbers or min(left, top) < 0 or min(w, h) < 1:
        raise UsageError(f"{crop!r} is no region: left and top are whole numbers from 0, width and height from 1")
    if left + w > width or top + h > height:
        raise UsageError(f"the region {left},{top},{w},{h} reaches outside of the picture's {width}x{height} pixels")
    return left, top, w, h


def everything(ltk: Header | Ltk, levels: int) -> Needed:
    """All levels of all segments."""
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    return Needed(dict.fromkeys(range(len(boxes)), levels), (0, 0), (-(-ltk.height // CELL), -(-ltk.width // CELL)))


def needed(header: Header, strides: Sequence[int], reach: Reach, box: Box) -> Needed:
    """What the pixels of `box` depend on.  A coarse level reaches farther than a fine one."""
    left, top, w, h = box
    if (w, h) == (header.width, header.height):
        return everything(header, len(strides))
    rows, columns = (
        decoder_spans(reach, (a, a + n), side) for a, n, side in ((top, h, header.height), (left, w, header.width))
    )
    boxes = segment_boxes(header.width, header.height, header.segment_cells)
    levels: dict[int, int] = {}
    for k, stride in enumerate(strides):
        scale = CELL // stride
        for i, (x, y, across, down) in enumerate(boxes):
            if (
                y * scale < rows[stride][1] and (y + down) * scale > rows[stride][0]
                and x * scale < columns[stride][1] and (x + across) * scale > columns[stride][0]
            ):  # fmt: skip
                levels[i] = k + 1
    origin = rows[CELL][0], columns[CELL][0]
    return Needed(levels, origin, (rows[CELL][1] - origin[0], columns[CELL][1] - origin[1]))


def put(
    target: np.ndarray, source: np.ndarray, place: tuple[int, int], origin: tuple[int, int], scale: int
) -> None:
    """Copies the part of a segment's grid that lies in the target's; `place`, `origin`: their first cells; `scale`:
    positions a cell."""
    to, of = [], []
    for at, start, length, size in zip(place, origin, source.shape, target.shape, strict=False):
        first = (at - start) * scale
        low, high = max(0, first), min(size, first + length)
        to.append(slice(low, max(low, high)))
        of.append(slice(low - first, max(low, high) - first))
    target[to[0], to[1]] = source[of[0], of[1]]

"""Patches: rectangles of cells that a chunk pTCH shows by a picture of its own in place of the tokens'.

    varint   segment that they belong to; a file has one chunk a segment at most, in rising order
    u8       coding of the picture: 2 VP8L, 3 VP8, 4 AV1 (`ltokc.container.bitstreams`)
    u8       feather: pixels over which a patch fades into what the tokens show, 0 to 32
    varint   number of rectangles, at least 1
    varints  of each: left, top, columns - 1, rows - 1, in cells from the corner of the segment
             then the picture: the smallest box that holds all rectangles, cut off at the picture's border

Rectangles come by rising top, then left; none overlap.  What lies in no rectangle is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltokc.container import bitstreams
from ltokc.container.numbers import Cursor, Cut, varint
from ltokc.container.records import Header, segment_box, segment_count
from ltokc.errors import FormatError
from ltokc.geometry import CELL, Box, CellBox, Size, cells_of

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_FEATHER = 32


@dataclass(frozen=True, slots=True)
class Patch:
    """The content of one chunk.

    `rectangles` in cells of the segment; `feather` in pixels; `picture`: a bitstream.
    """

    segment: int
    coding: int
    feather: int
    rectangles: tuple[CellBox, ...]
    picture: bytes


def spell(patch: Patch) -> bytes:
    """The data of the chunk."""
    out = varint(patch.segment) + bytes((patch.coding, patch.feather)) + varint(len(patch.rectangles))
    for left, top, columns, rows in patch.rectangles:
        out += varint(left) + varint(top) + varint(columns - 1) + varint(rows - 1)
    return out + patch.picture


def parse(data: bytes, header: Header) -> Patch:
    """The data of a chunk of a file with this header.  The picture's size is checked, nothing is decoded.

    Raises FormatError.
    """
    try:
        patch = _parts(Cursor(data), header)
    except Cut:
        raise FormatError("a chunk of patches ends inside its numbers") from None
    _, _, width, height = area(patch, header)
    bitstreams.check(patch.coding, patch.picture, width, height, "the picture of a patch")
    return patch


def _parts(cursor: Cursor, header: Header) -> Patch:
    segment = cursor.varint("the segment of a patch")
    if segment >= segment_count(header):
        raise FormatError(f"patches of segment {segment}, but the file has {segment_count(header)}")
    _, _, columns, rows = segment_box(header, segment)
    coding, feather = cursor.take(2, "a chunk of patches")
    if coding not in bitstreams.NAMES:
        raise FormatError(f"unknown coding {coding} of patches")
    if feather > MAX_FEATHER:
        raise FormatError(f"patches fade over {feather} pixels: {MAX_FEATHER} at most")
    count = cursor.varint("the number of rectangles")
    if not 1 <= count <= columns * rows:
        raise FormatError(f"{count} rectangles of patches: 1 to {columns * rows} are allowed in this segment")
    rectangles = _rectangles(cursor, count, columns, rows)
    return Patch(segment, coding, feather, rectangles, cursor.data[cursor.position :])


def _rectangles(cursor: Cursor, count: int, columns: int, rows: int) -> tuple[CellBox, ...]:
    out: list[CellBox] = []
    taken: set[tuple[int, int]] = set()
    for _ in range(count):
        left, top = cursor.varint("a rectangle"), cursor.varint("a rectangle")
        wide, high = cursor.varint("a rectangle") + 1, cursor.varint("a rectangle") + 1
        if left + wide > columns or top + high > rows:
            raise FormatError("a rectangle of patches leaves its segment")
        if out and (top, left) <= (out[-1].top, out[-1].left):
            raise FormatError("rectangles of patches are not in order")
        cells = {(x, y) for y in range(top, top + high) for x in range(left, left + wide)}
        if cells & taken:
            raise FormatError("rectangles of patches overlap")
        taken |= cells
        out.append(CellBox(left, top, wide, high))
    return tuple(out)


def area(patch: Patch, header: Header) -> Box:
    """The smallest box around the rectangles, in pixels of the whole picture."""
    x, y, _, _ = segment_box(header, patch.segment)
    left = CELL * (x + min(r.left for r in patch.rectangles))
    top = CELL * (y + min(r.top for r in patch.rectangles))
    right = min(header.width, CELL * (x + max(r.left + r.columns for r in patch.rectangles)))
    bottom = min(header.height, CELL * (y + max(r.top + r.rows for r in patch.rectangles)))
    return Box(left, top, right - left, bottom - top)


def decode(patch: Patch, header: Header) -> np.ndarray:
    """The picture, (height, width, 3) uint8, of the box `area`.  Raises FormatError for a damaged one."""
    _, _, width, height = area(patch, header)
    return bitstreams.decode(patch.coding, patch.picture, width, height, "the picture of a patch")


def lay_over(image: Image, patch: Patch, header: Header, box: Box) -> None:
    """Puts the patches on an RGB picture of the region `box`, in pixels.

    Decodes nothing where the box around them is outside of the region.  Raises FormatError for a damaged picture.
    """
    from PIL import Image as Images

    place = area(patch, header)
    if not _overlap(place, box):
        return
    pixels = decode(patch, header)
    segment = segment_box(header, patch.segment)
    shares = _shares(patch, segment)
    for cells in _cells(patch) if shares else patch.rectangles:
        left, top = CELL * (segment.left + cells.left), CELL * (segment.top + cells.top)
        whole = Box(
            left, top, min(CELL * cells.columns, header.width - left), min(CELL * cells.rows, header.height - top)
        )
        seen = _overlap(whole, box)
        if not seen:
            continue
        part = pixels[_within(seen, place).slices]
        share = shares.get((cells.left, cells.top))
        to = _within(seen, box)
        if share is not None:
            below = image.crop((to.left, to.top, to.left + to.width, to.top + to.height))
            part = _blended(part, below, share[_within(seen, whole).slices], 2 * patch.feather)
        image.paste(Images.fromarray(part), (to.left, to.top))


def covered_cells(patches: Sequence[Patch], header: Header) -> np.ndarray:
    """A map of the picture's cells, bool (rows, columns), that is set where patches are."""
    import numpy as np

    cells = np.zeros(Size(header.width, header.height).grid, bool)
    for patch in patches:
        segment = segment_box(header, patch.segment)
        for left, top, columns, rows in patch.rectangles:
            place = CellBox(segment.left + left, segment.top + top, columns, rows)
            cells[place.at(1)] = True
    return cells


def cover(patches: Sequence[Patch], header: Header, box: Box) -> bool:
    """Whether no pixel of the region `box` shows what is under the patches."""
    fade = max((patch.feather for patch in patches), default=0)
    left, top = max(0, box.left - fade) // CELL, max(0, box.top - fade) // CELL
    right, bottom = box.left + box.width + fade, box.top + box.height + fade
    cells = covered_cells(patches, header)[top : cells_of(bottom), left : cells_of(right)]
    return bool(cells.all())


def _overlap(one: Box, other: Box) -> Box | None:
    left, top = max(one.left, other.left), max(one.top, other.top)
    right = min(one.left + one.width, other.left + other.width)
    bottom = min(one.top + one.height, other.top + other.height)
    return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


def _within(box: Box, around: Box) -> Box:
    """The same box, counted from the corner of another."""
    return Box(box.left - around.left, box.top - around.top, box.width, box.height)


def _cells(patch: Patch) -> list[CellBox]:
    """Every covered cell as a rectangle of its own."""
    return [CellBox(x, y, 1, 1) for left, top, columns, rows in patch.rectangles
            for y in range(top, top + rows) for x in range(left, left + columns)]  # fmt: skip


def _shares(patch: Patch, segment: CellBox) -> dict[tuple[int, int], np.ndarray]:
    """The patch's share of every pixel, (64, 64) int32 of 2 * feather, of the cells that do not show it alone."""
    import numpy as np

    if patch.feather == 0:
        return {}
    covered = {(x, y) for x, y, _, _ in _cells(patch)}
    near = np.arange(CELL)
    towards = {-1: near, 0: np.zeros(CELL, np.int64), 1: CELL - 1 - near}  # pixels between one and the next cell
    out = {}
    for x, y in covered:
        distance = np.full((CELL, CELL), patch.feather)
        for step_y in (-1, 0, 1):
            for step_x in (-1, 0, 1):
                place = (x + step_x, y + step_y)
                if 0 <= place[0] < segment.columns and 0 <= place[1] < segment.rows and place not in covered:
                    distance = np.minimum(distance, np.maximum(towards[step_y][:, None], towards[step_x][None]))
        if distance.min() < patch.feather:
            out[x, y] = np.minimum(2 * distance + 1, 2 * patch.feather).astype(np.int32)
    return out


def _blended(part: np.ndarray, under: Image, share: np.ndarray, whole: int) -> np.ndarray:
    """`share` / `whole` of the patch, the rest of what is under it, rounded to the nearest; halves go up."""
    import numpy as np

    below = np.asarray(under).astype(np.int32)
    mixed = (part * share[..., None] + below * (whole - share)[..., None] + whole // 2) // whole
    return mixed.astype(np.uint8)

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

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltokc.container import bitstreams
from ltokc.container.numbers import Cursor, Cut, varint
from ltokc.container.records import CELL, Header, segment_box, segment_count
from ltokc.errors import FormatError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_FEATHER = 32
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Patch:
    """The content of one chunk.

    `rectangles`: (left, top, columns, rows) in cells of the segment; `feather` in pixels; `picture`: a bitstream.
    """

    segment: int
    coding: int
    feather: int
    rectangles: tuple[Box, ...]
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


def _rectangles(cursor: Cursor, count: int, columns: int, rows: int) -> tuple[Box, ...]:
    out: list[Box] = []
    taken: set[tuple[int, int]] = set()
    for _ in range(count):
        left, top = cursor.varint("a rectangle"), cursor.varint("a rectangle")
        wide, high = cursor.varint("a rectangle") + 1, cursor.varint("a rectangle") + 1
        if left + wide > columns or top + high > rows:
            raise FormatError("a rectangle of patches leaves its segment")
        if out and (top, left) <= (out[-1][1], out[-1][0]):
            raise FormatError("rectangles of patches are not in order")
        cells = {(x, y) for y in range(top, top + high) for x in range(left, left + wide)}
        if cells & taken:
            raise FormatError("rectangles of patches overlap")
        taken |= cells
        out.append((left, top, wide, high))
    return tuple(out)


def area(patch: Patch, header: Header) -> Box:
    """The smallest box around the rectangles, (left, top, width, height) in pixels of the whole picture."""
    x, y, _, _ = segment_box(header, patch.segment)
    left = CELL * (x + min(r[0] for r in patch.rectangles))
    top = CELL * (y + min(r[1] for r in patch.rectangles))
    right = min(header.width, CELL * (x + max(r[0] + r[2] for r in patch.rectangles)))
    bottom = min(header.height, CELL * (y + max(r[1] + r[3] for r in patch.rectangles)))
    return left, top, right - left, bottom - top


def lay_over(image: Image, patch: Patch, header: Header, box: Box) -> None:
    """Puts the patches on an RGB picture of the region `box`: (left, top, width, height) in pixels.

    Decodes nothing where none of them lies in the region.  Raises FormatError for a damaged picture.
    """
    from PIL import Image as Images

    left, top, width, height = area(patch, header)
    if not _inside((left, top, left + width, top + height), box):
        return
    pixels = bitstreams.decode(patch.coding, patch.picture, width, height, "the picture of a patch")
    corner = segment_box(header, patch.segment)
    columns, rows = corner[2:]
    shares = _shares(patch, columns, rows)
    for x, y, wide, high in patch.rectangles if patch.feather == 0 else _cells(patch):
        at_x, at_y = CELL * (corner[0] + x), CELL * (corner[1] + y)
        seen = _inside((at_x, at_y, min(header.width, at_x + CELL * wide), min(header.height, at_y + CELL * high)), box)
        if seen is None:
            continue
        part = pixels[seen[1] - top : seen[3] - top, seen[0] - left : seen[2] - left]
        place = (seen[0] - box[0], seen[1] - box[1], seen[2] - box[0], seen[3] - box[1])
        share = shares.get((x, y))
        if share is not None:
            here = share[seen[1] - at_y : seen[3] - at_y, seen[0] - at_x : seen[2] - at_x]
            part = _blended(part, image.crop(place), here, 2 * patch.feather)
        image.paste(Images.fromarray(part), place[:2])


def _inside(area: Box, box: Box) -> Box | None:
    """What two areas share, as (left, top, right, bottom); `box` is given by its width and height."""
    found = (max(area[0], box[0]), max(area[1], box[1]),
             min(area[2], box[0] + box[2]), min(area[3], box[1] + box[3]))  # fmt: skip
    return found if found[0] < found[2] and found[1] < found[3] else None


def _cells(patch: Patch) -> list[Box]:
    """Every covered cell as a rectangle of its own."""
    return [(x, y, 1, 1) for left, top, wide, high in patch.rectangles
            for y in range(top, top + high) for x in range(left, left + wide)]  # fmt: skip


def _shares(patch: Patch, columns: int, rows: int) -> dict[tuple[int, int], np.ndarray]:
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
                if 0 <= place[0] < columns and 0 <= place[1] < rows and place not in covered:
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

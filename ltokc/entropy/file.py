"""All segments of a file: the tokens of a picture to streams of any length, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ltokc import container
from ltokc.container.chunks import PATCHES
from ltokc.container.records import Header, Ltk, Segment
from ltokc.entropy.prior import Prior
from ltokc.entropy.segment import Limit, SegmentWriter, read_segment, reopen
from ltokc.geometry import CellBox, Grid, Size, segment_boxes
from ltokc.threads import Steps, in_parallel
from ltokc.token_grid import Tokens


class FileWriter:
    """The tokens of a picture in the order of the file, segment by segment.

    What is written of them is told by `counts`, the number of tokens of every segment.
    """

    def __init__(self, writers: Sequence[SegmentWriter]):
        self.writers = list(writers)
        self._most_cells = max(writer.grid.cells for writer in writers)

    @classmethod
    def of(cls, prior: Prior, tokens: Tokens, boxes: Sequence[CellBox], depths: np.ndarray | None = None) -> FileWriter:
        """Of a whole picture's tokens; depths: (rows, columns) levels of each cell, None for all and no depth map."""
        lean = len(boxes) > 1  # one segment is small enough to keep its counts
        return cls([
            SegmentWriter(prior, tokens.cut(box).digits, None if depths is None else depths[box.at(1)], lean=lean)
            for box in boxes
        ])  # fmt: skip

    @classmethod
    def reopen(cls, prior: Prior, ltk: Ltk) -> FileWriter:
        """Of an existing file.  Raises FormatError."""
        boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
        return cls([reopen(prior, segment, box.grid) for segment, box in zip(ltk.segments, boxes, strict=True)])

    @property
    def total(self) -> int:
        """Tokens of all segments."""
        return sum(writer.total for writer in self.writers)

    @property
    def nothing(self) -> list[int]:
        """Counts of a file without a token."""
        return [0] * len(self.writers)

    def at_keep(self, keep: float) -> list[int]:
        """Counts of the first `keep` levels, a fraction for a part of one."""
        return [writer.tokens_at(keep) for writer in self.writers]

    def without_last(self, tokens: int) -> list[int]:
        """Counts of all tokens but so many at the end; a file of more than one segment keeps all."""
        left_out = tokens if len(self.writers) == 1 else 0
        return [max(0, writer.total - left_out) for writer in self.writers]

    def share(self, tokens: int) -> list[int]:
        """Counts of so many tokens in all, every segment down to the same level; never more than that in sum."""
        if len(self.writers) == 1:
            return [min(tokens, self.writers[0].total)]
        low, high = 0.0, float(len(self.writers[0].masks))
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if sum(self.at_keep(middle)) <= tokens else (low, middle)
        return self.at_keep(high if sum(self.at_keep(high)) <= tokens else low)

    def segments(self, counts: Sequence[int], steps: Steps | None = None) -> tuple[Segment, ...]:
        """The segments of the file."""
        wanted = [min(count, writer.total) for writer, count in zip(self.writers, counts, strict=True)]
        numbers = range(len(self.writers))
        streams = in_parallel(lambda i: self.writers[i].stream(wanted[i]), numbers, self._most_cells, steps)
        return tuple(
            Segment(count, writer.depths is not None, stream)
            for writer, count, stream in zip(self.writers, wanted, streams, strict=True)
        )

    def write(self, ltk: Ltk, counts: Sequence[int], steps: Steps | None = None) -> bytes:
        """The bytes of a file, which gets these segments; steps: one for every segment."""
        return container.write(replace(ltk, segments=self.segments(counts, steps)))

    def bits(self) -> float:
        """Information of all tokens, in bits (depth maps left out)."""
        return sum(writer.bits(writer.total) for writer in self.writers)

    def estimate(self, counts: Sequence[int]) -> float:
        """Bytes that the streams add to an empty file, lengths in the table of segments included."""
        writers = self.writers
        bits = in_parallel(lambda i: writers[i].bits(counts[i]), range(len(writers)), self._most_cells)
        if len(writers) == 1:
            return bits[0] / 8
        grown = sum(_varint_growth(2 * n) + _varint_growth(int(b / 8) + 3) for n, b in zip(counts, bits, strict=True))
        return sum(bits) / 8 + len(writers) + grown


def _varint_growth(value: int) -> int:
    """Bytes of a varint beyond the first."""
    return max(0, (value.bit_length() - 1) // 7)


@dataclass(frozen=True, slots=True)
class Needed:
    """The part of a file that is wanted.

    levels: number of a segment -> how many of its levels; origin: row and column of the first cell of the grid that
    they all lie in; grid: its rows and columns.
    """

    levels: dict[int, int]
    origin: tuple[int, int]
    grid: Grid

    def up_to(self, levels: int) -> Needed:
        """No more than the first `levels` levels."""
        return Needed({i: min(levels, n) for i, n in self.levels.items()}, self.origin, self.grid)


def everything(header: Header | Ltk, levels: int) -> Needed:
    """All levels of all segments."""
    boxes = segment_boxes(header.width, header.height, header.segment_cells)
    return Needed(dict.fromkeys(range(len(boxes)), levels), (0, 0), Size(header.width, header.height).grid)


def told_of_cut(ltk: Ltk, found: Tokens | None, needed: Needed, limit: int | None = None) -> str:
    """What there is to say of a picture from a file that was cut.

    found: the tokens that it is made of, no more than `limit`; None where it has none.
    """
    if found is None:
        return "the file is cut: what follows the patches that are shown is missing"
    if ltk.lost == PATCHES:
        return "the file is cut: a patch is missing, and tokens show coarsely what it showed, up to the whole picture"
    segments = [ltk.segments[i] for i in needed.levels]
    if min(needed.levels.values(), default=0) < len(found.levels):
        return "the file is cut: what is there of it is shown"
    total = sum(segment.tokens for segment in segments)
    unknown = any(not segment.stream and not segment.tokens for segment in segments)
    if unknown and not found.count:
        return "the file is cut: none of its tokens is left"
    asked = total if limit is None else min(limit, total)
    alpha = ltk.header.alpha and not any(chunk.fourcc == container.ALPHA for chunk in ltk.chunks)
    rest = "; alpha is missing" if alpha else "; what follows them is missing" if found.count >= asked else ""
    return f"the file is cut: {found.count:,} of {'more than ' * unknown}{asked:,} tokens shown{rest}"


def read_tokens(
    prior: Prior, ltk: Ltk, needed: Needed | None = None, *, limit: int | None = None, steps: Steps | None = None
) -> Tokens:
    """The tokens of the segments that are needed (None: of all), no more than `limit` of the whole file.

    Raises FormatError.
    """
    needed = needed or everything(ltk, len(prior.levels))
    out = Tokens.empty(prior.levels, needed.grid, needed.origin)
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    total = max(1, sum(segment.tokens for segment in ltk.segments))

    def read(i: int) -> None:
        segment, box = ltk.segments[i], boxes[i]
        most = None if limit is None else limit if len(boxes) == 1 else segment.tokens * limit // total
        found = read_segment(prior, segment, box.grid, cut=ltk.truncated, limit=Limit(most, needed.levels[i]))
        out.paste(Tokens(found.levels, found.digits, found.masks, (box.top, box.left)))

    in_parallel(read, sorted(needed.levels), max(box.grid.cells for box in boxes), steps)
    return out

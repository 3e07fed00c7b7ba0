"""Files of a wanted size: plans for a little more than fits, cut to fit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ltokc.arguments import check_callable
from ltokc.container.chunks import COLOUR, PATCHES
from ltokc.container.hidden import patches_of
from ltokc.container.patches import covered_cells
from ltokc.container.reader import read
from ltokc.container.records import Ltk
from ltokc.entropy.file import FileWriter
from ltokc.errors import Say, UsageError
from ltokc.geometry import segment_boxes
from ltokc.rate.colour.grid import with_grid
from ltokc.rate.control import choose_plan, predict_curves
from ltokc.rate.curves import RDCurves
from ltokc.rate.effort import Effort
from ltokc.rate.plan import Plan, uniform
from ltokc.rate.room import alpha_of, filled, lossy_alpha, with_room_again
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import TokenizedPicture
from ltokc.token_grid import full_masks

SIZE_ROUNDS = 4  # plans tried for a wanted size
SEARCH_ROUNDS = 2  # where digits are chosen anew, which changes what they take
KEPT = 0.8  # of the bytes of tokens, so many of which are left where a colour grid stays
SPARE = 0.03  # of its bits, that a plan may have too many: they are cut off


def writer_of(picture: TokenizedPicture, plan: Plan, ltk: Ltk) -> FileWriter:
    """The tokens that a plan keeps, as the segments of the file."""
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    prior, tokens = picture.model.prior, picture.tokens
    if plan.keep is not None:
        return FileWriter.of(prior, tokens, boxes)
    kept = tokens.only(full_masks(picture.model.levels, *plan.grid, plan.depths))
    return FileWriter.of(prior, kept, boxes, plan.depths)


def counts_of(file: FileWriter, plan: Plan, tokens: int | None = None) -> list[int]:
    """Tokens of every segment that a plan, and at most `tokens` tokens, leave."""
    if tokens is not None:
        return file.share(max(0, tokens))
    return file.at_keep(plan.keep) if plan.keep is not None else file.without_last(plan.dropped_tail)


def fitted(ltk: Ltk, file: FileWriter, size: int, strict: bool, say: Say | None = None) -> bytes:
    """The file with the most tokens that is no larger than `size` bytes.

    Patches go, those of the last segments first, where they leave no room for the file without a token, and `say` is
    told.  Where even that is larger, it is returned, or with `strict` UsageError raised.
    """
    empty, whole = file.write(ltk, file.nothing), ltk
    while len(empty) > size and any(chunk.fourcc == PATCHES for chunk in ltk.chunks):
        last = max(i for i, chunk in enumerate(ltk.chunks) if chunk.fourcc == PATCHES)
        ltk = ltk.with_chunks(ltk.chunks[:last] + ltk.chunks[last + 1 :])
        empty = file.write(ltk, file.nothing)
    if say is not None and len(ltk.chunks) < len(whole.chunks):
        say(_without_patches(whole, ltk))
    if len(empty) > size:
        if strict:
            raise UsageError(f"the smallest file of this picture has {len(empty)} bytes, more than {size}")
        return empty
    low, high = 0, file.total  # most tokens whose estimated size fits
    budget = size - len(empty)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if file.estimate(file.share(middle)) <= budget else (low, middle - 1)
    best, step = empty, 1
    while True:  # the estimate is good to a few bytes: go down until the file fits
        data = file.write(ltk, file.share(low))
        if len(data) <= size:
            return max(best, data, key=len)
        low, step = max(0, low - step), step * 2


def cut_to(ltk: Ltk, file: FileWriter, size: int, say: Say) -> bytes:
    """A file cut to `size` bytes: tokens go, then metadata and alpha give way, then patches.  Raises UsageError.

    A colour grid goes with a fifth of the tokens: it corrects what all of them decode to.
    """
    check_callable("say", say)
    ltk = ltk if KEPT * _streams(ltk) <= size - len(file.write(ltk, file.nothing)) else _without_grid(ltk)
    smaller = with_room_again(ltk, size, say)
    cut = fitted(smaller, file, size, strict=True, say=say)
    return cut if smaller is ltk else filled(cut, alpha_of(ltk), size)


def _streams(ltk: Ltk) -> int:
    """Bytes of tokens."""
    return sum(len(segment.stream) for segment in ltk.segments)


def _without_grid(ltk: Ltk) -> Ltk:
    return ltk.with_chunks(tuple(chunk for chunk in ltk.chunks if chunk.fourcc != COLOUR))


def _without_patches(before: Ltk, after: Ltk) -> str:
    """What is said of patches that went: how much of the picture they showed."""
    shown, still = (covered_cells(patches_of(ltk), ltk.header) for ltk in (before, after))
    share = max(1, round(100 * float(np.mean(shown & ~still))))
    return (
        f"patches over {share} % of the picture are left out to meet the size, which tokens show coarsely there: "
        "encoding the original to this size looks better"
    )


def sized(
    ltk: Ltk, picture: TokenizedPicture, target: RateTarget, effort: Effort, device: str, say: Say
) -> bytes:  # fmt: skip
    """The file of at most `target.size` bytes that is expected to look best.

    `say` is told where the smallest file is larger, and where all tokens do not fill the size.
    """
    size = target.size
    assert size is not None
    fixed = _fixed(ltk)
    curves = predict_curves(picture, target.with_bits(8.0 * max(size - fixed, 1)), effort)
    share, best = effort.bits_left, b""
    for _ in range(SEARCH_ROUNDS if share < 1 or picture.retold(effort) else 1):
        found = _planned(ltk, picture, replace(target, size=int(size / share)), effort, curves)
        better, file = picture.refined(found.plan, curves, effort, device), found.file
        if better is not picture:
            file = writer_of(better, found.plan, ltk)
        data = fitted(with_grid(ltk, better.means, size), file, size, target.strict)
        best = max(best, data, key=len)
        if len(data) >= size * (1 - SPARE / 2) or found.plan.keep == len(picture.model.levels):
            break
        share = len(data) / found.bytes
    if len(best) > size:
        say(f"the smallest file of this picture has {len(best):,} bytes, more than {size:,}")
    elif not lossy_alpha(ltk) and len(best) < size * (1 - SPARE) and _holds_all(best, picture):
        say(all_there_is(len(best), size))
    return best


def _holds_all(data: bytes, picture: TokenizedPicture) -> bool:
    """Whether all tokens of a picture are in a file."""
    held = sum(segment.tokens for segment in read(data, limit_pixels=None).segments)
    return held == sum(mask.size for mask in picture.tokens.masks)


def all_there_is(got: int, wanted: int) -> str:
    """What is said where the largest file of a picture has fewer bytes than are wanted."""
    return f"{got:,} bytes are all there is of this picture, less than the {wanted:,} that were asked for"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan, the writer of its tokens, and about how many bytes they take."""

    plan: Plan
    file: FileWriter
    bytes: float


def _fixed(ltk: Ltk) -> int:
    """About the bytes of a file that are no tokens."""
    segments = len(segment_boxes(ltk.width, ltk.height, ltk.segment_cells))
    return 24 + 8 * segments + sum(len(chunk.data) + 12 for chunk in ltk.chunks)


def _planned(
    ltk: Ltk, picture: TokenizedPicture, target: RateTarget, effort: Effort, curves: RDCurves | None
) -> _Planned:
    """The plan that takes at least, and hardly more than, the wanted size."""
    size, levels = target.size, len(picture.model.levels)
    assert size is not None
    bits = 8.0 * max(size - _fixed(ltk), 1)
    best, least = None, math.inf  # of the plans that fill the size the one with the fewest bytes to cut off
    for _ in range(SIZE_ROUNDS):
        plan = choose_plan(picture, target.with_bits(bits), effort, curves)
        file = writer_of(picture, plan, ltk)
        empty = len(file.write(ltk, file.nothing))
        if empty > size and plan.keep is None:  # no room for a depth map
            break
        ratio = (empty + file.bits() / 8) / size
        if 1 <= ratio < least:
            best, least = _Planned(plan, file, ratio * size), ratio
        if 1 <= ratio <= 1 + SPARE or (plan.keep is not None and ratio >= 1) or plan.keep == levels:
            break
        bits *= (1 + SPARE / 2) / ratio
    if best is None:
        plan = uniform(levels, plan.depths.shape)
        best = _Planned(plan, writer_of(picture, plan, ltk), float(size))
    return best

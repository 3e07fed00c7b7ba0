"""From a plan of tokens to one with patches: what they cover, at which quality, and the tokens that are left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ltokc.container import patches
from ltokc.container.bitstreams import MAX_SIDE
from ltokc.container.chunks import COLOUR, PATCHES
from ltokc.container.patches import Patch
from ltokc.container.records import Chunk, Ltk
from ltokc.geometry import CELL, Size, segment_boxes
from ltokc.rate.curves import RDCurves
from ltokc.rate.patches import high
from ltokc.rate.patches.choice import multiplier_of, worth_of_patch, worth_of_tokens
from ltokc.rate.patches.coding import PatchCoder, bytes_of, lossy_coding
from ltokc.rate.patches.drawn import Drawing, drawing_of, maybe_drawn, widened
from ltokc.rate.patches.legible import is_legible
from ltokc.rate.plan import Plan, uniform
from ltokc.rate.tokenized import TokenizedPicture

# quality of the lossy codec for drawn cells, by the encoder's
QUALITIES = ((0.0, 8), (0.2, 14), (0.4, 24), (0.6, 32), (0.8, 44), (0.9, 52), (1.0, 70))
READABLE_FROM = 0.4  # quality of the encoder, from which on lettering has to be legible
QUICK_MARGIN = 1.3  # times the error at which lettering just can be read: a slower coder has up to so much less
LEGIBLE = (30, 40, 50, 60)  # those tried where lettering cannot be read: the same ones from anywhere below
LEAST_GAIN = 0.03  # of what the picture costs by tokens alone
MOSTLY = 0.6  # share of the cells in patches from which on one over the whole picture is tried
PREVIEW = 1  # levels of a cell that a patch covers
PREVIEW_OF_ALL = 2  # levels where a patch covers the whole picture
BESIDE = 3  # levels of a covered cell beside one that is not
FEW = 512  # px, of pictures too narrow to be compared that a patch shows better than tokens at any quality
FEWEST, FEWEST_QUALITY = 64, 80  # px, of those that cost next to nothing, and the lossy codec's quality for them
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Planner = Callable[[RDCurves], Plan]


@dataclass(frozen=True, slots=True)
class Patched:
    """A plan for the tokens, and the patches that go with it."""

    plan: Plan
    patches: tuple[Patch, ...]

    def added_to(self, ltk: Ltk) -> Ltk:
        """A record with the patches among its chunks."""
        return with_patches(ltk, self.patches)


def with_patches(ltk: Ltk, found: tuple[Patch, ...]) -> Ltk:
    """A record with these patches and no others."""
    chunks = [chunk for chunk in ltk.chunks if chunk.fourcc != PATCHES]
    first = sum(chunk.fourcc == COLOUR for chunk in chunks)  # what comes before patches
    chunks[first:first] = [Chunk(PATCHES, patches.spell(patch)) for patch in found]
    return ltk.with_chunks(tuple(chunks))


def available(size: Size, segment_cells: int) -> bool:
    """Whether Pillow has a codec for patches that takes a picture's segments."""
    coding = lossy_coding()
    sides = (max(box.columns, box.rows) * CELL for box in segment_boxes(*size, segment_cells))
    return coding is not None and min(max(size), max(sides)) <= MAX_SIDE[coding]


def codec_quality(quality: float) -> int:
    """Quality of the lossy codec for drawn cells at a quality 0 to 1 of the encoder."""
    return round(float(np.interp(quality, [q for q, _ in QUALITIES], [codec for _, codec in QUALITIES])))


def drawn_part(rgb: np.ndarray) -> Drawing | None:
    """What there is to know of a picture (H, W, 3) with a drawn part; None: it has none."""
    if not maybe_drawn(rgb):
        return None
    found = drawing_of(rgb)
    return found if found.present else None


def is_plain(picture: TokenizedPicture, quality: float) -> bool:
    """Whether a patch over the whole picture is better than tokens without a look at either, at a quality 0 to 1.

    It shows the colour of a picture of one colour exactly, where tokens are off in its corners, and the pixels of one
    that is too narrow to be compared, whose cells are padding for the most part; a large one where bytes count less.
    """
    rgb = picture.rgb
    if not picture.measurable and (quality >= READABLE_FROM or rgb.shape[0] * rgb.shape[1] <= FEW):
        return True
    return all((rgb[top : top + CELL] == rgb[0, 0]).all() for top in range(0, len(rgb), CELL))


def coder_of(picture: TokenizedPicture, ltk: Ltk, effort: int, drawing: Drawing) -> PatchCoder:
    return PatchCoder(picture.rgb, ltk.header, effort, drawing)


def whole(picture: TokenizedPicture, ltk: Ltk, effort: int, quality: float) -> Patched:
    """A patch over the whole picture at a quality above `high.STARTS`; the tokens are its preview."""
    drawing = drawing_of(picture.rgb)
    coder = coder_of(picture, ltk, effort, drawing)
    least = codec_quality(quality) if drawing.present else 0
    look = high.look_of_quality(quality)
    return whole_at(picture, coder, high.quality_of_look(look, picture.rgb, coder.seen, least))


def alone(picture: TokenizedPicture, ltk: Ltk, effort: int, quality: float) -> Patched:
    """A patch over a picture that `is_plain`, at a quality of the encoder."""
    coder = coder_of(picture, ltk, effort, drawing_of(picture.rgb))
    few = picture.rgb.shape[0] * picture.rgb.shape[1] <= FEWEST
    least = FEWEST_QUALITY if few else 0
    found = whole_at(picture, coder, max(codec_quality(quality), least))
    return replace(found, plan=uniform(float(PREVIEW), tuple(picture.size.grid)))


def whole_at(picture: TokenizedPicture, coder: PatchCoder, quality: int, readable: bool = False) -> Patched:
    """A patch over the whole picture at a quality of the lossy codec; readable: or at the next that lettering needs."""
    everything, thorough = np.ones(tuple(picture.size.grid), bool), replace(coder, thorough=True)
    made = _legible(picture, thorough, everything, quality) if readable else thorough.patches(everything, quality)
    return Patched(uniform(float(PREVIEW_OF_ALL), everything.shape), made)


def part(
    picture: TokenizedPicture, coder: PatchCoder, curves: RDCurves, plan_of: Planner, quality: float
) -> Patched | None:  # fmt: skip
    """Patches over the cells where they are worth more than tokens; None: nowhere.

    plan_of(curves): the plan of the tokens for a part of the picture; quality: 0 to 1, the encoder's.
    """
    drawing, multiplier, lossy = coder.drawing, multiplier_of(quality), codec_quality(quality)
    tokens = worth_of_tokens(curves, plan_of(curves), drawing.lines, quality)
    saved = tokens.cost(multiplier) - multiplier * curves.bits[PREVIEW - 1]

    def tried(cells: Mask, coder: PatchCoder) -> Tried:
        found = coder.patches(cells, lossy)
        worth = worth_of_patch(picture.rgb, coder.shown(found, picture.rgb), bytes_of(found),
                               np.where(cells, drawing.detail, 0))  # fmt: skip
        return Tried(coder, cells, np.where(cells, saved - worth.cost(multiplier), 0))

    found = tried(drawing.candidates, coder)
    if not coder.is_screen(drawing.candidates, lossy):
        found = max(found, tried(drawing.candidates, replace(coder, screen=True)), key=lambda each: each.gained)
    if (found.gain <= 0)[found.cells].any():
        cells = found.gain > 0
        if not cells.any():
            return None
        cells |= drawing.lines & widened(cells)  # no line of lettering changes in its middle
        found = tried(cells, found.coder)
    cells = found.cells
    if MOSTLY <= cells.mean() < 1:
        everything = tried(np.ones_like(cells), found.coder)
        border = multiplier * (curves.bits[BESIDE - 1] - curves.bits[PREVIEW - 1])[cells & widened(~cells)].sum()
        uneven = tokens.errors[~cells].sum()  # counts twice: few bad cells among good ones spoil a look
        if everything.gained > found.gained - border - uneven:
            found = everything
    if found.gained <= LEAST_GAIN * float(tokens.cost(multiplier).sum()):
        return None
    thorough = replace(found.coder, thorough=True)
    readable = quality >= READABLE_FROM
    made = _legible(picture, thorough, found.cells, lossy) if readable else thorough.patches(found.cells, lossy)
    return Patched(_left_over(found.cells, curves, plan_of, picture), made)


@dataclass(frozen=True, slots=True)
class Tried:
    """Cells in patches (rows, columns), what made these, and what each cell gains by them."""

    coder: PatchCoder
    cells: Mask
    gain: Floats

    @property
    def gained(self) -> float:
        return float(self.gain.sum())


def _legible(picture: TokenizedPicture, coder: PatchCoder, cells: Mask, lossy: int) -> tuple[Patch, ...]:
    """The patches of some cells at a quality of the lossy codec, or the next one at which lettering can be read.

    Qualities at which a quick coder's are far from that are not tried.
    """
    lines, qualities = coder.drawing.lines & cells, (lossy, *(better for better in LEGIBLE if better > lossy))

    def can_be_read(found: tuple[Patch, ...], margin: float = 1.0) -> bool:
        return is_legible(picture.rgb, coder.shown(found, picture.rgb), lines, margin)

    quick = replace(coder, thorough=False)
    near = (each for each in qualities[:-1] if can_be_read(quick.patches(cells, each), QUICK_MARGIN))
    first = next(near, qualities[-1])
    tried = (coder.patches(cells, each) for each in qualities if each >= first)
    return next((found for found in tried if can_be_read(found)), None) or coder.patches(cells, qualities[-1])


def _left_over(cells: Mask, curves: RDCurves, plan_of: Planner, picture: TokenizedPicture) -> Plan:
    """The plan of the tokens where patches cover some cells: what the others need, and a preview."""
    if cells.all():
        return uniform(float(PREVIEW), cells.shape)
    rest = plan_of(curves.within(~cells))
    depths = np.full(cells.shape, PREVIEW, np.int64)
    depths[cells & widened(~cells)] = min(BESIDE, int(rest.depths.max()))
    depths[~cells] = rest.depths.ravel()
    dropped = rest.dropped_tail
    if rest.keep is not None and rest.keep < (last := math.ceil(rest.keep)):
        dropped = round((last - rest.keep) * picture.model.levels[last - 1].tokens * rest.depths.size)
    return Plan(depths, dropped_tail=dropped)

"""A picture with all of its tokens, and what can be done with them before a file is written: measure and search."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ltokc.geometry import CELL, Size, segment_boxes
from ltokc.metrics import by_cell
from ltokc.metrics.colour import SIDE, pooled
from ltokc.metrics.ssimulacra2 import LEAST_SIDE, Reference, points
from ltokc.rate.colour import digits as colour
from ltokc.rate.colour.digits import Means
from ltokc.rate.colour.grid import worth_of_byte
from ltokc.rate.colour.smooth import Decoder, Trial, is_smooth, tried, with_other_depths
from ltokc.rate.curves import RDCurves
from ltokc.rate.effort import Effort
from ltokc.rate.plan import Plan
from ltokc.rate.refine.search import Search
from ltokc.rate.rounding.together import Rounding
from ltokc.rate.target import RateTarget
from ltokc.threads import Progress, Steps
from ltokc.token_grid import Tokens, kept_levels, tokens_of_cell
from ltokc.tokenizer.windows import Networks
from ltokc.zoo.model import Model

RATE = 2.5  # what a bit per pixel weighs in the search where nothing is known of the picture's own curve
FAR = 1.0  # levels on average, from which on a depth that was told is too far from the one that is wanted
USUAL = 0.005  # bytes of tokens for each sample, where nothing is known of the picture's own
RATES = (0.5, 20.0)  # its bounds


@dataclass(frozen=True, slots=True)
class TokenizedPicture:
    """rgb: (H, W, 3) uint8; tokens: of all levels; steps: those of the work still to come.

    kept: (rows, columns), how many levels each cell will keep, as the tokenizer was told;
    means: colours of large areas, of the picture and, as far as is known, of what a plan's tokens decode to;
    plan: the one that it was refined for; error: SSIMULACRA2's of that, where decodes of it were tried;
    walks: how often it was tokenized; values: what was rounded to the digits, per level float16 (rows, columns, d), if
    the effort rounds them together.
    """

    model: Model
    networks: Networks
    rgb: np.ndarray
    tokens: Tokens
    steps: Steps
    kept: np.ndarray
    means: Means | None = None
    plan: Plan | None = None
    error: float | None = None
    walks: int = 1
    values: list[np.ndarray] | None = None

    @property
    def size(self) -> Size:
        return Size.of(self.rgb)

    @property
    def measurable(self) -> bool:
        """Whether the picture is large enough to be compared with."""
        return min(self.size) >= LEAST_SIDE

    def measure(self, plan: Plan) -> by_cell.Moments:
        """Decodes a plan's tokens and compares, window by window so that memory stays bounded."""
        kept = self.tokens.only(plan.masks(self.model.levels))
        cells = np.zeros((*plan.depths.shape, *by_cell.PARTS), np.float32)
        seen = np.zeros(plan.depths.shape, bool)
        colours = _no_means(plan)
        for left, top, part in self.networks.parts(kept, self.size):
            h, w = part.shape[:2]
            _paste(colours, pooled(part), top, left)
            if min(h, w) < LEAST_SIDE:
                continue
            found = by_cell.moments(Reference(self.rgb[top : top + h, left : left + w]), part).cells
            y, x = top // CELL, left // CELL
            cells[y : y + found.shape[0], x : x + found.shape[1]] = found
            seen[y : y + found.shape[0], x : x + found.shape[1]] = True
        self.steps.advance()
        if not seen.all():
            cells[~seen] = cells[seen].mean(0)
        return by_cell.Moments(cells, colours, plan.levels_kept)

    def refined(
        self, plan: Plan, curves: RDCurves | None, effort: Effort, device: str, error: float | None = None
    ) -> TokenizedPicture:  # fmt: skip
        """The same picture with other digits of the plan's tokens, if the effort measures.

        A told tokenizer makes them anew where it was told quite another depth.  If the effort searches, it goes on with
        digits that cost and show less error; then with those that bring the colours of large areas nearer to the
        original's.  error: that is wanted; flat fields and gradients may keep other numbers of levels for it, which the
        `plan` of what comes back says.
        """
        told = self.told(plan) if self.retold(effort) else self
        return told.chosen(plan, curves, effort, device, error)

    def retold(self, effort: Effort) -> bool:
        """Whether digits may be made anew once there is a plan."""
        return effort.measures and self.model.told

    def told(self, plan: Plan) -> TokenizedPicture:
        """The picture as a told tokenizer makes it for the depths of a plan, unless it was told about these."""
        levels = self.model.levels
        kept = kept_levels(plan.masks(levels), levels)
        if np.abs(kept - self.kept).mean() < FAR:
            return self
        values: list[np.ndarray] | None = None if self.values is None else []
        tokens = self.networks.tokenize(self.rgb, advance=self.steps.advance, kept=kept, values=values)
        return replace(self, tokens=tokens, kept=kept, walks=self.walks + 1, values=values)

    def chosen(
        self, plan: Plan, curves: RDCurves | None, effort: Effort, device: str, error: float | None
    ) -> TokenizedPicture:  # fmt: skip
        """`refined`, of the digits at hand."""
        if not effort.measures or not self.measurable:
            return self
        sent = Tokens(self.tokens.levels, self.tokens.digits, plan.masks(self.model.levels))
        bit, advance = _worth_of_bits(curves, plan), self.steps.advance
        if effort.schedule is not None:
            sent = Search(self.model.folder, device).run(self.rgb, sent, effort.schedule, bit, advance)
        means = self._means(plan, sent, curves, effort)
        found, kernel, seen = sent, self.model.rounding, None
        if means is not None and means.smooth and curves is not None:
            start = Trial(plan, sent, means, math.inf)
            decoder = Decoder(self.model.levels, self.model.colour, self._looked_at, partial(_bytes_of, curves))
            plans = [plan] if error is None else with_other_depths(plan, curves, error)
            best = tried(decoder, start, plans, math.inf if error is None else error)
            plan, found, means, seen = best.plan, best.tokens, best.means, best.error
        elif means is not None and self.model.colour is not None:
            found, means = colour.choose(means, sent, self.model.colour)
            if effort.schedule is not None:
                means = replace(means, decoded=self.decoded_means(plan, found))
        rounds = effort.gradients and not (means is not None and means.smooth)
        if rounds and self.values is not None and kernel is not None:
            rounded = Rounding(self.networks, kernel, effort.gradients).run(self.rgb, found, self.values, bit, advance)
            found, means = rounded.tokens, means and replace(means, decoded=rounded.means)
        tokens = Tokens(found.levels, found.digits, self.tokens.masks)
        return replace(self, tokens=tokens, means=means, plan=plan, error=seen)

    def _looked_at(self, plan: Plan, tokens: Tokens) -> tuple[np.ndarray, float]:
        """Means of what a plan's tokens decode to, as `decoded_means`, and SSIMULACRA2's error."""
        found = replace(self, tokens=tokens).measure(plan)
        assert found.colours is not None
        return found.colours, found.error()

    def _means(self, plan: Plan, tokens: Tokens, curves: RDCurves | None, effort: Effort) -> Means | None:
        """Of the picture and of what a plan's tokens decode to: decoded where digits were searched, else expected."""
        from ltokc.pictures.chunks import is_gray

        measured = None if curves is None else curves.measured
        original, gray = pooled(self.rgb), is_gray(self.rgb)
        smooth = self.networks.tiling.fits(self.size) and is_smooth(self.rgb)  # enlarged photographs are smooth too
        bytes_ = self.rgb.size * USUAL if curves is None else _bytes_of(curves, plan)
        means = Means(original, original, gray, smooth, worth_of_byte(original[..., 0].size, bytes_, smooth))
        if smooth and curves is not None:
            return means  # decodes will tell
        if effort.schedule is not None or self.walks > 1:  # other digits than those that were measured
            return replace(means, decoded=self.decoded_means(plan, tokens))
        if measured is None or measured.moments.colours is None or measured.moments.kept is None:
            return None
        return replace(means, decoded=measured.moments.colours).expected(plan.levels_kept - measured.moments.kept)

    def decoded_means(self, plan: Plan, tokens: Tokens | None = None) -> np.ndarray:
        """Decodes a plan's tokens, window by window: means over 16x16 pixels (`ltokc.metrics.colour.pooled`).

        tokens: None for the picture's own.
        """
        kept = (tokens or self.tokens).only(plan.masks(self.model.levels))
        out = _no_means(plan)
        for left, top, part in self.networks.parts(kept, self.size):
            _paste(out, pooled(part), top, left)
        return out


def tokenized(
    model: Model, networks: Networks, rgb: np.ndarray, effort: Effort, target: RateTarget,
    progress: Progress | None = None,
) -> TokenizedPicture:  # fmt: skip
    """Every token of a picture (H, W, 3) uint8, by a told tokenizer for the depth that such pictures mostly take.

    progress: called with steps done and steps in all, to which the decodes and the search of the effort and the writing
    of the segments belong.
    """
    size = Size.of(rgb)
    segments = len(segment_boxes(*size, networks.tiling.segment_cells(size)))
    windows = len(networks.tokenizer_windows(size))
    walks = 2 if effort.measures and model.told else 1  # of which a wanted size may take one more
    steps = Steps(progress, walks * windows + segments + effort.decodes + effort.steps(size.grid), estimate=True)
    kept = np.full(size.grid, usual_keep(model, target, size), np.float32)
    values: list[np.ndarray] | None = [] if effort.gradients else None
    tokens = networks.tokenize(rgb, advance=steps.advance, kept=kept, values=values)
    return TokenizedPicture(model, networks, rgb, tokens, steps, kept, values=values)


def usual_keep(model: Model, target: RateTarget, size: Size) -> float:
    """Levels that a picture takes for a target, as far as that can be told without having seen it."""
    counts = np.arange(1, len(model.levels) + 1)
    if target.tokens is not None:
        return float(np.interp(target.tokens / size.grid.cells, tokens_of_cell(model.levels), counts))
    if target.size is not None:
        return model.keep_of_bits(8 * target.size / size.grid.cells)
    assert target.quality is not None
    return model.keep_of_quality(target.quality)


def _bytes_of(curves: RDCurves, plan: Plan) -> float:
    """About the bytes of a plan's tokens."""
    return float(np.take_along_axis(curves.bits, plan.depths[None] - 1, 0).sum()) / 8


def _no_means(plan: Plan) -> np.ndarray:
    """Room for the means of all areas of a picture."""
    rows, columns = (side * CELL // SIDE for side in plan.depths.shape)
    return np.zeros((rows, columns, 3), np.float32)


def _paste(means: np.ndarray, part: np.ndarray, top: int, left: int) -> None:
    """Puts the means of a window in their place, whose corner is told in pixels."""
    y, x = top // SIDE, left // SIDE
    means[y : y + part.shape[0], x : x + part.shape[1]] = part


def _worth_of_bits(curves: RDCurves | None, plan: Plan) -> float:
    """What a bit per pixel weighs against hundredths of points: what levels about as many give for theirs."""
    if curves is None:
        return RATE
    keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
    low, high = max(1.0, keep - 1), min(float(len(curves.errors)), keep + 1)
    bits = np.interp([low, high], np.arange(1, len(curves.bits) + 1), curves.bits.mean((1, 2))) / CELL**2
    gained = points(curves.error_at(high)) - points(curves.error_at(low))
    return float(np.clip(gained / 100 / (bits[1] - bits[0]), *RATES))

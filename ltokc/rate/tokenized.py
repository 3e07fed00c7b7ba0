"""A picture with all of its tokens, and what can be done with them before a file is written: measure and search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ltokc.geometry import CELL, Size, segment_boxes
from ltokc.metrics import by_cell
from ltokc.metrics.ssimulacra2 import LEAST_SIDE, Reference, points
from ltokc.rate.curves import RDCurves
from ltokc.rate.effort import Effort
from ltokc.rate.plan import Plan
from ltokc.rate.refine.search import Search
from ltokc.rate.target import RateTarget
from ltokc.threads import Progress, Steps
from ltokc.token_grid import Tokens, kept_levels, tokens_of_cell
from ltokc.tokenizer.windows import Networks
from ltokc.zoo.model import Model

RATE = 2.5  # what a bit per pixel weighs in the search where nothing is known of the picture's own curve
ALIKE = 0.05  # levels, up to which a depth that was told is as good as the one that is wanted
RATES = (0.5, 20.0)  # its bounds


@dataclass(frozen=True, slots=True)
class TokenizedPicture:
    """rgb: (H, W, 3) uint8; tokens: of all levels; steps: those of the work still to come.

    kept: (rows, columns), how many levels each cell will keep, as the tokenizer was told.
    """

    model: Model
    networks: Networks
    rgb: np.ndarray
    tokens: Tokens
    steps: Steps
    kept: np.ndarray

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
        for left, top, part in self.networks.parts(kept, self.size):
            h, w = part.shape[:2]
            if min(h, w) < LEAST_SIDE:
                continue
            found = by_cell.moments(Reference(self.rgb[top : top + h, left : left + w]), part).cells
            y, x = top // CELL, left // CELL
            cells[y : y + found.shape[0], x : x + found.shape[1]] = found
            seen[y : y + found.shape[0], x : x + found.shape[1]] = True
        self.steps.advance()
        if not seen.all():
            cells[~seen] = cells[seen].mean(0)
        return by_cell.Moments(cells)

    def refined(self, plan: Plan, curves: RDCurves | None, effort: Effort, device: str) -> TokenizedPicture:
        """The same picture with digits that serve this plan better, if the effort spends anything on that.

        A told tokenizer makes them anew for the plan's depths; then those of the plan's tokens are searched for.
        """
        told = self.told(plan) if self.retold(effort) else self
        return told.searched(plan, curves, effort, device)

    def retold(self, effort: Effort) -> bool:
        """Whether digits are made anew once there is a plan."""
        return effort.measures and self.model.told

    def told(self, plan: Plan) -> TokenizedPicture:
        """The picture as a told tokenizer makes it for the depths of a plan."""
        levels = self.model.levels
        kept = kept_levels(plan.masks(levels), levels)
        if np.abs(kept - self.kept).max() < ALIKE:
            return self
        tokens = self.networks.tokenize(self.rgb, advance=self.steps.advance, kept=kept)
        return replace(self, tokens=tokens, kept=kept)

    def searched(self, plan: Plan, curves: RDCurves | None, effort: Effort, device: str) -> TokenizedPicture:
        """The same picture with digits of the plan's tokens that cost and show less error, if the effort searches."""
        if effort.schedule is None or not self.measurable:
            return self
        sent = Tokens(self.tokens.levels, self.tokens.digits, plan.masks(self.model.levels))
        search = Search(self.model.folder, device)
        found = search.run(self.rgb, sent, effort.schedule, _worth_of_bits(curves, plan), self.steps.advance)
        return replace(self, tokens=Tokens(found.levels, found.digits, self.tokens.masks))


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
    steps = Steps(progress, walks * windows + segments + effort.decodes + effort.steps(size.grid))
    kept = np.full(size.grid, usual_keep(model, target, size), np.float32)
    return TokenizedPicture(model, networks, rgb, networks.tokenize(rgb, advance=steps.advance, kept=kept), steps, kept)


def usual_keep(model: Model, target: RateTarget, size: Size) -> float:
    """Levels that a picture takes for a target, as far as that can be told without having seen it."""
    counts = np.arange(1, len(model.levels) + 1)
    if target.tokens is not None:
        return float(np.interp(target.tokens / size.grid.cells, tokens_of_cell(model.levels), counts))
    if target.size is not None:
        return model.keep_of_bits(8 * target.size / size.grid.cells)
    assert target.quality is not None
    return model.keep_of_quality(target.quality)


def _worth_of_bits(curves: RDCurves | None, plan: Plan) -> float:
    """What a bit per pixel weighs against hundredths of points: what levels about as many give for theirs."""
    if curves is None:
        return RATE
    keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
    low, high = max(1.0, keep - 1), min(float(len(curves.errors)), keep + 1)
    bits = np.interp([low, high], np.arange(1, len(curves.bits) + 1), curves.bits.mean((1, 2))) / CELL**2
    gained = points(curves.error_at(high)) - points(curves.error_at(low))
    return float(np.clip(gained / 100 / (bits[1] - bits[0]), *RATES))

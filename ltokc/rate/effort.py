"""What `--effort` buys: plans that were looked at before they are written.

Level 0 believes the halting head and gives all cells the same depth.  Level 1 decodes the picture at the depth that is
expected (once, if that was about right) and measures every cell, so that the look is hit and cells get levels by gain
per bit.  Levels 2 to 4 make the plan as level 1 and choose its digits anew, by what they do
(`ltokc.rate.refine.search`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ltokc.metrics import by_cell
from ltokc.metrics.by_cell import Moments
from ltokc.metrics.ssimulacra2 import LEAST_SIDE, Reference, points
from ltokc.rate.plan import Plan, alike
from ltokc.rate.refine import search
from ltokc.rate.refine.schedule import Schedule
from ltokc.tokenizer import windows
from ltokc.tokenizer.halting import Outlook
from ltokc.tokenizer.runtime import Runtime
from ltokc.zoo.model import Model

TOLERANCE = 0.01  # of a look, as a ratio of errors
LOOKS = 3  # at most, at the depth that is expected
BALANCE_ROUNDS = 4  # at most, of weighing a plan by what was seen at another depth
APART = 0.75  # levels between that and the last, for another look
LEAST_PRICE = 1e-3
# how digits are chosen, by effort
REFINING = {2: Schedule(8, 0.053, 2), 3: Schedule(24, 0.061, 4), 4: Schedule(48, 0.045, 4)}
# the error that is left by them, as a share: some more than the mean, so that few miss
EASED = {2: 0.88, 3: 0.82, 4: 0.78}
LEANER = 0.99  # the bits that they then take, as a share
RATE = 2.5  # of the loss that chooses digits, where nothing is known of the picture's own curve
RATES = (0.5, 20.0)
Picture = np.ndarray


@dataclass(frozen=True, slots=True)
class Studio:
    """A tokenized picture and what shows it: rgb (H, W, 3) uint8; digits of all levels; advance: called per decode."""

    model: Model
    runtime: Runtime
    rgb: Picture
    digits: list[np.ndarray]
    advance: Callable[[], None]

    def look(self, plan: Plan) -> by_cell.Moments:
        """Decodes a plan's tokens and compares, window by window so that memory stays bounded."""
        height, width = self.rgb.shape[:2]
        masks = plan.masks(self.model.levels)
        kept = [grid * mask[..., None] for grid, mask in zip(self.digits, masks, strict=True)]
        shape = np.zeros((*plan.depths.shape, *by_cell.PARTS), np.float32)
        seen = np.zeros(plan.depths.shape, bool)
        parts = windows.parts_of(self.runtime, self.model.levels, self.model.reach, kept, masks, height, width)
        for left, top, part in parts:
            h, w = part.shape[:2]
            if min(h, w) < LEAST_SIDE:
                continue
            found = by_cell.moments(Reference(self.rgb[top : top + h, left : left + w]), part).cells
            y, x = top // by_cell.CELL, left // by_cell.CELL
            shape[y : y + found.shape[0], x : x + found.shape[1]] = found
            seen[y : y + found.shape[0], x : x + found.shape[1]] = True
        self.advance()
        if not seen.all():
            shape[~seen] = shape[seen].mean(0)
        return by_cell.Moments(shape)


def need(effort: int) -> None:
    """Raises ModelError if this effort needs what is not installed."""
    if effort in REFINING:
        search.need_torch()


def eased(effort: int) -> float:
    """The share of a plan's error that is expected to be left once its digits are chosen."""
    return EASED.get(effort, 1.0)


def leaner(effort: int) -> float:
    """The share of a plan's bits that is expected to be left once its digits are chosen."""
    return LEANER if effort in REFINING else 1.0


def descents(effort: int, rows: int, columns: int) -> int:
    """Steps that choose the digits of a picture of so many cells, at most once for a quality, twice for a size."""
    return search.steps_of(rows, columns, REFINING[effort].steps) if effort in REFINING else 0


def refined(studio: Studio, plan: Plan, outlook: Outlook | None, effort: int, device: str) -> Studio:
    """The same picture with digits of the plan's tokens that cost and show less error, at efforts above 1."""
    if effort not in REFINING or not visible(studio.rgb):
        return studio
    digits = search.refined(
        studio.model.folder, studio.rgb, studio.digits, plan.masks(studio.model.levels),
        schedule=REFINING[effort], rate=_worth_of_bits(outlook, plan), device=device, advance=studio.advance,
    )  # fmt: skip
    return replace(studio, digits=digits)


def _worth_of_bits(outlook: Outlook | None, plan: Plan) -> float:
    """What a bit per pixel weighs against hundredths of points: what levels about as many give for theirs."""
    if outlook is None:
        return RATE
    keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
    low, high = max(1.0, keep - 1), min(float(len(outlook.errors)), keep + 1)
    bits = np.interp([low, high], np.arange(1, len(outlook.bits) + 1), outlook.bits.mean((1, 2))) / by_cell.CELL**2
    gained = points(outlook.error_at(high)) - points(outlook.error_at(low))
    return float(np.clip(gained / 100 / (bits[1] - bits[0]), *RATES))


def visible(rgb: Picture) -> bool:
    """Whether a picture is large enough to be compared with."""
    return min(rgb.shape[:2]) >= LEAST_SIDE


def measured(studio: Studio, expected: Outlook, keep_for: Callable[[Outlook], float]) -> Outlook:
    """The outlook corrected by what decodes really show: at the depth that is expected, and again where the
    corrected outlook expects quite another one.

    keep_for(outlook): levels that all cells would take, a fraction for a part of one.
    """
    seen: dict[float, Moments] = {}
    outlook = expected
    for _ in range(LOOKS):
        keep = keep_for(outlook)
        if any(abs(keep - each) < APART for each in seen):
            break
        seen[keep] = studio.look(alike(keep, expected.prices.shape[1:]))
        outlook = _corrected(studio, expected, seen)
    keep = keep_for(outlook)
    nearest = min(seen, key=lambda each: abs(each - keep))
    return replace(outlook, shown=(nearest, seen[nearest]))


def _corrected(studio: Studio, expected: Outlook, seen: dict[float, Moments]) -> Outlook:
    """What was seen differs by so much, interpolated between the depths seen, and as at the nearest one beyond them."""
    assert studio.model.halting is not None
    slopes, keeps = studio.model.halting.slopes, sorted(seen)
    off_prices, off_errors = [], []
    for keep in keeps:
        off_prices.append(np.log(np.maximum(seen[keep].prices(slopes), LEAST_PRICE) / expected.at(keep)))
        off_errors.append(np.log(max(seen[keep].error(), LEAST_PRICE) / expected.error_at(keep)))
    prices, errors = expected.prices.copy(), expected.errors.copy()
    for k in range(len(errors)):
        i = int(np.clip(np.searchsorted(keeps, k + 1) - 1, 0, max(len(keeps) - 2, 0)))
        j = min(i + 1, len(keeps) - 1)
        share = float(np.clip((k + 1 - keeps[i]) / (keeps[j] - keeps[i]), 0, 1)) if j > i else 0.0
        prices[k] *= np.exp(off_prices[i] * (1 - share) + off_prices[j] * share)
        errors[k] *= np.exp(off_errors[i] * (1 - share) + off_errors[j] * share)
    return replace(expected, prices=np.minimum.accumulate(prices), errors=np.minimum.accumulate(errors))


def balanced(outlook: Outlook, keep: float, price: float, plan_for: Callable[[float], Plan]) -> Plan:
    """The plan that is expected to show the error that all cells alike have at `keep` levels, without looking at it.

    Prices are slopes: where depths differ much the error is more than they say.
    """
    plan = plan_for(price)
    for _ in range(BALANCE_ROUNDS):
        found = None if plan.keep is not None else outlook.error_of(plan.depths)
        if found is None or abs(miss := np.log(found / outlook.error_at(keep))) < TOLERANCE / 2:
            break
        price *= np.exp(-1.2 * miss)
        plan = plan_for(price)
    return plan

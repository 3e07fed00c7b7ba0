"""What is wanted to a plan: the halting head's outlook, rate control, and what the effort adds, in this order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ltokc.entropy.prior import LevelShape
from ltokc.rate import effort as efforts
from ltokc.rate import plan as ratecontrol
from ltokc.rate.effort import Studio
from ltokc.rate.plan import Plan
from ltokc.tokenizer.halting import Outlook
from ltokc.zoo.model import Model

CELL = 64
LEAST = 0.65  # of the levels that all would have: no cell gets fewer, since errors of colour in flat places cost little
MIXED = (4.0, 6.0)  # levels between which cells go from all alike to what prices, slopes at a finer depth, say


@dataclass(frozen=True, slots=True)
class Wish:
    """One of: quality 0..1, tokens, bits of the streams."""

    quality: float | None = None
    tokens: int | None = None
    bits: float | None = None


def decodes(effort: int) -> int:
    """The most decodes that an effort takes, those that choose digits left out."""
    return efforts.LOOKS if effort else 0


def foresee(studio: Studio, wish: Wish, effort: int) -> Outlook | None:
    """What is expected of the picture about the depth that the wish will take; None: the model has no halting head."""
    model = studio.model
    if model.halting is None:
        return None
    outlook = model.halting.outlook(studio.digits, studio.rgb)
    if effort < 1 or not efforts.visible(studio.rgb):
        return outlook
    keep = _keep(wish, outlook, model, effort)
    if keep in (1.0, float(len(model.levels))):  # nothing to choose
        return outlook
    return efforts.measured(studio, outlook, lambda outlook: _keep(wish, outlook, model, effort))


def allocate(studio: Studio, wish: Wish, effort: int, outlook: Outlook | None) -> Plan:
    """The plan for a wish.  Without a halting head, all cells keep what the model's table says, or everything."""
    model, see = studio.model, efforts.visible(studio.rgb)
    shape = tuple(-(-side // CELL) for side in studio.rgb.shape[:2])
    if outlook is None:
        keep = float(len(model.levels)) if wish.quality is None else model.keep_of_quality(wish.quality)
        return ratecontrol.alike(keep, shape)
    keep = _keep(wish, outlook, model, effort if see else 0)
    if effort < 1 or not see:
        return ratecontrol.alike(keep if wish.quality is not None else math.ceil(keep), shape)
    tempered = outlook.tempered(float(np.clip((keep - MIXED[0]) / (MIXED[1] - MIXED[0]), 0, 1)))
    tokens = tokens_of_cell(model.levels)
    if wish.tokens is not None:
        return ratecontrol.plan_for_tokens(wish.tokens, tempered, tokens, max(1.0, LEAST * keep))
    if wish.bits is not None:
        return ratecontrol.plan_for_bits(wish.bits, tempered, max(1.0, LEAST * keep))
    assert wish.quality is not None
    looks = model.entry.looks
    price = ratecontrol.target_price(wish.quality, looks, tempered, efforts.eased(effort))
    least = _least(wish.quality, model)

    def plan_for(price: float) -> Plan:
        return ratecontrol.plan_for_price(price, tempered, tokens, least)

    return efforts.balanced(outlook, keep, price, plan_for)


def _keep(wish: Wish, outlook: Outlook, model: Model, effort: int) -> float:
    """Levels, if all cells had the same."""
    if wish.tokens is not None:
        each = wish.tokens / outlook.prices[0].size
        return float(np.interp(each, tokens_of_cell(model.levels), np.arange(1, len(model.levels) + 1)))
    if wish.bits is not None:
        return ratecontrol.keep_for_bits(wish.bits, outlook)
    assert wish.quality is not None
    if wish.quality == 1:  # everything, also where the last levels are not expected to show
        return float(len(model.levels))
    price = ratecontrol.target_price(wish.quality, model.entry.looks, outlook, efforts.eased(effort))
    return ratecontrol.keep_for_price(price, outlook, _least(wish.quality, model))


def _least(quality: float, model: Model) -> float:
    """Levels that every cell gets at a quality."""
    return max(1.0, LEAST * model.keep_of_quality(quality))


def tokens_of_cell(levels: tuple[LevelShape, ...]) -> list[int]:
    """Tokens of one cell after 1, 2, ... levels."""
    return [int(n) for n in np.cumsum([(CELL // level.stride) ** 2 for level in levels])]

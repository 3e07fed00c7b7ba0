"""Plans: properties of the search for depths, on made-up outlooks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltokc.entropy.prior import LevelShape
from ltokc.rate import plan as ratecontrol
from ltokc.tokenizer.halting import Outlook

LEVELS = (LevelShape(64, 3, 7), LevelShape(32, 4, 5), LevelShape(16, 3, 5), LevelShape(8, 2, 5), LevelShape(8, 3, 3))
TOKENS = list(np.cumsum([(64 // level.stride) ** 2 for level in LEVELS]))
LOOKS = ((0.1, 80.0), (0.9, 8.0))


@st.composite
def outlooks(draw: st.DrawFn) -> Outlook:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    shape = (len(LEVELS), rows, columns)
    prices = np.exp(rng.normal(3, 1, shape[1:])) * np.exp(-rng.exponential(0.5, shape).cumsum(0))
    bits = (np.array(TOKENS)[:, None, None] * rng.uniform(0.5, 8, shape[1:]) + rng.random(shape)).cumsum(0)
    errors = np.exp(rng.normal(4, 1) - rng.exponential(0.5, len(LEVELS)).cumsum())
    return Outlook(errors, prices, bits)


def mean_price(plan: ratecontrol.Plan, outlook: Outlook) -> float:
    return float(np.take_along_axis(outlook.prices, plan.depths[None] - 1, 0).mean())


@settings(max_examples=60, deadline=None)
@given(outlooks(), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_better_quality_asks_for_lower_prices_and_more_levels(outlook: Outlook, qualities: list[float]) -> None:
    qualities = sorted([0.0, *qualities, 1.0])
    prices = [ratecontrol.target_price(q, LOOKS, outlook) for q in qualities]
    assert all(b <= a * (1 + 1e-9) for a, b in zip(prices, prices[1:], strict=False))
    keeps = [ratecontrol.keep_for_price(price, outlook) for price in prices]
    assert keeps == sorted(keeps) and keeps[0] == 1 and keeps[-1] == len(LEVELS)
    depths = [ratecontrol.plan_for_price(price, outlook, TOKENS).depths.sum() for price in prices]
    assert depths[0] == outlook.prices[0].size and depths[-1] == outlook.prices[0].size * len(LEVELS)


@settings(max_examples=60, deadline=None)
@given(outlooks(), st.floats(0.05, 0.95))
def test_a_plan_keeps_its_price_with_no_more_bits_than_all_alike(outlook: Outlook, share: float) -> None:
    means = outlook.prices.mean((1, 2))
    price = float(np.exp(np.interp(share, [0, 1], np.log([means[-1], means[0]]))))
    plan = ratecontrol.plan_for_price(price, outlook, TOKENS)
    assert mean_price(plan, outlook) <= price * (1 + 1e-9)
    if plan.keep is None:
        alike = np.interp(ratecontrol.keep_for_price(price, outlook), range(1, 6), outlook.bits.sum((1, 2)))
        assert np.take_along_axis(outlook.bits, plan.depths[None] - 1, 0).sum() < alike
        assert 0 <= plan.left_out <= TOKENS[-1]


@settings(max_examples=60, deadline=None)
@given(outlooks(), st.floats(0.05, 0.95), st.floats(1, 5))
def test_every_cell_gets_the_least(outlook: Outlook, share: float, least: float) -> None:
    means = outlook.prices.mean((1, 2))
    price = float(np.exp(np.interp(share, [0, 1], np.log([means[-1], means[0]]))))
    plans = [
        ratecontrol.plan_for_price(price, outlook, TOKENS, least),
        ratecontrol.plan_for_tokens(int(share * TOKENS[-1] * means.size), outlook, TOKENS, least),
    ]
    assert all(plan.depths.min() >= round(least) for plan in plans)


@settings(max_examples=60, deadline=None)
@given(outlooks(), st.floats(0.01, 1.2))
def test_plans_for_bits_and_tokens_take_at_least_so_many(outlook: Outlook, share: float) -> None:
    bits = share * outlook.bits[-1].sum()
    plan = ratecontrol.plan_for_bits(bits, outlook)
    taken = np.take_along_axis(outlook.bits, plan.depths[None] - 1, 0).sum() + ratecontrol.map_bits(plan.depths)
    assert taken >= min(bits, outlook.bits[-1].sum()) - 1e-6 or plan.keep == 1
    tokens = round(share * TOKENS[-1] * plan.depths.size)
    plan = ratecontrol.plan_for_tokens(tokens, outlook, TOKENS)
    assert np.array(TOKENS)[plan.depths - 1].sum() >= min(tokens, TOKENS[-1] * plan.depths.size)


@settings(max_examples=40, deadline=None)
@given(outlooks(), st.floats(1, 5))
def test_masks_hold_the_tokens_of_the_plan(outlook: Outlook, keep: float) -> None:
    cells = outlook.prices[0].size
    masks = ratecontrol.alike(keep, outlook.prices.shape[1:]).masks(LEVELS)
    level = int(keep)
    part = round(cells * (TOKENS[level] - TOKENS[level - 1]) * (keep - level)) if level < 5 else 0
    assert sum(int(mask.sum()) for mask in masks) == cells * TOKENS[level - 1] + part
    depths = np.random.default_rng(0).integers(1, 6, outlook.prices.shape[1:])
    masks = ratecontrol.Plan(depths, left_out=3).masks(LEVELS)
    assert sum(int(mask.sum()) for mask in masks) == max(0, np.array(TOKENS)[depths - 1].sum() - 3)


def test_the_depth_map_costs_about_what_is_expected() -> None:
    from ltokc.entropy.segment import depth_counts

    rng = np.random.default_rng(1)
    for spread in (1, 2, 4):
        depths = np.clip(7 + rng.integers(-spread, spread + 1, (20, 30)), 1, 11)
        bits = sum(16 - np.log2(c[0, v]) for v, c in depth_counts(depths.ravel(), (20, 30), 11))
        assert ratecontrol.map_bits(depths) == pytest.approx(bits, rel=0.25)
    assert ratecontrol.map_bits(np.full((3, 3), 4)) == 0

"""Plans: properties of the search for depths, on made-up rd_curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltokc.geometry import Level
from ltokc.rate import plan as rate
from ltokc.rate.curves import RDCurves

LEVELS = (Level(64, 3, 7), Level(32, 4, 5), Level(16, 3, 5), Level(8, 2, 5), Level(8, 3, 3))
TOKENS = list(np.cumsum([(64 // level.stride) ** 2 for level in LEVELS]))
LOOKS = ((0.1, 80.0), (0.9, 8.0))


@st.composite
def rd_curves(draw: st.DrawFn) -> RDCurves:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    shape = (len(LEVELS), rows, columns)
    distortion = np.exp(rng.normal(3, 1, shape[1:])) * np.exp(-rng.exponential(0.5, shape).cumsum(0))
    bits = (np.array(TOKENS)[:, None, None] * rng.uniform(0.5, 8, shape[1:]) + rng.random(shape)).cumsum(0)
    errors = np.exp(rng.normal(4, 1) - rng.exponential(0.5, len(LEVELS)).cumsum())
    return RDCurves(errors, distortion, bits)


def mean_distortion(plan: rate.Plan, curves: RDCurves) -> float:
    return float(np.take_along_axis(curves.distortion, plan.depths[None] - 1, 0).mean())


@settings(max_examples=60, deadline=None)
@given(rd_curves(), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_better_quality_asks_for_lower_distortion_and_more_levels(curves: RDCurves, qualities: list[float]) -> None:
    qualities = sorted([0.0, *qualities, 1.0])
    distortion = [rate.target_distortion(q, LOOKS, curves) for q in qualities]
    assert all(b <= a * (1 + 1e-9) for a, b in zip(distortion, distortion[1:], strict=False))
    keeps = [rate.keep_for_distortion(distortion, curves) for distortion in distortion]
    assert keeps == sorted(keeps) and keeps[0] == 1 and keeps[-1] == len(LEVELS)
    depths = [rate.plan_for_distortion(distortion, curves, TOKENS).depths.sum() for distortion in distortion]
    assert depths[0] == curves.distortion[0].size and depths[-1] == curves.distortion[0].size * len(LEVELS)


@settings(max_examples=60, deadline=None)
@given(rd_curves(), st.floats(0.05, 0.95))
def test_a_plan_keeps_its_distortion_with_no_more_bits_than_a_uniform_depth(curves: RDCurves, share: float) -> None:
    means = curves.distortion.mean((1, 2))
    distortion = float(np.exp(np.interp(share, [0, 1], np.log([means[-1], means[0]]))))
    plan = rate.plan_for_distortion(distortion, curves, TOKENS)
    assert mean_distortion(plan, curves) <= distortion * (1 + 1e-9)
    if plan.keep is None:
        uniform = np.interp(rate.keep_for_distortion(distortion, curves), range(1, 6), curves.bits.sum((1, 2)))
        assert np.take_along_axis(curves.bits, plan.depths[None] - 1, 0).sum() < uniform
        assert 0 <= plan.dropped_tail <= TOKENS[-1]


@settings(max_examples=60, deadline=None)
@given(rd_curves(), st.floats(0.05, 0.95), st.floats(1, 5))
def test_every_cell_gets_the_least(curves: RDCurves, share: float, least: float) -> None:
    means = curves.distortion.mean((1, 2))
    distortion = float(np.exp(np.interp(share, [0, 1], np.log([means[-1], means[0]]))))
    plans = [
        rate.plan_for_distortion(distortion, curves, TOKENS, least),
        rate.plan_for_tokens(int(share * TOKENS[-1] * means.size), curves, TOKENS, least),
    ]
    assert all(plan.depths.min() >= round(least) for plan in plans)


@settings(max_examples=60, deadline=None)
@given(rd_curves(), st.floats(0.01, 1.2))
def test_plans_for_bits_and_tokens_take_at_least_so_many(curves: RDCurves, share: float) -> None:
    bits = share * curves.bits[-1].sum()
    plan = rate.plan_for_bits(bits, curves)
    taken = np.take_along_axis(curves.bits, plan.depths[None] - 1, 0).sum() + rate.map_bits(plan.depths)
    assert taken >= min(bits, curves.bits[-1].sum()) - 1e-6 or plan.keep == 1
    tokens = round(share * TOKENS[-1] * plan.depths.size)
    plan = rate.plan_for_tokens(tokens, curves, TOKENS)
    assert np.array(TOKENS)[plan.depths - 1].sum() >= min(tokens, TOKENS[-1] * plan.depths.size)


@settings(max_examples=40, deadline=None)
@given(rd_curves(), st.floats(1, 5))
def test_masks_hold_the_tokens_of_the_plan(curves: RDCurves, keep: float) -> None:
    cells = curves.distortion[0].size
    masks = rate.uniform(keep, curves.distortion.shape[1:]).masks(LEVELS)
    level = int(keep)
    part = round(cells * (TOKENS[level] - TOKENS[level - 1]) * (keep - level)) if level < 5 else 0
    assert sum(int(mask.sum()) for mask in masks) == cells * TOKENS[level - 1] + part
    depths = np.random.default_rng(0).integers(1, 6, curves.distortion.shape[1:])
    masks = rate.Plan(depths, dropped_tail=3).masks(LEVELS)
    assert sum(int(mask.sum()) for mask in masks) == max(0, np.array(TOKENS)[depths - 1].sum() - 3)


def test_the_depth_map_costs_about_what_is_expected() -> None:
    from ltokc.entropy.depth_map import depth_counts

    rng = np.random.default_rng(1)
    for spread in (1, 2, 4):
        depths = np.clip(7 + rng.integers(-spread, spread + 1, (20, 30)), 1, 11)
        bits = sum(16 - np.log2(c[0, v]) for v, c in depth_counts(depths.ravel(), (20, 30), 11))
        assert rate.map_bits(depths) == pytest.approx(bits, rel=0.25)
    assert rate.map_bits(np.full((3, 3), 4)) == 0

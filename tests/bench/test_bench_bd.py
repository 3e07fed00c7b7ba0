"""BD-rate on curves whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("scipy")

from bench.quality.bd_rate import Curve, bd_rate

CURVE = [(0.05, 20.0), (0.1, 24.0), (0.2, 27.5), (0.4, 31.0), (0.9, 35.0)]


def test_bd_rate_of_identical_curves_is_zero() -> None:
    found = bd_rate([CURVE], CURVE)
    assert found is not None
    assert (found.rate, found.low, found.high) == (0, 20, 35)


def test_bd_rate_at_half_the_bytes_is_minus_half() -> None:
    found = bd_rate([CURVE], [(rate / 2, metric) for rate, metric in CURVE])
    assert found is not None and found.rate == pytest.approx(-0.5, abs=1e-12)


def test_bd_rate_is_over_the_range_that_both_curves_have() -> None:
    found = bd_rate([CURVE], [(2 * rate, metric) for rate, metric in CURVE[1:4]])
    assert found is not None
    assert (found.low, found.high) == (24, 31)
    wide = bd_rate([[(math.exp(m), m) for m in range(6)]], [(2 * math.exp(m), m) for m in range(3, 9)])
    assert wide is not None and wide.rate == pytest.approx(1) and (wide.low, wide.high) == (3, 5)


def test_bd_rate_where_lower_is_better_mirrors_the_other() -> None:
    other = [(rate * (1 + rate), metric) for rate, metric in CURVE]
    plain = bd_rate([CURVE], other)
    mirrored = bd_rate([[(r, -m) for r, m in CURVE]], [(r, -m) for r, m in other], lower_is_better=True)
    assert plain is not None and mirrored is not None
    assert mirrored.rate == pytest.approx(plain.rate) and (mirrored.low, mirrored.high) == (-35, -20)


def test_bd_rate_takes_the_cheapest_of_several_curves() -> None:
    steep, flat = [(math.exp(2 * m), m) for m in range(5)], [(math.exp(4.0), m + 1e-9 * m) for m in range(5)]
    cheapest = [(math.exp(min(2 * m, 4.0)), m) for m in (0.0, 1.0, 2.0)]
    assert bd_rate([steep, cheapest], cheapest) is not None
    half = bd_rate([steep, [(r / 2, m) for r, m in steep]], steep)
    assert half is not None and half.rate == pytest.approx(1)
    assert bd_rate([flat], steep) is None  # all points at one rate: only the best is left, which is no curve


def test_a_gap_between_the_curves_of_a_rival_is_left_out() -> None:
    line = [(math.exp(m), float(m)) for m in range(11)]
    found = bd_rate([line[:4], line[7:]], [(3 * rate, metric) for rate, metric in line])
    assert found is not None and found.rate == pytest.approx(2)


def test_bd_rate_without_overlap_is_none() -> None:
    assert bd_rate([CURVE], [(rate, metric + 50) for rate, metric in CURVE]) is None
    assert bd_rate([CURVE], CURVE[:1]) is None
    assert bd_rate([], CURVE) is None


def test_points_that_cost_more_and_are_worse_do_not_bend_a_curve() -> None:
    bent = Curve([*CURVE, (0.3, 26.0), (0.1, 23.0), (0.05, 20.0)])
    grid = np.linspace(20, 35, 50)
    assert np.array_equal(bent(grid), Curve(CURVE)(grid))
    assert np.isinf(bent(np.array([19.9, 35.1]))).all()

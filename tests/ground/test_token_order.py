"""The coding order: a permutation, spread, and its first half the even squares."""

import numpy as np
import pytest

from ltokc.token_order import BAYER, spread_order, spread_rank


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (17, 40)])
def test_order_is_a_permutation(shape):
    order = spread_order(*shape)
    assert sorted(order) == list(range(shape[0] * shape[1]))


def test_even_squares_come_first():
    y, x = np.mgrid[:8, :8]
    assert ((BAYER < 32) == ((x + y) % 2 == 0)).all()


@pytest.mark.parametrize("share", [1 / 16, 1 / 4, 1 / 2])
def test_any_prefix_covers_the_picture(share):
    """Every 16x16 block of a 32x32 grid gets the same share of a prefix."""
    taken = np.zeros(32 * 32, int)
    taken[spread_order(32, 32)[: int(32 * 32 * share)]] = 1
    per_block = taken.reshape(2, 16, 2, 16).sum((1, 3))
    assert per_block.min() == per_block.max() == 256 * share


def test_rank_repeats_every_8():
    rank = spread_rank(20, 20)
    assert (rank[:8, :8] == rank[8:16, 8:16]).all()
    assert rank.min() == 0 and rank.max() == 63

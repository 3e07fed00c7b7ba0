"""The error rate of read text, and the pages it is measured on."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bench.quality.legibility import INKS, PAGE, error_rate, page


def distance(a: str, b: str) -> int:
    """Edit distance, the plain way."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_the_error_rate_is_the_edit_distance() -> None:
    assert error_rate("river stone", "river stone") == 0
    assert error_rate("", "river") == 1
    assert error_rate("rivers stone", "river stone") == pytest.approx(1 / 11)
    assert error_rate("x" * 99, "river") == 1
    draw = random.Random(1)
    for _ in range(200):
        a, b = ("".join(draw.choices("abc", k=draw.randrange(1, 12))) for _ in range(2))
        assert error_rate(a, b) == pytest.approx(min(1, distance(a, b) / len(b))), (a, b)


@pytest.mark.parametrize("ink", INKS)
def test_a_page_says_the_same_on_every_call(ink: str) -> None:
    (one, said), (two, again) = page(20, ink, 3), page(20, ink, 3)
    assert one.size == PAGE and said == again and one.tobytes() == two.tobytes()
    assert said != page(20, ink, 4)[1] and len(said) > 100
    assert np.asarray(one)[0, 0].tolist() == list(INKS[ink][1])

"""`bench odd-looks`: pictures unlike those of training, and how many of their looks are missed."""

from __future__ import annotations

import numpy as np
import pytest

from bench.quality.odd_looks import FAR, KINDS, measured, summary
from tests.support.pictures import gradients


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_pictures(kind: str) -> None:
    rgb = gradients(24, 40)
    made = KINDS[kind](rgb)
    assert made.shape == rgb.shape and made.dtype == np.uint8 and (made.std() > 1 or kind == "dark")
    assert (made == rgb).all() == (kind == "as it is")


def test_missed_looks_are_counted() -> None:
    def row(off: tuple[int, float], auto: tuple[int, float]) -> dict[str, object]:
        return {"wanted": 10.0} | {
            way: {"bytes": size, "ssimulacra2": look} for way, (size, look) in (("off", off), ("auto", auto))
        }

    found = summary([row((100, 10 - FAR), (100, 10.0)), row((100, 10.0), (50, 9.0)), row((100, 9.0), (200, 10.0))])
    assert found == {"files": 3, "missed": {"off": 1, "auto": 0}, "bytes": 0.0}
    assert summary([row((1, -90), (1, -90))])["bytes"] is None


def test_a_row_has_both_ways() -> None:
    (row,) = measured("a", "red", KINDS["red"](gradients(64, 64)), [0.6], 0)
    assert {"picture", "kind", "q", "wanted", "off", "auto", "patches"} == set(row)
    assert row["off"] == row["auto"], "effort 0 looks at nothing"

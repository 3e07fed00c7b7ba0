"""The generative decoder's noise: the integers of the specification, near normal, the same for every window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltokc.errors import UsageError
from ltokc.tokenizer.generative import MAX_SEED, OWN_PLANES, PLANES, Sampling
from ltokc.tokenizer.noise import noise, noise_hash, window_noise
from tests.support.cli_runner import ROOT

MASK = 2**32 - 1


def mixed(h: int) -> int:
    """The hash step of formats/LTK.md in Python's integers."""
    h = (h + 0x9E3779B9) & MASK
    h = (h ^ h >> 16) * 0x7FEB352D & MASK
    h = (h ^ h >> 15) * 0x846CA68B & MASK
    return h ^ h >> 16


def one_by_one(seed: int, stride: int, plane: int, y: int, x: int) -> int:
    h = mixed(seed)
    for part in (stride, plane, y, x):
        h = mixed(h ^ part)
    return h


def test_the_test_values_of_the_specification() -> None:
    text = (ROOT / "formats" / "LTK.md").read_text("utf-8").replace("−", "-")
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()]
    values = {row[0]: row[1:] for row in rows if len(row) == 9}
    found = [f"{h:08X}" for h in noise_hash(0, 16, 1, (0, 1), (0, 8)).ravel().tolist()]
    assert values["0, 16, 0, 0: hash"] == found
    for name, plane in (
        ("sum - 510", noise(0, 16, 1, (0, 1), (0, 8))[0]),
        ("4294967295, 2, 3, 1000: sum - 510", noise(MAX_SEED, 2, 4, (1000, 1001), (0, 8))[3]),
    ):
        sums = np.array([int(v) for v in values[name]], np.float32)
        assert (plane == sums * (np.float32(1) / np.float32(148))).all()


def test_the_first_numbers_of_seed_0() -> None:
    hashes = noise_hash(0, 16, 1, (0, 1), (0, 8)).ravel().tolist()
    assert hashes == [3098267373, 1110286790, 1181588164, 999193357, 2590057001, 2619887441, 1303016013, 2032430961]
    sums = [(h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24) - 510 for h in hashes]
    assert sums == [288, -40, 19, -173, -184, -154, -72, -129]
    found = noise(0, 16, 1, (0, 1), (0, 8)).ravel()
    assert found.dtype == np.float32
    assert (found == np.array(sums, np.float32) * (np.float32(1) / np.float32(148))).all()


@given(
    st.integers(0, MAX_SEED), st.sampled_from([2, 4, 8, 16]), st.integers(0, 12), st.integers(0, 40000),
    st.integers(0, 40000),
)  # fmt: skip
def test_arrays_are_the_integers_of_the_specification(seed: int, stride: int, plane: int, y: int, x: int) -> None:
    found = noise_hash(seed, stride, plane + 1, (y, y + 2), (x, x + 2))
    assert found.dtype == np.uint32 and found.shape == (plane + 1, 2, 2)
    assert int(found[plane, 1, 1]) == one_by_one(seed, stride, plane, y + 1, x + 1)


def test_it_is_near_normal_and_nothing_is_correlated() -> None:
    planes = noise(7, 4, 8, (0, 256), (0, 256))
    assert abs(planes.mean()) < 0.005 and abs(planes.std() - 1) < 0.005 and np.abs(planes).max() < 3.5
    bound = 5 / 256  # of a correlation of 65,536 pairs, five standard deviations
    others = noise(8, 4, 8, (0, 256), (0, 256)), noise(7, 8, 8, (0, 256), (0, 256))
    pairs = [(planes[:, 1:], planes[:, :-1]), (planes[..., 1:], planes[..., :-1]), (planes[1:], planes[:-1])]
    for a, b in [*pairs, (planes, others[0]), (planes, others[1])]:
        assert np.abs((a * b).mean((1, 2))).max() < bound


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_a_window_reads_the_whole_picture_s_noise(top: int, left: int, h: int, w: int) -> None:
    spans = {8: (0, 20), 4: (0, 40)}
    rows, columns = {8: (top, top + h), 4: (2 * top, 2 * top + h)}, {8: (left, left + w), 4: (2 * left, 2 * left + w)}
    whole, part = window_noise(5, spans, spans), window_noise(5, rows, columns)
    for a, b, stride in zip(whole, part, PLANES, strict=True):
        y, x = (2 * top * 4 // stride, 2 * left * 4 // stride) if stride < 8 else (top, left)
        assert b.shape[:2] == (1, PLANES[stride]) and b.dtype == np.float32
        assert (a[..., y : y + b.shape[2], x : x + b.shape[3]] == b).all()
    coarse = whole[0][0, : PLANES[8] - OWN_PLANES[8]]
    assert (coarse[:, ::2, ::2] == coarse[:, 1::2, 1::2]).all()  # drawn at stride 16, read at stride 8


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "1"])
def test_a_seed_is_32_bits(seed: object) -> None:
    with pytest.raises(UsageError, match="seed is a whole number from 0 to 4294967295"):
        Sampling(seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("detail", [-0.1, 1.01, float("nan")])
def test_detail_is_a_share(detail: float) -> None:
    with pytest.raises(UsageError, match="detail is 0 to 1"):
        Sampling(detail=detail)

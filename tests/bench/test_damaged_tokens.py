"""Tokens that benchmarks change: digits replaced at random, and missing ones drawn from the prior."""

from __future__ import annotations

import numpy as np
import pytest

from bench.quality.robustness import damaged, picture_of
from bench.quality.sampled_tail import first_levels, with_drawn_tail
from ltokc import codec
from ltokc.geometry import Size
from ltokc.token_grid import Tokens
from ltokc.zoo.model import Model, open_model

SIZE = Size(128, 128)


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(None)


@pytest.fixture(scope="module")
def file() -> bytes:
    y, x = np.mgrid[: SIZE.height, : SIZE.width]
    rgb = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    return codec.encode(rgb, 0.5, effort=0)


@pytest.fixture(scope="module")
def tokens(file: bytes) -> Tokens:
    return codec.tokens(file)


def test_a_share_of_the_digits_is_changed(tokens: Tokens) -> None:
    full = codec.tokens(codec.encode(np.full((256, 256, 3), 90, np.uint8), 1.0, effort=0, patches="off"))
    changed = damaged(full, 0.5, np.random.default_rng(0))
    for level, after, mask in zip(full.levels, changed.digits, full.masks, strict=True):
        assert abs(after).max() <= level.half and not after[~mask].any()
    before, after = (np.concatenate([d.ravel() for d in t.digits]) for t in (full, changed))
    assert 0.3 < (before != after).mean() < 0.5  # some of the random digits are the old ones
    assert damaged(tokens, 0.0, np.random.default_rng(0)).sha256() == tokens.sha256()


def test_tokens_decode_to_the_file_s_picture(model: Model, file: bytes, tokens: Tokens) -> None:
    for decoder in ("faithful", "generative"):
        whole = np.asarray(codec.decode(file, decoder=decoder).convert("RGB"))
        assert np.array_equal(picture_of(model, tokens, SIZE, decoder), whole)


def test_what_was_sent_stays_and_the_rest_is_drawn(model: Model, tokens: Tokens) -> None:
    cut = first_levels(tokens, 1)
    assert cut.count == tokens.level_counts[0]
    drawn = with_drawn_tail(model.prior, cut, 16, 1.0, 7)
    assert np.array_equal(drawn.digits[0], cut.digits[0])
    for level, digits, mask in zip(drawn.levels, drawn.digits, drawn.masks, strict=True):
        assert mask.all() == mask.any() == (level.stride >= 16)
        assert abs(digits).max(initial=0) <= level.half
    assert with_drawn_tail(model.prior, cut, 16, 1.0, 7).sha256() == drawn.sha256()
    assert with_drawn_tail(model.prior, cut, 16, 1.0, 8).sha256() != drawn.sha256()
    assert not cut.masks[1].any()  # the tokens that were given are as they were


def test_a_cold_draw_takes_the_likeliest(model: Model, tokens: Tokens) -> None:
    none = first_levels(tokens, 0)
    cold = [with_drawn_tail(model.prior, none, 64, 0.01, seed).digits[0] for seed in (1, 2)]
    state = model.prior.state(*none.grid)
    state.enter()
    positions, counts = next(state.passes(none.digits[0], np.ones(none.masks[0].shape, bool)))
    level = none.levels[0]
    likeliest = counts.argmax(1).reshape(-1, level.digits) - level.half
    assert np.array_equal(cold[0], cold[1])
    assert np.array_equal(cold[0].reshape(-1, level.digits)[positions], likeliest)

"""The alpha channel: exact, small where it is simple, and bounded whatever the bytes say."""

from __future__ import annotations

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, features

from ltokc.container.alpha import CONSTANT, DEFLATE, VP8, VP8L, decode_alpha, encode_alpha
from ltokc.errors import FormatError


def round_trip(alpha: np.ndarray) -> bytes:
    data = encode_alpha(alpha)
    back = decode_alpha(data, alpha.shape[1], alpha.shape[0])
    assert back.dtype == np.uint8 and back.flags.writeable and np.array_equal(back, alpha)
    return data


def disc(side: int) -> np.ndarray:
    """A soft-edged disc, what a cut-out picture has: (side, side) uint8."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip((side / 3 - np.hypot(x, y)) * 64 + 128, 0, 255).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_any_channel_comes_back(alpha: np.ndarray) -> None:
    round_trip(alpha)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_takes_two_bytes(value: int) -> None:
    assert round_trip(np.full((300, 500), value, np.uint8)) == bytes((CONSTANT, value))


def test_simple_shapes_are_small() -> None:
    assert len(round_trip(disc(256))) < 2000
    half = np.zeros((256, 256), np.uint8)
    half[:, 100:] = 255
    assert len(round_trip(half)) < 80


def test_each_coding_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (31, 47), dtype=np.uint8)
    assert round_trip(noise)[0] in (DEFLATE, VP8L)
    assert round_trip(disc(256))[0] == VP8L
    vp8l = encode_alpha(disc(256))
    monkeypatch.setattr(features, "check", lambda _: False)
    assert round_trip(disc(256))[0] == DEFLATE
    with pytest.raises(FormatError, match="this Pillow has no WEBP"):
        decode_alpha(vp8l, 256, 256)


def test_the_lossy_coding() -> None:
    """Smaller the lower the quality, and near: a soft edge within a few steps, clear and opaque within one."""
    alpha = disc(256)
    sizes = [len(encode_alpha(alpha, quality)) for quality in (0, 50, 100)]
    assert sizes == sorted(sizes) and sizes[1] < len(encode_alpha(alpha))
    data = encode_alpha(alpha, 75)
    back = decode_alpha(data, 256, 256)
    assert data[0] == VP8 and back.flags.writeable and back.dtype == np.uint8
    difference = np.abs(back.astype(int) - alpha)
    assert difference.mean() < 0.5 and difference[:60, :60].max() <= 1 and difference[120:136, 120:136].max() <= 1
    assert encode_alpha(np.full((30, 20), 7, np.uint8), 75) == bytes((CONSTANT, 7))


def test_a_lossy_alpha_with_colour_is_refused() -> None:
    rgb = Image.merge(
        "RGB", [Image.fromarray(disc(64)), Image.fromarray(disc(64).T[::-1] // 2), Image.new("L", (64, 64))]
    )
    out = io.BytesIO()
    rgb.save(out, "WEBP", quality=90)
    with pytest.raises(FormatError, match="colour"):
        decode_alpha(bytes((VP8,)) + out.getvalue()[20:], 64, 64)


def test_large_pictures_and_odd_sizes() -> None:
    round_trip(np.tile(disc(64), (20, 18)))
    round_trip(disc(64)[:1])
    wide = np.zeros((2, 20_000), np.uint8)
    wide[1, 777:] = 9
    assert round_trip(wide)[0] == DEFLATE


def test_wrong_input_is_refused() -> None:
    for wrong in (np.zeros((2, 2, 1), np.uint8), np.zeros((2, 2), np.uint16), np.zeros((0, 3), np.uint8)):
        with pytest.raises(ValueError, match="alpha"):
            encode_alpha(wrong)


def test_a_deflate_bomb_is_not_inflated() -> None:
    bomb = bytes((DEFLATE,)) + zlib.compress(bytes(50_000_000), 9)
    tracemalloc.start()
    with pytest.raises(FormatError):
        decode_alpha(bomb, 10, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_picture_of_another_size_is_refused() -> None:
    for alpha in (disc(64), np.random.default_rng(1).integers(0, 2, (64, 64), dtype=np.uint8)):
        for size in ((64, 63), (63, 64), (65, 64), (1, 1), (65535, 65535)):
            with pytest.raises(FormatError):
                decode_alpha(encode_alpha(alpha), *size)
    for quality in (None, 50):
        big = encode_alpha(np.tile(disc(64), (8, 8)), quality)
        assert big[0] == (VP8L if quality is None else VP8)
        with pytest.raises(FormatError, match="size"):
            decode_alpha(big, 4, 4)


def test_colour_or_trailing_bytes_are_refused() -> None:
    with pytest.raises(FormatError):
        decode_alpha(bytes((DEFLATE,)) + zlib.compress(bytes(16)) + b"x", 4, 4)
    with pytest.raises(FormatError):
        decode_alpha(bytes((CONSTANT, 1, 2)), 4, 4)
    with pytest.raises(FormatError, match="unknown alpha coding 4"):
        decode_alpha(b"\x04abc", 4, 4)


CHANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=4)
VALID = [
    encode_alpha(disc(16)),
    encode_alpha(disc(16), 60),
    bytes((DEFLATE,)) + zlib.compress(disc(16).tobytes()),
    bytes((CONSTANT, 7)),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VALID), CHANGES, st.integers(0, 400))
def test_damage_raises_format_error_only(data: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        assert decode_alpha(bytes(damaged[:length]), 16, 16).shape == (16, 16)
    except FormatError:
        pass


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 40), st.integers(1, 40))
def test_arbitrary_bytes(data: bytes, width: int, height: int) -> None:
    try:
        assert decode_alpha(data, width, height).shape == (height, width)
    except FormatError:
        pass

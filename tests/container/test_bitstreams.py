"""Pictures inside chunks: sizes are read before anything is decoded, and damage is an error of one kind."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from ltokc.container import av1, bitstreams
from ltokc.container.bitstreams import AV1, VP8, VP8L
from ltokc.errors import FormatError
from tests.support.pages import natural, page
from tests.support.pictures import smooth

CODINGS = (VP8L, VP8, AV1)
every_coding = pytest.mark.parametrize("coding", CODINGS)
SMALL = {coding: bitstreams.encode(coding, Image.fromarray(smooth(50, 40)), 60, 0) for coding in CODINGS}


@every_coding
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (50, 40), (130, 3)])
def test_pictures_come_back(coding: int, mode: str, size: tuple[int, int]) -> None:
    image = Image.fromarray(smooth(*size)).convert(mode)
    body = bitstreams.encode(coding, image, 90, 0)
    back = bitstreams.decode(coding, body, *size, "it")
    assert back.shape == (size[1], size[0], 3) and back.dtype == np.uint8
    difference = np.abs(back.astype(int) - np.asarray(image.convert("RGB")))
    assert difference.max() == 0 if coding == VP8L else difference.mean() < 15  # slopes of colour in 3 rows
    bitstreams.check(coding, body, *size, "it")


def test_what_an_encoder_does_not_know_is_left_out() -> None:
    image = Image.fromarray(smooth(64, 48))
    plain = bitstreams.encode(AV1, image, 60, 0, "4:4:4")
    assert bitstreams.encode(AV1, image, 60, 0, "4:4:4", {"tune": "no such thing"}) == plain


@every_coding
def test_another_size_is_refused_undecoded(coding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    for size in ((50, 41), (51, 40), (40, 50), (1, 1), (16383, 16383)):
        with pytest.raises(FormatError, match="it is not of its size: 50x40 pixels instead of"):
            bitstreams.decode(coding, SMALL[coding], *size, "it")


@every_coding
def test_what_is_no_bitstream(coding: int) -> None:
    for body in (
        b"",
        b"\x2f",
        bytes(20),
        b"RIFF" + bytes(30),
        SMALL[coding][:4],
        *(SMALL[c] for c in CODINGS if c != coding),
    ):
        with pytest.raises(FormatError, match="it is no (VP8L|VP8|AV1) bitstream"):
            bitstreams.check(coding, body, 50, 40, "it")


@every_coding
def test_a_pillow_without_the_coding(coding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(FormatError, match="this Pillow has no (WEBP|AVIF), which it is stored in"):
        bitstreams.decode(coding, SMALL[coding], 50, 40, "it")


@every_coding
@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4), length=st.integers(0, 600))
def test_damage_is_an_error_of_ours(coding: int, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(SMALL[coding])
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        assert bitstreams.decode(coding, bytes(damaged[:length]), 50, 40, "it").shape == (40, 50, 3)
    except FormatError as error:
        assert "\n" not in str(error)


# --- VP8 -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("at", "value"), [(0, 1), (0, 8), (0, 0), (3, 0), (7, 0x40), (9, 0x80)],
    ids=["inter-frame", "version-4", "not-shown", "start-code", "scaled-across", "scaled-down"],
)  # fmt: skip
def test_frames_that_are_no_key_frames(at: int, value: int) -> None:
    body = bytearray(SMALL[VP8])
    body[at] = value if at == 3 else body[at] & 0xE0 | value | 16 * (value != 0) if at == 0 else body[at] | value
    with pytest.raises(FormatError, match="no VP8 bitstream"):
        bitstreams.check(VP8, bytes(body), 50, 40, "it")


def test_a_first_partition_longer_than_the_frame() -> None:
    tag = int.from_bytes(SMALL[VP8][:3], "little")
    for length, good in ((tag >> 5, True), (len(SMALL[VP8]) - 10, True), (len(SMALL[VP8]) - 9, False)):
        body = (tag & 31 | length << 5).to_bytes(3, "little") + SMALL[VP8][3:]
        if good:
            bitstreams.check(VP8, body, 50, 40, "it")
        else:
            with pytest.raises(FormatError, match="no VP8 bitstream"):
                bitstreams.check(VP8, body, 50, 40, "it")


# --- AV1 -------------------------------------------------------------------------------------------------------------
def saved(**options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(smooth(50, 40)).save(out, "AVIF", quality=60, **options)
    return out.getvalue()


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4", "4:0:0"])
def test_the_file_around_it_gives_the_pixels_of_the_one_that_was_left(subsampling: str) -> None:
    whole = saved(subsampling=subsampling)
    body = av1.bare(whole)
    with Image.open(io.BytesIO(whole)) as image:
        wanted = np.asarray(image.convert("RGB"))
    assert np.array_equal(bitstreams.decode(AV1, body, 50, 40, "it"), wanted)
    assert len(body) < len(whole) - 250


@pytest.mark.parametrize("options", [{"subsampling": "4:2:2"}, {"range": "limited"}], ids=str)
def test_other_kinds_of_pictures_are_refused(options: dict[str, str]) -> None:
    whole = saved(**options)
    at = whole.index(b"mdat") + 4
    with pytest.raises(FormatError, match="no AV1 bitstream"):
        bitstreams.check(AV1, whole[at + 2 :], 50, 40, "it")


def unit(kind: int, data: bytes) -> bytes:
    return bytes((kind << 3 | 2, len(data))) + data


def test_units_other_than_header_and_frame_are_refused() -> None:
    """A second sequence header, which might name a larger picture, among them."""
    body = SMALL[AV1]
    header = body[: 2 + body[1]]
    frame = body[len(header) :]
    large = bitstreams.encode(AV1, Image.new("RGB", (300, 300)), 50, 0)
    # fmt: off
    for wrong in (header, frame, frame + header, header + header + frame, large[: 2 + large[1]] + body,
                  unit(2, b"") + body, body + unit(15, b"padding"), body + frame, header + unit(3, b"") + frame):
        # fmt: on
        with pytest.raises(FormatError, match="no AV1 bitstream"):
            bitstreams.check(AV1, wrong, 50, 40, "it")
    for head in (header[0] | 0x80, header[0] | 1, header[0] | 4, header[0] & ~2):
        with pytest.raises(FormatError, match="no AV1 bitstream"):
            bitstreams.check(AV1, bytes((head,)) + body[1:], 50, 40, "it")


def test_every_bit_of_the_sequence_header_that_is_refused_or_read() -> None:
    """No change of the header lets a picture of another size through to a decoder."""
    body = SMALL[AV1]
    for bit in range(8 * body[1]):
        changed = bytearray(body)
        changed[2 + bit // 8] ^= 0x80 >> bit % 8
        size = av1.size(bytes(changed))
        assert size is None or size[0] <= 1 << 16
        if size == (50, 40):
            try:
                assert bitstreams.decode(AV1, bytes(changed), 50, 40, "it").shape == (40, 50, 3)
            except FormatError:
                pass


@every_coding
def test_a_large_picture_in_few_bytes_is_not_decoded(coding: int) -> None:
    large = bitstreams.encode(coding, Image.new("L", (1500, 1500), 9), 50, 0)
    tracemalloc.start()
    with pytest.raises(FormatError):
        bitstreams.decode(coding, large, 64, 64, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(large) < 30_000 and peak < 1_000_000


def test_lengths_of_units_are_followed_to_the_end_only() -> None:
    frame = bytes((6 << 3 | 2,))
    for length in (b"\xff", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x00", struct.pack("<I", 1 << 30)):
        assert av1.size(SMALL[AV1][:12] + frame + length) is None


def test_whether_a_bitstream_may_copy_blocks_tells_whether_it_would_be_another_for_a_screen() -> None:
    screen = {"tune-content": "screen"}
    for image, copies in ((page(), True), (Image.fromarray(natural(256, 192)), False)):
        plain, tuned = (bitstreams.encode(AV1, image, 40, 4, "4:4:4", each) for each in (None, screen))
        assert av1.is_screen(plain) == copies == (plain == tuned)
    gray = bitstreams.encode(AV1, page().convert("L"), 40, 4, "4:0:0")
    assert av1.is_screen(gray)
    for body in (b"", gray[:5], gray[: 2 + gray[1]], gray[: 2 + gray[1]] + b"\x32\x00"):  # the last: an empty frame
        assert not av1.is_screen(body)

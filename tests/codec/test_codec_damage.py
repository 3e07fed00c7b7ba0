"""Files that are cut, damaged, foreign or made to do harm."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ltokc
from ltokc import container
from ltokc.container import DEFAULT_LIMIT_PIXELS, Header, Ltk, Segment, segment_boxes
from ltokc.entropy import file
from ltokc.entropy.depth_map import read_depths
from ltokc.entropy.range_coder import RangeDecoder
from ltokc.entropy.segment import SegmentWriter
from ltokc.errors import FormatError, LimitError, LossWarning, LtokcError, ModelError
from ltokc.token_grid import Tokens, token_capacity
from ltokc.zoo import registry
from ltokc.zoo.model import Model, open_model
from tests.support.pictures import grainy, smooth
from tests.support.tilings import small_segments

KILOBYTE = range(900, 1101)
HEADER = 10  # bytes, of a picture of up to 128x128 and a model id below 128


@pytest.fixture(scope="module")
def kilobyte() -> bytes:
    data = ltokc.encode(grainy(128, 128), target_size=KILOBYTE[-1], effort=0, patches="off")
    assert len(data) in KILOBYTE
    return data


class Blank:
    """A runtime that takes no time."""

    name = "blank"

    def tokenize(self, packed: np.ndarray, masks: Sequence[np.ndarray], cuts: object = None) -> list[np.ndarray]:
        raise AssertionError

    def detokenize(self, digits: Sequence[np.ndarray], masks: Sequence[np.ndarray], cuts: object = None) -> np.ndarray:
        rows, columns = digits[0].shape[2:]
        return np.zeros((1, 48, rows * 16, columns * 16), np.uint8)

    def prepare(self, *graphs: str) -> None:
        pass

    def release(self, done: str | None = None) -> None:
        pass


def record(tokens: int, width: int, height: int, segment_cells: int = 0) -> Ltk:
    """A record of the default model, every segment with so many tokens and no stream: as short as a file can be."""
    entry, boxes = registry.find(), segment_boxes(width, height, segment_cells)
    header = Header(entry.id, entry.bitstream_hash, width, height, segment_cells)
    return Ltk(header, (Segment(tokens, False, b""),) * len(boxes))


# -- cut files ---------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:the file is cut")
def test_every_length_of_a_kilobyte(kilobyte: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut anywhere behind its header a file decodes, with tokens of the whole and never fewer than a shorter one's."""
    monkeypatch.setattr(Model, "runtime", lambda *_: Blank())
    whole, seen = ltokc.tokens(kilobyte), []
    read = file.read_tokens

    def spy(*arguments: Any, **options: Any) -> Tokens:
        seen.append(read(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(file, "read_tokens", spy)
    before = 0
    for length in range(len(kilobyte)):
        with pytest.raises(FormatError):
            ltokc.decode(kilobyte[:length])
        if length < HEADER:
            with pytest.raises(FormatError):
                ltokc.decode(kilobyte[:length], allow_truncated=True)
            continue
        assert ltokc.decode(kilobyte[:length], allow_truncated=True).size == (128, 128)
        part = seen.pop()
        assert before <= part.count <= whole.count
        before = part.count
        for digits, held, expected in zip(part.digits, part.masks, whole.digits, strict=True):
            assert (digits == expected * held[..., None]).all()
    assert before == whole.count


@pytest.mark.filterwarnings("ignore:the file is cut")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.995])
def test_a_cut_file_is_the_picture_of_its_tokens(kilobyte: bytes, share: float) -> None:
    cut = kilobyte[: HEADER + int(share * (len(kilobyte) - HEADER))]
    tokens = ltokc.tokens(cut, allow_truncated=True).count
    about = ltokc.info(cut)
    assert about.truncated and about.bytes == len(cut)
    assert (
        np.asarray(ltokc.decode(cut, allow_truncated=True)) == np.asarray(ltokc.decode(kilobyte, tokens=tokens))
    ).all()
    for verb in (ltokc.tokens, ltokc.verify, lambda data: ltokc.trim(data, tokens=1)):
        with pytest.raises(FormatError):
            verb(cut)


def test_it_is_said_how_much_of_a_cut_file_is_shown(kilobyte: bytes) -> None:
    cut = kilobyte[: len(kilobyte) // 2]
    held, whole = ltokc.tokens(cut, allow_truncated=True).count, ltokc.info(kilobyte).tokens
    with pytest.warns(LossWarning, match=f"^the file is cut: {held:,} of {whole:,} tokens shown$") as caught:
        ltokc.decode(cut, allow_truncated=True)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ltokc.decode(kilobyte, allow_truncated=True)
    said: list[str] = []
    ltokc.decode(cut, allow_truncated=True, tokens=whole - 1, say=said.append)
    ltokc.decode(kilobyte[:-1], allow_truncated=True, say=said.append)
    ltokc.decode(cut, allow_truncated=True, reduce=8, say=said.append)
    ltokc.decode(kilobyte[:HEADER], allow_truncated=True, say=said.append)
    assert said == [
        f"the file is cut: {held:,} of {whole - 1:,} tokens shown",
        f"the file is cut: {whole:,} of {whole:,} tokens shown; what follows them is missing",
        "the file is cut: what is there of it is shown",
        "the file is cut: none of its tokens is left",
    ]


def test_cut_segments_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)
    rgba = np.dstack([grainy(520, 520), np.arange(520 * 520, dtype=np.uint8).reshape(520, 520)])
    data = ltokc.encode(rgba, tokens=300)
    head = len(container.write(record(0, 520, 520, 8)))
    before = 0
    for length in [*range(head, len(data), len(data) // 25), len(data) - 1]:
        arrays = ltokc.tokens(data[:length], allow_truncated=True)
        assert before <= arrays.count
        before = arrays.count
    assert before == ltokc.info(data).tokens
    said: list[str] = []
    assert ltokc.decode(data[:-1], allow_truncated=True, say=said.append).mode == "RGB"  # its alpha is not whole
    assert ltokc.decode(data[: head + 9], allow_truncated=True, say=said.append).size == (520, 520)
    assert said[0].endswith(f"{before:,} of {before:,} tokens shown; alpha is missing")
    assert " of more than " in said[1] and said[1].endswith(" tokens shown; alpha is missing")


# -- damage ------------------------------------------------------------------------------------------------------------
def test_verify_accepts_good_files(kilobyte: bytes) -> None:
    for data in (kilobyte, ltokc.encode(smooth(1, 1), 0.0), ltokc.encode(smooth(70, 70), tokens=0)):
        ltokc.verify(data)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_is_refused(kilobyte: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(kilobyte) - 1))
    flipped = bytearray(kilobyte)
    flipped[bit // 8] ^= 1 << bit % 8
    for verb in (ltokc.verify, ltokc.decode, ltokc.tokens, lambda whole: ltokc.trim(whole, tokens=1)):
        with pytest.raises(LtokcError):
            verb(bytes(flipped))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_under_a_good_checksum(kilobyte: bytes, data: st.DataObject) -> None:
    """Either the stream is no longer the one that an encoder writes, or the file is a good one of another picture."""
    ltk = container.read(kilobyte)
    stream = bytearray(ltk.segments[0].stream)
    bit = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    segment = replace(ltk.segments[0], stream=bytes(stream))
    flipped = container.write(replace(ltk, segments=(segment,)))
    try:
        ltokc.verify(flipped)
    except FormatError:
        return
    model = open_model()
    depths = read_depths(RangeDecoder(segment.stream), 2, 2, len(model.levels)) if segment.depth_map else None
    writer = SegmentWriter(model.prior, ltokc.tokens(flipped).digits, depths)
    assert writer.stream(segment.tokens) == segment.stream


def test_bytes_behind_the_stream_are_refused(kilobyte: bytes) -> None:
    ltk = container.read(kilobyte)
    longer = replace(ltk.segments[0], stream=ltk.segments[0].stream + b"\0")
    with pytest.raises(FormatError, match="not the one its tokens have"):
        ltokc.verify(container.write(replace(ltk, segments=(longer,))))


@given(st.binary(max_size=80), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_any_stream_decodes_or_is_a_format_error(stream: bytes, tokens: int) -> None:
    data = container.write(replace(record(0, 64, 64), segments=(Segment(tokens, False, stream),)))
    for verb in (ltokc.decode, ltokc.verify, ltokc.tokens, lambda whole: ltokc.trim(whole, tokens=tokens // 2)):
        try:
            verb(data)
        except FormatError:
            pass


# -- other models ------------------------------------------------------------------------------------------------------
def test_other_weights_and_unknown_models_are_refused(kilobyte: bytes) -> None:
    ltk = container.read(kilobyte)
    for changed, reason in (
        (replace(ltk.header, weights_hash=ltk.weights_hash ^ 1), "other weights of model"),
        (replace(ltk.header, model_id=268435400), "no model 268435400"),
    ):
        data = container.write(replace(ltk, header=changed))
        for verb in (ltokc.decode, ltokc.verify, ltokc.tokens, lambda whole: ltokc.trim(whole, tokens=1)):
            with pytest.raises(ModelError, match=reason):
                verb(data)
        assert ltokc.info(data).tokens == ltk.segments[0].tokens  # a header can be read all the same
    assert ltokc.info(data).model is None and ltokc.info(data).tokens_total is None


# -- harm --------------------------------------------------------------------------------------------------------------
def test_a_small_file_of_the_largest_picture() -> None:
    data = container.write(record(0, 65535, 65535, 32))
    assert len(data) < 10_000 and ltokc.info(data).width == 65535
    for verb in (ltokc.decode, ltokc.tokens):
        with pytest.raises(LimitError, match="above the limit"):
            verb(data)


@pytest.mark.parametrize("segment_cells", [8, 32])
def test_more_tokens_than_the_cells_hold_are_refused_at_once(segment_cells: int) -> None:
    ltk = record(0, 9400, 9500, segment_cells)
    _, _, columns, rows = segment_boxes(9400, 9500, segment_cells)[0]
    too_many = Segment(token_capacity(open_model().levels, rows, columns) + 1, False, b"")
    data = container.write(replace(ltk, segments=(too_many, *ltk.segments[1:])))
    for verb in (ltokc.tokens, ltokc.decode, ltokc.verify):
        with pytest.raises(FormatError, match="more tokens than its cells can hold"):
            verb(data, limit_pixels=None)
        with pytest.raises(LimitError, match="tokens in a stream of 0 bytes"):
            verb(data)


@pytest.mark.parametrize("tokens", [0, 1, 500])
def test_few_tokens_of_a_picture_at_the_limit(tokens: int) -> None:
    data = container.write(record(tokens, 9400, 9500, 32))
    assert len(data) < 250 and 9400 * 9500 <= DEFAULT_LIMIT_PIXELS < 9500 * 9500
    assert ltokc.tokens(data).count == 25 * tokens

"""Chunks that formats/LTK.md works through: its numbers are those of the codec and of the independent reader."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltokc.container import Chunk, Header, Ltk, Segment, bitstreams, colour, patches, read, write
from ltokc.container.chunks import resolution, text
from ltokc.container.patches import Patch
from ltokc.entropy import colour as coded
from ltokc.errors import FormatError
from ltokc.geometry import Box, CellBox
from ltokc.pictures.chunks import compose
from tests.support import independent_picture as theirs
from tests.support.independent_container import Header as TheirHeader
from tests.support.independent_container import Refused

TEXT = (Path(__file__).parents[2] / "formats" / "LTK.md").read_text("utf-8")
PART = TEXT[TEXT.rindex("### Chunks") : TEXT.index("### A whole file")]
SHOWN = [re.sub(r"[^0-9A-F]", "", line) for line in re.findall(r"^    (\d\d [0-9A-F]{2} .*)$", PART, re.M)]
CHUNKS, NUMBERS = [bytes.fromhex(line) for line in SHOWN[:3]], bytes.fromhex(SHOWN[3])


def ints(pattern: str) -> list[list[int]]:
    return [[int(v) for v in found.split()] for found in re.findall(pattern, PART, re.M)]


def data_of(chunk: bytes) -> bytes:
    assert chunk[4] == len(chunk) - 9 and chunk[-4:] == zlib.crc32(chunk[:4] + chunk[5:-4]).to_bytes(4, "big")
    return chunk[5:-4]


def test_the_chunks() -> None:
    assert [chunk[:4] for chunk in CHUNKS] == [b"pHYs", b"tEXt", b"pTCH"]
    across, down, metres = resolution(data_of(CHUNKS[0]))
    assert across == down == round(300 / 0.0254) and metres
    assert text(data_of(CHUNKS[1])) == ("Größe", "übel")
    header = Header(6, 1, 50, 40)
    patch = patches.parse(data_of(CHUNKS[2]), header)
    assert (patch.coding, patch.feather, patch.rectangles) == (bitstreams.VP8L, 0, ((0, 0, 1, 1),))
    assert (patches.decode(patch, header) == 255).all()
    record = Ltk(header, (Segment(0, False, b""),)).with_chunks(
        tuple(Chunk(chunk[:4], data_of(chunk)) for chunk in (CHUNKS[2], CHUNKS[0], CHUNKS[1]))
    )
    assert write(record).endswith(CHUNKS[2] + CHUNKS[0] + CHUNKS[1]) and read(write(record)) == record


def test_the_numbers_of_a_patch() -> None:
    patch = Patch(0, bitstreams.VP8L, 4, (CellBox(0, 0, 2, 1), CellBox(3, 2, 2, 2)), b"")
    assert patches.spell(patch) == NUMBERS
    assert patches.area(patch, Header(6, 1, 320, 256)) == (0, 0, 320, 256)


def both(header: Header, chunks: list[tuple[bytes, bytes]], learned: np.ndarray) -> np.ndarray:
    """What the codec and the independent reader make of a picture, which must be the same."""
    other = TheirHeader(6, 1, header.width, header.height, header.segment_cells, header.gray, chunks=chunks)
    ltk = Ltk(header, (), tuple(Chunk(*chunk) for chunk in chunks))
    ours = compose(Image.fromarray(learned), ltk, Box(0, 0, header.width, header.height))
    assert np.array_equal(np.asarray(ours), theirs.picture_of(other, learned))
    return np.asarray(ours).astype(int)


def test_the_feather() -> None:
    wanted = [int(v) for v in re.findall(r"inwards: ([\d ]+)\.", PART)[0].split()]
    body = bitstreams.encode(bitstreams.VP8L, Image.new("RGB", (64, 64), (200, 200, 200)))
    data = patches.spell(Patch(0, bitstreams.VP8L, 4, (CellBox(1, 0, 1, 1),), body))
    shown = both(Header(6, 1, 128, 64), [(b"pTCH", data)], np.full((64, 128, 3), 100, np.uint8))
    assert shown[0, 63:70, 0].tolist() == [100, *wanted, 200]


def test_the_colour_grid() -> None:
    data = bytes.fromhex(re.findall(r"blue 0: `([0-9A-F ]+)`", PART)[0])
    values = np.zeros((3, 1, 2), np.int8)
    values[0, 0, 1] = 64
    assert colour.encode(values) == data
    shown = both(Header(6, 1, 128, 64), [(b"cOLr", data)], np.full((64, 128, 3), 100, np.uint8))
    (columns,), (growth,) = ints(r"^    columns (.*)$"), ints(r"^    growth (.*)$")
    assert [int(shown[5, x, 0]) - 100 for x in columns] == growth and (shown[..., 1:] == 100).all()


def numbers(name: str) -> list[int]:
    return [int(v.replace("−", "-")) for v in re.findall(rf"^    {name} ([−\d ]+)$", PART, re.M)[0].split()]


def test_the_colour_grid_by_the_range_coder() -> None:
    for shape, counts in zip(ints(r"^    shape (.*)$"), ints(r"^    counts (.*)$"), strict=True):
        assert coded.counts_of(divmod(shape[0], 16), shape[1]).tolist() == counts == theirs.counts_of(*shape)
    data = bytes.fromhex(re.findall(r"^    data (.*)$", PART, re.M)[0])
    found = coded.decode(data, Header(6, 1, 64, 64))
    assert found.values.reshape(3, 4).tolist() == [numbers(name) for name in ("red", "green", "blue")]
    assert found.spacing == 32
    shown = both(Header(6, 1, 64, 64), [(b"cOLr", data)], np.full((64, 64, 3), 100, np.uint8))
    assert (shown[:16, :16] == 100).all() and shown[63, 63].tolist() == [102, 99, 100]


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=3, max_size=40), st.booleans(), st.integers(1, 130), st.integers(1, 130))
def test_any_colour_grid_is_read_alike(data: bytes, gray: bool, width: int, height: int) -> None:
    header = Header(6, 1, width, height, gray=gray)
    other = TheirHeader(6, 1, width, height, 0, gray, chunks=[(b"cOLr", b"\2" + data)])
    try:
        wanted = theirs.colours_of(other)
    except Refused:
        wanted = None
    if wanted is None:
        with pytest.raises(FormatError):
            coded.decode(b"\2" + data, header)
    else:
        found = coded.decode(b"\2" + data, header)
        assert (np.broadcast_to(found.values, wanted[0].shape) == wanted[0]).all() and found.spacing == wanted[1]


def test_gray() -> None:
    colours, grays = ints(r"^    colour (.*)$"), ints(r"^    gray (.*)$")
    shown = both(Header(6, 1, len(colours), 1, gray=True), [], np.array([colours], np.uint8))
    assert shown.tolist() == [[gray for (gray,) in grays]]
    every = np.stack([np.arange(256, dtype=np.uint8)] * 3, -1)[None]
    assert np.array_equal(both(Header(6, 1, 256, 1, gray=True), [], every)[0], np.arange(256))

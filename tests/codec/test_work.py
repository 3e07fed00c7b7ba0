"""A small file never asks for more than work and memory in proportion to what is drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltokc import codec, container, heatmap
from ltokc.container import Chunk, Header, Ltk, Segment, bitstreams
from ltokc.container.alpha import encode_alpha
from ltokc.container.bitstreams import VP8L
from ltokc.container.records import FREE_TOKENS, TOKENS_PER_BYTE
from ltokc.errors import FormatError, LimitError
from ltokc.zoo.model import open_model
from tests.support.cli_runner import run
from tests.support.pngs import code_points, png

GOLDEN = Path(__file__).resolve().parents[2] / "formats" / "golden" / "v1"
WIDE, HIGH = 6000, 4000
CHILD = """
import sys
import numpy as np
from pathlib import Path
from PIL import Image
from ltokc import heatmap
from ltokc.compare.scores import METRICS, Scorer
from ltokc.container.alpha import decode_alpha
from ltokc.metrics.by_cell import moments
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.pictures.load import load
from tests.support.memory import peak_mb
what, name = sys.argv[1:3]
WIDE, HIGH = map(int, sys.argv[3:])
before = peak_mb()
if what == "alpha":
    decode_alpha(Path(name).read_bytes(), WIDE, HIGH)
elif what == "moments":
    rgb = np.full((HIGH, WIDE, 3), 9, np.uint8)
    moments(Reference(rgb), rgb)
elif what == "scores":
    rgb = Image.fromarray(np.full((HIGH, WIDE, 3), 9, np.uint8))
    scorer = Scorer(rgb)
    for metric in METRICS[:3]:
        scorer.score_one(metric, rgb)
elif what == "heat map":
    heatmap.overlay(np.ones((HIGH // 16, WIDE // 16)), 16, WIDE, HIGH, np.ones((HIGH, WIDE, 3), np.uint8))
elif what == "gray":
    load(np.full((HIGH, WIDE), 500, np.uint16))
elif what == "floats":
    load(np.full((HIGH, WIDE), 0.25, np.float32))
elif what == "PQ":
    load(name, limit_pixels=None)
print(1e6 * (peak_mb() - before) / (WIDE * HIGH))
"""


def claiming(tokens: int, stream: bytes, width: int = 640, height: int = 640) -> bytes:
    """A file of one segment that claims so many tokens."""
    entry = open_model().entry
    header = Header(entry.id, entry.bitstream_hash, width, height)
    return container.write(Ltk(header, (Segment(tokens, False, stream),)))


def test_more_tokens_than_the_bytes_hold_are_refused() -> None:
    stream = bytes(10)
    most = FREE_TOKENS + TOKENS_PER_BYTE * len(stream)
    data = claiming(most + 1, stream)
    for verb in (codec.decode, codec.tokens, codec.verify, heatmap.bit_map):
        with pytest.raises(LimitError, match="tokens in a stream of 10 bytes"):
            verb(data)
    with pytest.raises(LimitError, match="tokens in a stream"):
        codec.trim(data, tokens=5)
    assert codec.tokens(data, limit_pixels=None).count == most + 1
    assert codec.tokens(claiming(most, stream)).count == most
    assert codec.info(data).tokens == most + 1  # nothing is decoded for it


def test_a_region_asks_only_for_its_own_segments() -> None:
    entry = open_model().entry
    honest, heavy = Segment(1, False, b"\0"), Segment(5000, False, b"\0")
    ltk = Ltk(Header(entry.id, entry.bitstream_hash, 2048, 512, 8), (honest, honest, honest, heavy))
    data = container.write(ltk)
    assert codec.decode(data, crop=(0, 0, 32, 32)).size == (32, 32)
    with pytest.raises(LimitError, match="5,000 tokens"):
        codec.decode(data, crop=(2000, 0, 32, 32))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
def test_flat_pictures_are_far_from_the_limit(colour: tuple[int, int, int]) -> None:
    """They have the most tokens a byte of all pictures."""
    ltk = container.read(codec.encode(np.full((320, 320, 3), colour, np.uint8), 1.0, effort=0, patches="off"))
    (segment,) = ltk.segments
    assert segment.tokens > 1000
    assert 3 * segment.tokens < FREE_TOKENS + TOKENS_PER_BYTE * len(segment.stream)


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.ltk")), ids=lambda path: path.stem)
def test_no_golden_file_is_refused(golden: Path) -> None:
    ltk = container.read(golden.read_bytes(), limit_pixels=None)
    container.check_density(ltk, 1)


def test_tokens_as_json_are_those_of_the_arrays(tmp_path: Path) -> None:
    data = codec.encode(np.random.default_rng(0).integers(0, 255, (70, 130, 3), np.uint8), tokens=40)
    (tmp_path / "a.ltk").write_bytes(data)
    found = json.loads(run("tokens", str(tmp_path / "a.ltk"), "--json").stdout)
    arrays = codec.tokens(data)
    assert [level["stride"] for level in found["levels"]] == list(arrays.strides)
    for level, digits, mask in zip(found["levels"], arrays.digits, arrays.masks, strict=True):
        shown = [[list(d) if kept else None for d, kept in zip(*row, strict=True)]
                 for row in zip(digits.tolist(), mask.tolist(), strict=True)]  # fmt: skip
        assert level["tokens"] == shown


@pytest.mark.parametrize("cell", [4, 16, 64])
@pytest.mark.parametrize("under", [False, True])
def test_heat_maps_in_strips_are_those_of_one_piece(cell: int, under: bool) -> None:
    rng = np.random.default_rng(1)
    width, height = 200, 333
    bits = rng.random((-(-height // cell), -(-width // cell)))
    picture = rng.integers(0, 255, (height, width, 3), np.uint8) if under else None
    whole = heatmap.colours(bits).repeat(cell, 0).repeat(cell, 1)[:height, :width].astype(float)
    if picture is not None:
        whole = 0.62 * whole + 0.38 * (picture @ np.array([0.299, 0.587, 0.114]))[..., None]
    assert np.array_equal(heatmap.overlay(bits, cell, width, height, picture), whole.round().clip(0, 255))


@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory there")
@pytest.mark.parametrize("what, most", [
    ("alpha", 9), ("moments", 14), ("scores", 30), ("heat map", 8), ("gray", 9), ("floats", 11), ("PQ", 16)
])  # fmt: skip
def test_bytes_a_pixel(what: str, most: float, tmp_path: Path) -> None:
    """Peaks beyond what the libraries take, the source's 3, 4, 3, 2 and 4 bytes of all but alpha included.

    Scores were 240, moments 350.
    """
    alpha = np.arange(WIDE, dtype=np.uint8)[None] ^ np.arange(HIGH, dtype=np.uint8)[:, None]  # no short palette
    if what == "alpha":
        (tmp_path / "alpha").write_bytes(bytes((VP8L,)) + bitstreams.encode(VP8L, Image.fromarray(alpha), 0, 0))
    if what == "PQ":
        samples = np.broadcast_to(np.arange(WIDE, dtype=np.uint16)[None, :, None] * 5, (HIGH, WIDE, 3))
        (tmp_path / "alpha").write_bytes(png(samples, 16, code_points(9, 16)))
    parts = 2 if what == "scores" else 1  # which take their time
    child = [sys.executable, "-c", CHILD, what, str(tmp_path / "alpha"), str(WIDE // parts), str(HIGH // parts)]
    assert float(subprocess.run(child, check=True, capture_output=True, text=True).stdout) < most


def test_alpha_of_another_size_is_refused_before_it_is_decoded() -> None:
    alpha = encode_alpha(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    ltk = container.read(claiming(0, b"")).with_chunks((Chunk(b"ALPH", alpha),))
    with pytest.raises(FormatError):
        codec.decode(container.write(ltk))


def test_pillow_refuses_what_decode_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    import ltokc

    ltokc.register_pillow()
    data = claiming(FREE_TOKENS + 1, b"")
    with pytest.raises(OSError, match="tokens in a stream of 0 bytes"), Image.open(io.BytesIO(data)) as image:
        image.load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(io.BytesIO(data)) as image:
        image.load()

"""True colours: flat fields, gradients, and what the colour grid does in every way in and out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.container import COLOUR, Header
from ltokc.entropy import colour
from ltokc.geometry import Box, Size
from ltokc.metrics.colour import difference, pooled
from ltokc.rate.colour.digits import Means, choose
from ltokc.rate.colour.grid import best_grid
from ltokc.rate.colour.smooth import is_smooth
from ltokc.rate.plan import uniform
from ltokc.zoo.model import open_model
from tests.support.cli_runner import ROOT, run
from tests.support.pictures import grainy, smooth
from tests.support.tilings import small_segments

pytest.importorskip("onnxruntime")


def sky(width: int = 256, height: int = 192) -> np.ndarray:
    """(height, width, 3) uint8: a clear evening sky."""
    y = np.linspace(0, 1, height)[:, None, None]
    rgb = np.array([70, 120, 200]) * (1 - y) + np.array([235, 190, 150]) * y
    return np.broadcast_to(rgb, (height, width, 3)).round().astype(np.uint8)


def coffee() -> np.ndarray:
    """(192, 256, 3) uint8 of a photograph."""
    with Image.open(ROOT / "examples" / "coffee.jpg") as image:
        return np.asarray(image.convert("RGB"))[40:232, 60:316]


def grids(data: bytes) -> list[bytes]:
    return [chunk.data for chunk in container.read(data).chunks if chunk.fourcc == COLOUR]


def block_error(picture: np.ndarray, data: bytes) -> float:
    """Mean difference, of 255, of 16x16 means."""
    return float(np.abs(pooled(picture) - pooled(np.asarray(ltokc.decode(data).convert("RGB")))).mean())


@pytest.mark.parametrize("rgb", [(60, 110, 180), (200, 40, 50), (18, 20, 30)])
def test_flat_fields_keep_their_colour(rgb: tuple[int, int, int]) -> None:
    picture = np.full((192, 256, 3), rgb, np.uint8)
    data = ltokc.encode(picture)
    assert block_error(picture, data) <= 1 and len(data) < 250
    ltokc.verify(data)


def test_a_sky_by_every_way_in_and_out() -> None:
    picture = sky()
    data, bare = ltokc.encode(picture), ltokc.encode(picture, effort=0)
    assert len(grids(data)) == 1 and not grids(bare), "nothing is decoded by -e 0"
    assert block_error(picture, data) < min(1.5, block_error(picture, bare) / 1.5)
    assert ("cOLr", len(grids(data)[0])) in ltokc.info(data).chunks
    ltokc.verify(data)
    whole = np.asarray(ltokc.decode(data))
    part = np.asarray(ltokc.decode(data, crop=(70, 33, 100, 90)))
    assert np.abs(part.astype(int) - whole[33:123, 70:170]).max() <= 1
    short = ltokc.trim(data, tokens=ltokc.info(data).tokens // 2)
    assert grids(short) == grids(data)
    assert ltokc.decode(short).size == (256, 192)


def test_several_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)
    picture = sky(640, 576)
    data = ltokc.encode(picture)
    assert ltokc.info(data).segments > 1 and grids(data) and block_error(picture, data) < 1.2
    ltokc.verify(data)


def test_sizes_are_met_with_a_grid_and_alpha() -> None:
    alpha = np.full((192, 256), 255, np.uint8)
    alpha[:, :100] = 0
    image = Image.fromarray(np.dstack([sky(), alpha]))
    for size in (400, 900, 12000):
        data = ltokc.encode(image, target_size=size, say=lambda text: None)
        assert len(data) <= size
        assert all(len(grid) + 10 <= size / 4 for grid in grids(data))
        ltokc.verify(data)
    assert grids(ltokc.encode(sky(), target_size=400, patches="off"))


def test_gray_has_one_plane() -> None:
    picture = np.broadcast_to(np.linspace(20, 220, 256).round()[None, :, None], (192, 256, 3)).astype(np.uint8)
    data = ltokc.encode(picture)
    assert ltokc.decode(data).mode == "L" and block_error(picture, data) < 1
    for grid in grids(data):
        assert len(colour.decode(grid, container.read(data).header).values) == 1


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (9, 9), (64, 65)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (210, 90, 40), np.uint8)
    data = ltokc.encode(picture)
    assert ltokc.decode(data).size == shape[::-1]
    ltokc.verify(data)


def test_the_command_says_it(tmp_path: object) -> None:
    done = run("encode", "-", "-o", "-", input=_png(sky()))
    assert done.exit_code == 0
    told = run("info", "-", input=done.stdout_bytes)
    assert "chunk     cOLr" in told.stdout


def _png(picture: np.ndarray) -> bytes:
    import io

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def test_digits_chosen_bring_the_decode_nearer() -> None:
    model = open_model()
    networks, picture = model.networks(), coffee()
    size = Size.of(picture)
    tokens = networks.tokenize(picture)
    masks = uniform(4.0, tuple(size.grid)).masks(model.levels)
    kept = tokens.only(masks)
    original, decoded = pooled(picture), pooled(networks.detokenize(kept, size))
    assert model.colour is not None
    found, expected = choose(Means(original, decoded), kept, model.colour)
    moved = [np.abs(a.astype(int) - b) for a, b in zip(found.digits, kept.digits, strict=True)]
    assert sum(int(m.sum()) for m in moved) > 3
    for level, grid, move, mask in zip(found.levels, found.digits, moved, masks, strict=True):
        assert np.abs(grid).max() <= level.size // 2 and not (move.max(-1) * ~mask).any()
    before, after = difference(original, decoded), difference(original, pooled(networks.detokenize(found, size)))
    assert after.mean() < before.mean()
    assert abs(difference(original, expected.decoded).mean() - after.mean()) < 0.5 * before.mean()


@pytest.mark.parametrize("gray", [False, True])
def test_a_grid_is_what_the_decoder_adds(gray: bool) -> None:
    """What `best_grid` expects of its grid is what a decode adds, at the picture's border too."""
    original = np.zeros((12, 16, 3), np.float32) + 120
    y, x = np.mgrid[0:12, 0:16] / 8
    lack = np.stack([6 * y - 3, 4 - 5 * x, 0 * x], -1) if not gray else np.repeat((5 - 4 * y)[..., None], 3, -1)
    found = best_grid(Means(original, (original - lack).astype(np.float32), gray, True))
    assert found.data is not None
    image = Image.fromarray(np.full((192, 256, 3), 120, np.uint8))
    colour.decode(found.data, Header(6, 1, 256, 192, gray=gray)).add_to(image, Box(0, 0, 256, 192))
    assert np.abs(pooled(np.asarray(image)) - 120 - lack).mean() < 0.4


def test_what_does_not_pay_is_not_written() -> None:
    original = np.zeros((12, 16, 3), np.float32) + 120
    assert best_grid(Means(original, original)).data is None
    assert best_grid(Means(original, original + 20)).data is not None
    assert best_grid(Means(original, original + 20), most=12).data is None


def test_smooth_pictures_and_others() -> None:
    assert is_smooth(sky()) and is_smooth(smooth(100, 2000)) and is_smooth(np.full((3, 3, 3), 9, np.uint8))
    assert not is_smooth(grainy(100, 2000)) and not is_smooth(np.zeros((2, 900, 3), np.uint8))


def test_trimming_gives_the_grid_s_bytes_to_tokens() -> None:
    """It corrects what all tokens decode to: beside a fifth of them it was most of the file, and did harm."""
    picture = coffee()
    data = ltokc.encode(picture, 0.6)
    assert grids(data)
    small, large = (ltokc.trim(data, target_size=int(share * len(data))) for share in (0.4, 0.95))
    assert not grids(small) and grids(large)
    ltk = container.read(data)
    bare = container.write(ltk.with_chunks(tuple(chunk for chunk in ltk.chunks if chunk.fourcc != COLOUR)))
    assert small == ltokc.trim(bare, target_size=int(0.4 * len(data)))
    least = len(ltokc.trim(bare, tokens=0))
    assert len(ltokc.trim(data, target_size=least)) == least

"""Sizes that alpha or metadata alone would fill, and sizes that nothing fills: met, or said."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import container
from ltokc.errors import LossWarning, UsageError
from tests.support.cli_runner import run
from tests.support.pictures import grainy

WIDTH, HEIGHT = 240, 160


def hair() -> np.ndarray:
    """(H, W) uint8 alpha of fine lines, which no lossless coding makes small."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    lines = 128 + 127 * np.sin((x + 3 * rng.normal(0, 1, (HEIGHT, 1)).cumsum(0)) / 1.7)
    return np.where(y < HEIGHT // 4, 255, lines + rng.normal(0, 20, lines.shape)).clip(0, 255).astype(np.uint8)


def matte() -> Image.Image:
    return Image.fromarray(np.dstack([grainy(WIDTH, HEIGHT), hair()]))


def with_exif(size: int) -> io.BytesIO:
    exif = Image.Exif()
    exif[0x010F], exif[0x9286] = "a camera", "n" * size
    out = io.BytesIO()
    Image.fromarray(grainy(WIDTH, HEIGHT)).save(out, "PNG", exif=exif, dpi=(300, 300))
    out.seek(0)
    return out


@pytest.mark.parametrize("size", [8000, 12000])
def test_alpha_is_coarsened_and_the_picture_stays(size: int) -> None:
    lossless = len(next(c.data for c in container.read(ltokc.encode(matte())).chunks if c.fourcc == b"ALPH"))
    assert lossless > 12000
    with pytest.warns(LossWarning, match="alpha coarsened to meet the size"):
        data = ltokc.encode(matte(), target_size=size, patches="off")
    (chunk,) = (each for each in container.read(data).chunks if each.fourcc == b"ALPH")
    assert 0.8 * size <= len(data) <= size and chunk.data[0] == 3
    assert (
        size - len(chunk.data) > size / 4
        or ltokc.info(data).tokens == ltokc.info(ltokc.encode(matte(), 1.0, patches="off")).tokens
    )
    assert ltokc.info(data).tokens > 100
    back = np.asarray(ltokc.decode(data))
    assert np.abs(back[..., 3].astype(int) - hair()).mean() < 40
    assert (back[: HEIGHT // 4 - 8, :, 3] > 200).all(), "what is opaque stays nearly so"
    ltokc.verify(data)


def test_alpha_stays_exact_where_there_is_room(recwarn: pytest.WarningsRecorder) -> None:
    data = ltokc.encode(matte(), target_size=60000)
    assert np.array_equal(np.asarray(ltokc.decode(data))[..., 3], hair())
    assert not [w for w in recwarn if "alpha" in str(w.message)]


def test_a_size_below_the_coarsest_alpha_is_an_error_that_says_the_least() -> None:
    with pytest.raises(UsageError, match="the least size of this picture is ([0-9,]+) bytes") as caught:
        ltokc.encode(matte(), target_size=700)
    least = int(str(caught.value).split("picture is ")[1].split()[0].replace(",", ""))
    with pytest.warns(LossWarning):
        data = ltokc.encode(matte(), target_size=least)
    assert len(data) <= least and ltokc.info(data).tokens > 0
    with pytest.raises(UsageError):
        ltokc.encode(matte(), target_size=least - 2)
    assert len(ltokc.encode(matte(), target_size=700, alpha="drop")) <= 700


def test_metadata_is_left_out_with_a_word(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    with open("big.png", "wb") as file:
        file.write(with_exif(3000).getvalue())
    result = run("encode", "big.png", "--target-size", "2k", "--metadata", "all", "-o", "x.ltk")
    assert result.exit_code == 0 and "metadata left out to meet the size: eXIf (3," in result.stderr
    with open("x.ltk", "rb") as file:
        data = file.read()
    assert len(data) <= 2000 and ltokc.info(data).tokens > 100
    kept = [name for name, _ in ltokc.info(data).chunks if name != "cOLr"]
    assert kept == ["pHYs"], "what there is room for stays"
    result = run("encode", "big.png", "--target-size", "9k", "--metadata", "all", "-o", "y.ltk")
    assert result.exit_code == 0 and "left out" not in result.stderr


def test_a_size_above_all_there_is_is_said() -> None:
    with pytest.warns(LossWarning, match="bytes are all there is of this picture, less than the 1,000,000"):
        data = ltokc.encode(grainy(100, 70), target_size=1_000_000, patches="off")
    assert data == ltokc.encode(grainy(100, 70), 1.0, patches="off")
    with pytest.warns(LossWarning, match="bytes are all there is of this picture, less than the 1,000,000"):
        assert len(ltokc.encode(grainy(100, 70), target_size=1_000_000)) > len(data)
    with pytest.warns(LossWarning, match="all there is"):
        ltokc.encode(grainy(100, 70), target_bpp=100, effort=0)


def test_a_size_below_the_smallest_file_is_said() -> None:
    with pytest.warns(LossWarning, match="the smallest file of this picture has [0-9]+ bytes, more than 5"):
        ltokc.encode(grainy(100, 70), target_size=5)
    with pytest.raises(UsageError, match="the smallest file"):
        ltokc.encode(grainy(100, 70), target_size=5, strict=True)


def test_a_size_that_is_met_is_not_spoken_of(recwarn: pytest.WarningsRecorder) -> None:
    ltokc.encode(grainy(WIDTH, HEIGHT), target_size=1500)
    assert not [w for w in recwarn if issubclass(w.category, LossWarning)]

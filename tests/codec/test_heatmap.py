"""The heat map: every bit and token of a file is in it, where its pixels are."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ltokc
from ltokc import heatmap
from ltokc.errors import UsageError
from tests.support.cli_runner import ENVIRONMENT, HEIGHT, WIDTH, run
from tests.support.pictures import grainy
from tests.support.tilings import small_segments


@pytest.fixture(scope="module")
def whole() -> bytes:
    """A file whose picture is whole cells: grain on the right, flat on the left."""
    rgb = np.full((128, 192, 3), 128, np.uint8)
    rgb[:, 96:] = grainy(96, 128)
    return ltokc.encode(rgb, quality=0.8, effort=0, patches="off")


@pytest.mark.parametrize("cell", [1, 8, 16, 64])
def test_all_tokens_and_bits_are_in_the_map(whole: bytes, cell: int) -> None:
    tokens, bits = heatmap.bit_map(whole, cell=cell, tokens=True), heatmap.bit_map(whole, cell=cell)
    assert tokens.shape == bits.shape == (128 // cell, 192 // cell)
    assert tokens.sum() == pytest.approx(ltokc.info(whole).tokens)
    assert 0 <= 8 * len(whole) - bits.sum() < 8 * 30  # the rest is the container
    assert bits.min() >= 0


def test_grain_costs_more_than_flat(whole: bytes) -> None:
    bits = heatmap.bit_map(whole)
    assert bits[:, 7:].mean() > 2 * bits[:, :5].mean()


def test_the_map_of_a_prefix_is_below_that_of_the_file(whole: bytes) -> None:
    bits = heatmap.bit_map(whole, cell=8)
    shorter = heatmap.bit_map(ltokc.trim(whole, tokens=200), cell=8)
    assert (shorter <= bits + 1e-4).all() and shorter.sum() < bits.sum()
    counted = heatmap.bit_map(ltokc.trim(whole, tokens=200), tokens=True).sum()
    assert counted == pytest.approx(200)


def test_a_cut_file_has_a_map_of_what_is_left(whole: bytes) -> None:
    cut = whole[: len(whole) // 2]
    bits = heatmap.bit_map(cut, allow_truncated=True)
    assert 0.5 * 8 * len(cut) < bits.sum() <= 8 * len(cut)


def test_edges_of_segments_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of several segments: each one's tokens land in its own place."""

    small_segments(monkeypatch, 4)
    rgb = np.full((70, 600, 3), 128, np.uint8)
    rgb[:, 512:] = grainy(88, 70)
    data = ltokc.encode(rgb, quality=0.8, effort=0, patches="off")
    assert ltokc.info(data).segments == 2
    bits = heatmap.bit_map(data, cell=16)
    assert bits.shape == (math.ceil(70 / 16), math.ceil(600 / 16))
    assert bits[:, 32:].mean() > 2 * bits[:, :31].mean()


def test_colours_run_from_black_to_pale() -> None:
    painted = heatmap.colours(np.array([[0.0, 0.5, 1.0, 9.0]]), top=1.0)
    assert painted.shape == (1, 4, 3) and painted.dtype == np.uint8
    brightness = painted[0].astype(int).sum(1)
    assert brightness[0] < 10 < brightness[1] < brightness[2] == brightness[3]
    assert heatmap.strongest(np.zeros((3, 3))) == 1.0
    clear = heatmap.transparent(np.array([[0.0, 1.0]]))
    assert clear.shape == (1, 2, 4) and clear[0, 0, 3] < clear[0, 1, 3] < 255


def test_only_powers_of_two_are_cells(encoded: bytes) -> None:
    with pytest.raises(UsageError, match="12"):
        heatmap.bit_map(encoded, cell=12)


# -- the command ------------------------------------------------------------------------------------------------------
def test_info_writes_the_map_over_the_picture_or_alone(here: Path, encoded: bytes) -> None:
    Path("photo.ltk").write_bytes(encoded)
    result = run("info", "photo.ltk", "--heatmap", "over.png")
    assert result.exit_code == 0, result.stderr
    assert "tokens" in result.stdout
    assert run("info", "photo.ltk", "--heatmap", "plain.png", "--plain").exit_code == 0
    pictures = [np.asarray(Image.open(name)) for name in ("over.png", "plain.png")]
    assert all(picture.shape == (HEIGHT, WIDTH, 3) for picture in pictures)
    assert np.abs(np.subtract(*pictures, dtype=int)).max() > 20
    assert len(np.unique(pictures[1].reshape(-1, 3), axis=0)) <= 5 * 6  # one colour a square
    assert not [p for p in Path().iterdir() if p.suffix == ".tmp"]


def test_the_map_without_a_runtime_is_plain_and_says_so(
    here: Path, encoded: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltokc import codec
    from ltokc.errors import ModelError

    def missing(*_: object, **__: object) -> None:
        raise ModelError("no runtime")

    Path("photo.ltk").write_bytes(encoded)
    assert run("info", "photo.ltk", "--heatmap", "plain.png", "--plain").exit_code == 0
    monkeypatch.setattr(codec, "decode", missing)
    result = run("info", "photo.ltk", "--heatmap", "map.png")
    assert result.exit_code == 0 and "without the picture: no runtime" in result.stderr
    assert Path("map.png").read_bytes() == Path("plain.png").read_bytes()


def test_the_map_goes_to_a_pipe(encoded: bytes) -> None:
    words = [sys.executable, "-m", "ltokc", "info", "-", "--heatmap", "-"]
    done = subprocess.run(words, input=encoded, capture_output=True, env=ENVIRONMENT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))


@pytest.mark.parametrize(
    "args",
    [
        ["photo.ltk", "photo.ltk", "--heatmap", "x.png"],
        ["folder", "-r", "--heatmap", "x.png"],
        ["photo.ltk", "--heatmap", "photo.ltk"],
        ["photo.ltk", "--heatmap", "-", "--json"],
        ["photo.ltk", "--plain"],
    ],
)
def test_what_does_not_fit_together_is_refused(here: Path, encoded: bytes, args: list[str]) -> None:
    Path("photo.ltk").write_bytes(encoded)
    assert run("info", *args).exit_code == 2
    assert Path("photo.ltk").read_bytes() == encoded
    assert not Path("x.png").exists()


def test_a_map_that_cannot_be_made_leaves_no_file(here: Path) -> None:
    result = run("info", "photo.png", "--heatmap", "x.png")
    assert result.exit_code == 1 and not Path("x.png").exists()

"""The benchmarks of efforts and of patterns, on pictures small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality import efforts, grid_pattern
from tests.support.pictures import grainy, smooth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    picture = np.concatenate([smooth(96, 192), grainy(96, 192)], 1)
    Image.fromarray(picture).save(tmp_path / "pictures" / "one.png")
    return tmp_path / "pictures"


def test_equal_rows_are_no_gain() -> None:
    curve = [{"bpp": 0.1 * 2**i, "ssimulacra2": 10.0 * i, "psnr": 20.0 + i, "ms_ssim": None} for i in range(5)]
    assert efforts.compared(curve, curve[2]) == {"ssimulacra2": pytest.approx(0), "psnr": pytest.approx(0)}
    better = curve[2] | {"bpp": 0.2}
    assert efforts.compared(curve, better)["ssimulacra2"] == pytest.approx(-0.5)
    assert "ssimulacra2" not in efforts.compared(curve, curve[2] | {"ssimulacra2": 99.0})


def test_efforts(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "efforts.json"
    result = CliRunner().invoke(efforts.main, ["--images", str(folder), "--efforts", "0,2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())["summary"]
    assert [row["effort"] for row in found] == [0, 2]
    assert min(row["times"] for row in found) > 0 and abs(found[1]["distance_of_points"][1]) < 0.2


def test_a_pattern_is_found_and_noise_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (128, 192))
    grid = np.where(np.arange(192) % 8 == 0, 3.0, 0.0)
    assert grid_pattern.folded(noise, 8)["offset"] < 3 * grid_pattern.folded(noise, 8)["offset_chance"]
    found = grid_pattern.folded(noise + grid, 8)
    assert found["offset"] == pytest.approx(grid.std(), rel=0.3) and found["offset"] > 3 * found["offset_chance"]
    beating = grid_pattern.folded(noise * np.where(np.arange(192) % 8 == 0, 2.0, 1.0), 8)
    assert beating["strength"] > 3 * beating["strength_chance"]


def test_weave(folder: Path, tmp_path: Path) -> None:
    out, png = tmp_path / "weave.json", tmp_path / "weave.png"
    options = ["--images", str(folder), "--qualities", "0.6", "--picture", "one.png", "--png", str(png)]
    result = CliRunner().invoke(grid_pattern.main, [*options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert set(json.loads(out.read_text())["means"]["0.6"]) == {"rms", "4", "8", "16"}
    assert Image.open(png).size == (3 * 192, 192)

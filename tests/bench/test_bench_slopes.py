"""What a bit brings at every level, and the weights that follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from bench.design.slopes import main, slopes  # noqa: E402
from tests.support.pictures import grainy  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402

RECIPE = Path(__file__).parents[2] / "models" / "ladder-6" / "recipe.toml"


def test_a_weight_is_the_mean_of_what_bits_bring_to_longer_prefixes() -> None:
    # one bit per pixel a level; the parts of the loss fall by 16, 4 and 1 together
    rows = np.array([[1, 20, 4, 1], [2, 5, 3, 1], [3, 2, 2, 1], [4, 2, 1, 1.0]])
    found = slopes(rows)
    assert [row["slope"] for row in found] == [16, 4, 1]
    assert [row["margin"] for row in found] == [8, 2, 1]
    assert [row["weight"] for row in found] == pytest.approx([11 / 3, 1.5, 1])
    assert [row["level"] for row in found] == [2, 3, 4]


def test_half_the_bits_bring_twice_as_much() -> None:
    rows = np.array([[1, 20, 4, 1], [2, 5, 3, 1], [3, 2, 2, 1.0]])
    assert [row["slope"] for row in slopes(rows * [0.5, 1, 1, 1])] == [32, 8]


def test_a_model_s_first_levels_bring_most(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(grainy(128, 192)).save(tmp_path / "in" / "a.png")
    save_file(random_lpips(), tmp_path / "lpips.safetensors")
    command = ["--images", tmp_path / "in", "--lpips", tmp_path / "lpips.safetensors", "--recipe", RECIPE]
    result = CliRunner().invoke(main, [*map(str, command), "--out", str(tmp_path / "out.json")])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out.json").read_text())
    rows = np.array(report["rows"]["a.png"])
    assert rows.shape == (11, 4) and (np.diff(rows[:, 0]) > 0).all()
    assert [row["level"] for row in report["levels"]] == list(range(2, 12))
    weights = [row["weight"] for row in report["levels"]]
    assert weights[0] > 3 * weights[-1] > 0


def test_a_picture_without_a_whole_cell_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(grainy(40, 192)).save(tmp_path / "in" / "a.png")
    save_file(random_lpips(), tmp_path / "lpips.safetensors")
    command = ["--images", tmp_path / "in", "--lpips", tmp_path / "lpips.safetensors", "--recipe", RECIPE]
    result = CliRunner().invoke(main, [*map(str, command)])
    assert result.exit_code == 2 and "has no whole cell of 64x64" in result.output

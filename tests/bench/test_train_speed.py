"""`python -m bench train-speed`: a step plain, with every row, and with all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from bench.speed.train_speed import main  # noqa: E402
from ltokc.train.speed import rows  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402


def test_it_times_rows_alone_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.speed.train_speed.WINDOW", 32)
    recipe, lpips = tmp_path / "recipe.toml", tmp_path / "lpips.safetensors"
    recipe.write_text("steps = 1\nbatch = 1\ncrop = 64\nprecision = 'fp32'\n")
    save_file(random_lpips(), lpips)
    command = ["--recipe", recipe, "--lpips", lpips, "--seconds", "0.01", "--out", tmp_path / "out.json",
               "--row", "aligned", "--row", "integers"]  # no compiler is needed  # fmt: skip
    result = CliRunner().invoke(main, [str(word) for word in command])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out.json").read_text())
    *rows_, window = report["rows"]
    assert [row["rows"] for row in rows_] == [[], ["aligned"], ["integers"], ["aligned", "integers"]]
    assert all(row["agrees"] and row["crops_per_second"] > 0 for row in rows_) and report["crops"] > 0
    assert window["rows"] == ["lpips_window"] and window["loss"] != rows_[0]["loss"]
    assert set(rows.Rows().__slots__) >= {"aligned", "integers"}

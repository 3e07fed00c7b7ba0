"""The benchmarks of halting and of tiny files, on pictures small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality import halting, halting_summary
from bench.quality.tiny import main as tiny_main
from ltokc.zoo.model import open_model
from tests.support.pictures import grainy, smooth


def test_a_curve_gives_back_its_own_points() -> None:
    curve = [{"bytes": 100 * 2**i, "error": 50.0 / (i + 1), "ms_ssim": 0.5 + i / 20} for i in range(5)]
    for row in curve:
        assert halting_summary.at_equal(curve, "error", row["error"]) == pytest.approx(row["bytes"])
        assert halting_summary.at_equal(curve, "ms_ssim", row["ms_ssim"]) == pytest.approx(row["bytes"])


def test_ranks() -> None:
    assert halting.spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert halting.spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert halting.spearman([1, 2, 2, 4], [1, 2, 2, 9]) == pytest.approx(1)


@pytest.fixture(scope="module")
def measured() -> dict:
    picture = np.concatenate([smooth(128, 192), grainy(128, 192)], 1)
    model = open_model()
    return {"one": halting.measure(model, picture, (0, 1), np.array([0.0, 1.0]))}


def test_summaries_of_a_picture(measured: dict) -> None:
    table = open_model().entry.looks
    rows = measured["one"]["rows"]
    assert {r["q"] for r in rows} == {0.0, 1.0, *halting_summary.TARGETS} and {r["effort"] for r in rows} == {0, 1}
    for effort in (0, 1):
        for found in halting_summary.calibration(measured, table, effort):
            assert found["miss"] in (0, 1) and -1 < found["worst"] < 1
        worth = halting_summary.worth_of_pictures(measured, effort)
        assert all(w["spread"] == 0 for w in worth)  # of one picture
        assert all(-0.5 < w["error"] < 0.5 for w in halting_summary.worth_of_cells(measured, effort))
        seen = halting_summary.monotone(measured, effort)
        assert seen["bytes_fall"] == [] and seen["points"] == sorted(seen["points"])


def test_dense_pictures_come_after_flat_ones() -> None:
    named = iter([("flat", smooth(64, 64)), ("dense", grainy(64, 64))])
    found = halting.ordered(open_model(), named, (0,))
    assert found["spearman"]["0"] == pytest.approx(1) and [r["picture"] for r in found["pictures"]] == ["flat", "dense"]


def test_tiny_files(tmp_path: Path) -> None:
    Image.fromarray(grainy(300, 256)).save(tmp_path / "large.png")
    Image.fromarray(grainy(300, 255)).save(tmp_path / "small.png")
    arguments = [
        "--images",
        str(tmp_path),
        "--bytes",
        "500",
        "--out",
        str(tmp_path / "out.json"),
        "--sheet",
        str(tmp_path / "sheet.png"),
    ]
    done = CliRunner().invoke(tiny_main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert [row["image"] for row in found["pictures"]] == ["large.png"] and 485 <= found["means"]["bytes"] <= 500
    assert Image.open(tmp_path / "sheet.png").height > 512

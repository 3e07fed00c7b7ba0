"""`python -m bench speed`: parts that need no other checkout, on small pictures.  Nothing here depends on how long."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("onnxruntime")

from bench.speed.runtimes import RUNTIMES, runtimes
from bench.speed.speed import main
from bench.speed.stages import STEPS, Clock, stages, starting
from bench.speed.work import avif
from tests.support.pictures import grainy as grainy_pixels


def grainy(width: int, height: int) -> Image.Image:
    return Image.fromarray(grainy_pixels(width, height))


def test_a_stage_counts_without_those_within() -> None:
    clock = Clock()
    inner = clock.timed("inner", lambda: sum(i * i for i in range(400_000)))
    outer = clock.timed("outer", lambda: inner() and inner())
    outer()
    assert clock.seconds["inner"] > 2 * clock.seconds["outer"] > 0


def test_all_stages_of_a_picture_are_seen() -> None:
    found = stages(grainy(192, 128), 0.6, 1, "onnx")
    assert set(found["decode"]) == {"all", "detokenizer", "prior and range decoder", "rest"}
    assert set(found["encode -e 0"]) >= {"tokenizer", "prediction", "range coder"}
    assert "gradient" not in found["encode -e 0"]
    assert set(found["encode -e 1"]) >= {"tokenizer", "detokenizer", "gradient", "gradient of the look", "flips"}
    for each in found.values():
        assert each["all"] == pytest.approx(sum(v for name, v in each.items() if name != "all"), abs=1)


def test_the_steps_of_starting_follow_each_other() -> None:
    found = starting(1, "onnx")
    assert list(found) == ["python", *(name for name, _ in STEPS)] and min(found.values()) >= 0
    assert found["graph of the decoder"] > 0 and found["numpy and Pillow"] > 0


def test_runtimes_are_compared_with_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    for name in set(RUNTIMES) - {"onnx fp32", "onnx 8-bit"}:
        monkeypatch.delitem(RUNTIMES, name)
    picture = grainy(128, 64)
    found = runtimes(picture, [picture], 1, tmp_path)
    exact, eight_bit = found["onnx fp32"], found["onnx 8-bit"]
    assert exact["decibels"] is None and exact["largest_difference"] == 0 and exact["tokens_equal"] == 1
    assert 25 < eight_bit["decibels"] < 60 and 0 < eight_bit["tokens_equal"] < 1
    assert all(each[name] > 0 for each in found.values() for name in ("start", "tokenizer", "detokenizer"))


def test_avif_is_of_about_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    whole = Image.fromarray(np.tile(np.asarray(grainy(192, 128)), (2, 2, 1)))
    whole.save(path)
    found = avif(grainy(192, 128), path, 1.0)
    assert 0.3 < found["bytes"] * 8 / (whole.width * whole.height) < 1.3
    assert found["encode"]["cpu"] > 0 and found["decode"]["cpu"] > 0


def test_a_large_picture_is_added_to_a_record(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    out.write_text(json.dumps({"commands": "kept", "large": {"24": "kept"}}))
    words = ["--part", "large", "--megapixels", "1", "--efforts", "0", "--threads", "1", "--out", str(out)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["commands"] == "kept" and report["large"]["24"] == "kept"
    assert report["model"] and report["machine"] and report["versions"] and "commit" in report
    found = report["large"]["1"]
    assert set(found) == {"size", "bytes", "encode -e 0", "decode", "avif speed 6"}
    assert found["encode -e 0"]["now"]["cpu"] > 0 and found["avif speed 6"]["bytes"] > 0

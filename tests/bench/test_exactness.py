"""bench.verification.exactness: its second prior is the codec's, and it notices when anything differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from bench.verification import exactness
from bench.verification.reference_prior import Int64Network, ReferencePrior, TorchNetwork
from ltokc.entropy.prior import Prior
from ltokc.zoo.model import WEIGHTS, open_model
from tests.support.pictures import grainy
from tests.support.small_model import LEVELS, random_grids, small_ladder


def walk(prior, digits, masks):
    """Positions and counts of every pass of every level."""
    state, out = prior.state(*digits[0].shape[:2]), []
    for grid, mask in zip(digits, masks, strict=True):
        state.enter()
        for positions, counts in state.passes(grid, mask):
            out += [positions, counts]
        state.absorb(grid, mask)
    return out


@pytest.mark.parametrize("kept", [1.0, 0.6])
def test_int64_gives_the_codec_s_counts(kept: float) -> None:
    from ltokc.train.export.tensors import prior_tensors

    tensors = prior_tensors(small_ladder())
    rng = np.random.default_rng(0)
    for name, value in tensors.items():  # weights at their limits, so that every clamp and shift is met
        if name.endswith(".weight"):
            tensors[name] = rng.choice([-127, -40, 0, 3, 127], value.shape).astype(np.int8)
    grids = random_grids(3, 2, kept)
    expected = walk(Prior(tensors, LEVELS), *grids)
    got = walk(ReferencePrior(Int64Network(tensors), tensors, LEVELS), *grids)
    assert all((a == b).all() for a, b in zip(expected, got, strict=True))


def test_the_model_s_prior_in_int64_and_torch() -> None:
    model = open_model()
    rng, digits, masks = np.random.default_rng(1), [], []
    for level in model.levels:
        shape, half = (2 * 64 // level.stride, 3 * 64 // level.stride), (level.size - 1) // 2
        masks.append(rng.random(shape) < 0.9)
        grid = rng.integers(-half, half + 1, (*shape, level.digits)) * masks[-1][..., None]
        digits.append(grid.astype(np.int8))
    expected = walk(model.prior, digits, masks)
    for network in (Int64Network(model.tensors), TorchNetwork(model.tensors, model.folder / WEIGHTS)):
        got = walk(ReferencePrior(network, model.tensors, model.levels), digits, masks)
        assert all((a == b).all() for a, b in zip(expected, got, strict=True))


def run(folder: Path) -> tuple[int, str, dict]:
    Image.fromarray(grainy(90, 70)).save(folder / "a.png")
    out = folder / "out.json"
    arguments = ["--images", str(folder), "--qualities", "0.2,0.8", "--out", str(out)]
    result = CliRunner().invoke(exactness.main, arguments)
    return result.exit_code, result.stdout, json.loads(out.read_text())


def test_all_ways_agree(tmp_path: Path) -> None:
    code, said, report = run(tmp_path)
    assert code == 0 and said.startswith("ok: 2 files") and said.count("\n") == 1
    assert report["ok"] and [row["q"] for row in report["rows"]] == [0.2, 0.8]
    assert all(all(row["identical"].values()) and row["pixels_max"] <= 2 for row in report["rows"])
    assert {"constriction", "python", "1 thread", "int64", "torch"} <= set(report["rows"][0]["identical"])


def test_a_difference_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(Int64Network):
        def start(self) -> np.ndarray:
            return super().start() + 1

    monkeypatch.setattr(exactness, "Int64Network", Off)
    code, said, report = run(tmp_path)
    assert code == 1 and said.startswith("FAILED: 2 files, int64 differs in 2") and not report["ok"]


def test_pixels_too_far_apart_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exactness, "pixels", lambda data: (3, 80.0))
    code, said, _ = run(tmp_path)
    assert code == 1 and "pixels within 3/255" in said

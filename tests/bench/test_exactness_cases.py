"""bench.verification.exactness_cases: every way gives the counts and tokens of the first, and a way that does not is
noticed.
"""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from bench.verification import exactness_cases
from bench.verification.exactness_cases import WAYS, Way, compare, digest, network_of
from bench.verification.exactness_files import make_files
from ltokc import container
from ltokc.entropy.prior_layers import IntegerLayer
from ltokc.zoo.model import open_model

FEW = 14


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return make_files(FEW, 7)


@pytest.fixture(scope="module")
def digests(files: list[bytes]) -> list[str]:
    prior = open_model().prior
    return [digest(data, prior) for data in files]


def test_the_files_are_many_sided(files: list[bytes]) -> None:
    records = [container.read(data) for data in make_files(60, 7)]
    assert [container.write(record) for record in records[:FEW]] == files
    assert any(s.depth_map and s.tokens for r in records for s in r.segments) and any(r.segment_cells for r in records)
    assert {r.width for r in records} >= {1} and max(s.tokens for r in records for s in r.segments) > 300


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.options.get("device") != "cuda"])
def test_a_way_in_this_process(name: str, files: list[bytes], digests: list[str]) -> None:
    plain = IntegerLayer.__call__
    try:
        prior = network_of(WAYS[name], open_model())
        backend = WAYS[name].options.get("backend", "auto")
        assert [digest(data, prior, backend) for data in files] == digests
    finally:
        IntegerLayer.__call__ = plain  # type: ignore[method-assign]


def test_the_hash_sees_a_single_count(files: list[bytes], digests: list[str]) -> None:
    prior = open_model().prior

    class Off:
        levels = prior.levels

        def state(self, rows: int, columns: int) -> Any:
            state = prior.state(rows, columns)
            passes = state.passes

            def off(digits: np.ndarray, sent: np.ndarray) -> Any:
                for positions, counts in passes(digits, sent):
                    if len(counts):
                        most = int(counts[-1].argmax())  # the others may all be 1, the least there is
                        counts[-1, most] -= 1
                        counts[-1, most - 1] += 1
                    yield positions, counts

            state.passes = off  # type: ignore[method-assign]
            return state

    different = [digest(data, Off()) != known for data, known in zip(files, digests, strict=True)]
    walked = [any(s.tokens for s in container.read(data).segments) for data in files]
    assert different == walked and sum(walked) > FEW / 2


def test_processes_under_other_instructions(tmp_path: Path) -> None:
    first, other = "numpy", "numpy without AVX"
    report = compare(3, 1, None, [first, other, "torch, CUDA"], tmp_path)
    assert report["ok"] and report["ways"][other]["cases"] == 3 and not report["ways"][other]["different"]
    if platform.machine() == "x86_64":
        assert report["ways"][other]["really"]["numpy"] == "baseline"
    cuda = report["ways"]["torch, CUDA"]
    assert cuda == {"skipped": "no CUDA device"} or not cuda["different"]


def test_what_is_kept_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def go(name: str, files: Path, model: str | None) -> dict[str, Any]:
        calls.append(name)
        return {"digests": ["00"] * len(json.loads(files.read_text())[:: WAYS[name].part]), "really": {}}

    monkeypatch.setattr(exactness_cases, "go", go)
    for _ in range(2):
        assert compare(2, 1, None, ["numpy", "int64"], tmp_path)["ok"]
    assert calls == ["numpy", "int64"]


def test_a_difference_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(name: str, files: Path, model: str | None) -> dict[str, Any]:
        return {"digests": ["00", "11" if name == "torch" else "22"], "really": {}}

    monkeypatch.setattr(exactness_cases, "go", go)
    monkeypatch.setitem(WAYS, "torch", replace(Way("torch"), part=1))
    out = tmp_path / "out.json"
    result = CliRunner().invoke(exactness_cases.main, ["--cases", "2", "--way", "torch", "--out", str(out)])
    report = json.loads(out.read_text())
    assert result.exit_code == 1 and result.stdout == "FAILED: 2 files, 2 ways, 0 skipped\n"
    assert (report["ways"]["torch"]["different"], report["ways"]["torch"]["first"], report["ok"]) == (1, [1], False)

"""The benchmark of design choices: networks that train, nested lengths, and a table that finds what differs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from bench.design.ablate import KEEPS, coded, main, whole_tiles  # noqa: E402
from bench.design.ablation_variants import HALF, VARIANTS, trainer_of  # noqa: E402
from bench.design.latents_1d import PER_LEVEL, Latents  # noqa: E402
from tests.support.pictures import grainy  # noqa: E402
from tests.support.random_lpips import random_lpips  # noqa: E402


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file(random_lpips(), path)
    return path


@pytest.mark.parametrize("name", ["depthwise", "attention", "few-levels", "latents"])
def test_a_variant_codes_crops_and_more_levels_cost_more(name: str, lpips: Path) -> None:
    net = trainer_of(VARIANTS[name], 1, lpips).net.eval()
    x = torch.rand(2, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        costs = [coded(net, x, keep * len(net.config.levels) / KEEPS[-1])[1] for keep in (0.0, *KEEPS)]
        assert coded(net, x, 2.0)[0].shape == x.shape
    assert costs[0] == 0 and all(a < b for a, b in zip(costs, costs[1:], strict=False))


def test_what_changes_is_changed(lpips: Path) -> None:
    plain, deep, seeing = (
        {name: p.shape for name, p in trainer_of(VARIANTS[v], 1, lpips).net.named_parameters()}
        for v in ("base", "depthwise", "attention")
    )
    assert deep["final.0.b.weight"][1] == 1 < plain["final.0.b.weight"][1]
    added = {name.split(".attention")[0] for name in seeing if ".attention" in name}
    assert added == {"levels.0.block", "levels.1.block", "levels.2.block", "pre.3.0", "pre.3.1"}


def test_dropped_latents_do_not_count() -> None:
    torch.manual_seed(0)
    net = Latents(HALF).eval()
    x = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        _, digits = net.written(x)
        other = digits.clone()
        other[:, 2 * PER_LEVEL :] += 1
        sent = net.sent(torch.full((1, 1, 2, 2), 2.0))
        assert int(sent.sum()) == 2 * PER_LEVEL
        assert torch.equal(net.shown(digits, sent), net.shown(other, sent))
        other[:, 0] += 1
        assert not torch.equal(net.shown(digits, sent), net.shown(other, sent))


def test_middles_are_whole_tiles() -> None:
    assert whole_tiles(grainy(768, 512)).shape == (384, 512, 3) and whole_tiles(grainy(512, 768)).shape == (512, 384, 3)


def test_a_run_of_the_command(lpips: Path, tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.fromarray(grainy(160, 160)).save(data, "WEBP")
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "train-000.tar", "w") as tar:
        for i in range(72):
            member = tarfile.TarInfo(f"{i}.webp")
            member.size = data.tell()
            tar.addfile(member, io.BytesIO(data.getvalue()))
    (tmp_path / "images").mkdir()
    Image.fromarray(grainy(512, 384)).save(tmp_path / "images" / "a.png")
    paths = [("shards", "shards"), ("images", "images"), ("cache", "cache"), ("runs", "runs")]
    options = [word for option, name in paths for word in (f"--{option}", str(tmp_path / name))]
    words = ["train", "base", "--steps", "1", "--lpips", str(lpips), *options]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0 and "base: 16 crops" in done.output
    out = tmp_path / "table.json"
    assert CliRunner().invoke(main, ["table", "--runs", str(tmp_path / "runs"), "--out", str(out)]).exit_code == 0
    rows = {row["variant"]: row for row in json.loads(out.read_text())["variants"]}
    assert set(rows) == {"base"} and len(rows["base"]["mean"]) == len(KEEPS)


def test_a_table_of_known_curves(tmp_path: Path) -> None:
    rows = [[0.05 * (i + 1), 10.0 * i, 0.8 + 0.01 * i, 22.0 + i, 0.5 - 0.03 * i] for i in range(9)]
    fields = {"what": "", "samples": 1, "crop": 128, "seconds": 1, "parameters": 1, "tiles": False}
    for name, factor in (("base", 1.0), ("cheap", 0.8)):
        scaled = [[row[0] * factor, *row[1:]] for row in rows]
        (tmp_path / f"{name}.json").write_text(json.dumps({**fields, "rows": {"a": scaled, "b": scaled}}))
    out = tmp_path / "table"
    CliRunner().invoke(main, ["table", "--runs", str(tmp_path), "--out", str(out)], catch_exceptions=False)
    found = {row["variant"]: row["against_base"] for row in json.loads(out.read_text())["variants"]}
    assert all(v["rate"] == pytest.approx(-0.2) and v["pictures"] == 2 for v in found["cheap"].values())
    assert all(v["rate"] == pytest.approx(0) for v in found["base"].values())

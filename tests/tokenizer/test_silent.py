"""Units that never fire: found, told in the weights' metadata, and left out of the graphs that encode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ltokc.errors import ModelError
from ltokc.tokenizer.gradient import first_level
from ltokc.tokenizer.runtime import Runtime, open_runtime
from ltokc.tokenizer.silent import KEY, awake_units, silent_units, with_silent
from ltokc.tokenizer.windows import pack
from ltokc.zoo.weights import WEIGHTS, Weights
from tests.support.copied_model import copied, grainy_shard
from tests.support.gradients import TOLERANCE, as_given, compared
from tests.support.pictures import grainy
from tests.support.small_model import LEVELS, random_grids, small_ladder

QUIET = {  # all of the units of some blocks, some of others
    "encoder.1.0": range(8), "encoder.4.0": range(16), "pre.2.0": range(12), "levels.1.query.1": range(16),
    "levels.2.block": (0, 3, 11), "levels.4.block": range(12), "pre.0.0": (7,), "final.0": (1, 2),
}  # fmt: skip
HEADER = {"a.b.weight": {"shape": [4, 4, 3, 3]}, "__metadata__": {"config": json.dumps({KEY: {"a": [0, 2]}})}}


@pytest.fixture(scope="module", autouse=True)
def _torch() -> None:
    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)


def quiet_ladder(low: float = -1e4):  # type: ignore[no-untyped-def]
    import torch

    net = small_ladder(5)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.half().float())
        for name, units in QUIET.items():
            net.get_submodule(name).b.bias[list(units)] = low
    return net


def written(net, folder: Path, silent: dict) -> Runtime:  # type: ignore[no-untyped-def, type-arg]
    """The network's graphs without these units, on ONNX Runtime."""
    from safetensors.numpy import save_file

    from ltokc.train.export.gradient_graph import write_gradient_graphs
    from ltokc.train.export.onnx_graph import write_graphs
    from ltokc.train.export.tensors import network_tensors

    folder.mkdir()
    config = with_silent(net.config.to_json(), {k: tuple(v) for k, v in silent.items()})
    save_file(network_tensors(net), folder / WEIGHTS, {"config": config})
    write_graphs(folder, net.config)
    write_gradient_graphs(folder, net.config)
    return open_runtime(folder, "onnx", "cpu", 1)


def crops(count: int = 3) -> list[np.ndarray]:
    return [np.asarray(grainy(128, 128, seed=i)) for i in range(count)]


def test_they_are_found() -> None:
    from ltokc.train.pruning.firing import silent_in

    net = quiet_ladder()
    found = silent_in(net, crops(), np.random.default_rng(0))
    for name, units in QUIET.items():
        assert set(units) <= set(found[name]), name
        assert len(found[name]) == len(units) or set(found[name]) != set(range(net.get_submodule(name).b.out_channels))
    assert silent_in(small_ladder(5), crops(), np.random.default_rng(0)).get("pre.0.0", ()) == ()


def test_graphs_without_them_compute_the_same(tmp_path: Path) -> None:
    import torch

    net = quiet_ladder()
    whole, less = written(net, tmp_path / "whole", {}), written(net, tmp_path / "less", QUIET)
    rgb = np.asarray(grainy(192, 128))
    ones = [np.ones((1, 1, 128 // v.stride, 192 // v.stride), np.uint8) for v in LEVELS]
    found, expected = less.tokenize(pack(rgb), ones), whole.tokenize(pack(rgb), ones)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)) and expected[0].any()
    digits, masks = as_given(*random_grids(2, 3, 0.7))
    with torch.no_grad():
        shown = net.detokenize([torch.from_numpy(d).float() for d in digits], [torch.from_numpy(m) for m in masks])
    wanted = ((shown[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    assert np.abs(pack(wanted) - less.detokenize(digits, masks)).max() <= 1
    digits[0][:] *= 20
    compared(less, net, digits, masks, first_level(LEVELS), TOLERANCE)


def test_graphs_without_them_hold_less(tmp_path: Path) -> None:
    import onnx

    net = quiet_ladder()
    written(net, tmp_path / "whole", {})
    written(net, tmp_path / "less", QUIET)
    for name, gone in (("tokenizer", 5 * 3), ("detokenizer", 0), ("forward", 2 * 3)):
        counts = [
            sum(node.op_type == "Conv" for node in onnx.load(tmp_path / which / f"{name}.onnx",
                                                             load_external_data=False).graph.node)
            for which in ("whole", "less")
        ]  # fmt: skip
        assert counts[0] - counts[1] == gone - (3 if name == "tokenizer" else 0), name


@pytest.mark.parametrize("said", ["[]", '{"a": [4]}', '{"a": [-1]}', '{"a": [1, 1]}', '{"a": [2, 1]}', '{"a": [true]}',
                                  '{"a": 3}', '{"b": [0]}', '{"a": ["0"]}', "{", '{"a": [0.5]}'])  # fmt: skip
def test_units_that_are_not_there_are_refused(said: str) -> None:
    with pytest.raises(ModelError, match="silent"):
        silent_units(HEADER | {"__metadata__": {"config": f'{{"{KEY}": {said}}}'}})


def test_what_the_metadata_says() -> None:
    assert silent_units(HEADER) == {"a": (0, 2)} and silent_units({}) == {}
    assert awake_units(HEADER, silent_units(HEADER), "a") == [1, 3]
    assert awake_units(HEADER, {}, "a") is None
    assert awake_units(HEADER, {"a": (0, 1, 2, 3)}, "a") == []


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return grainy_shard(tmp_path / "shards", 3)


def test_the_command_leaves_files_and_pictures_as_they_are(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped model, everything that it leaves out brought back, pruned again by a few crops."""
    import ltokc
    from ltokc.cli import cli
    from ltokc.train.export.encoder import add_encoder
    from ltokc.zoo.model import open_model

    shipped = open_model()
    models = tmp_path / "models"
    folder = copied(shipped, models)
    add_encoder(shipped.folder / WEIGHTS, models, "ladder-6")
    assert KEY not in Weights(folder / WEIGHTS).config
    words = ["models", "prune", "--models", models, "--name", "ladder-6", "--shards", shards, "--held-out", 0,
             "--crops", 3]  # fmt: skip
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == 0 and "fire on none of 3 crops" in result.output
    said = silent_units(Weights(folder / WEIGHTS).header)
    known = silent_units(shipped.weights.header)
    common = sum(len(set(units) & set(said.get(name, ()))) for name, units in known.items())
    assert common > 0.9 * sum(map(len, known.values())) > 0
    picture = grainy(160, 96, seed=9)
    data = ltokc.encode(picture, quality=0.6, effort=0, patches="off")
    pixels = np.asarray(ltokc.decode(data, backend="onnx", precision="exact"))
    decoder = (folder / "detokenizer.onnx").read_bytes(), (shipped.folder / "detokenizer.onnx").read_bytes()
    monkeypatch.setenv("LTOKC_MODELS", str(models))
    pruned = open_model(shipped.entry.id)
    assert pruned.folder == folder and pruned.entry.bitstream_hash == shipped.entry.bitstream_hash
    assert len(decoder[0]) == pytest.approx(len(decoder[1]), abs=200)  # other offsets, the same nodes
    assert np.array_equal(np.asarray(ltokc.decode(data, backend="onnx", precision="exact")), pixels)
    ltokc.verify(ltokc.encode(picture, quality=0.6, patches="off"))

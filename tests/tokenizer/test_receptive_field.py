"""How far the networks look, from the shapes of their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ltokc.errors import ModelError
from ltokc.tokenizer.receptive_field import (
    CELL,
    STRIDES,
    ReceptiveField,
    decoder_spans,
    encoder_cells,
    receptive_field,
    tokenizer_spans,
)
from ltokc.tokenizer.runtime import feature_cut, onnx_cuts, state_cut
from tests.support.small_model import LEVELS, small_config, small_ladder


def header(*names: tuple[str, int]) -> dict[str, dict[str, list[int]]]:
    return {name: {"shape": [8, 8, kernel, kernel]} for name, kernel in names}


def test_every_part_counts_at_its_stride() -> None:
    found = receptive_field(
        header(
            ("stem.weight", 3), ("encoder.0.0.b.weight", 3), ("encoder.4.0.b.weight", 5), ("pre.3.0.b.weight", 3),
            ("pre.3.1.b.weight", 3), ("final.0.b.weight", 3), ("head.weight", 3), ("pre.0.0.b.weight", 3),
            ("levels.1.query.1.b.weight", 3), ("levels.1.block.b.weight", 7), ("levels.0.embed.weight", 1),
            ("up.0.conv.weight", 1), ("prior.mix.0.b.weight", 3),
        ),
        (64, 32),
    )  # fmt: skip
    assert found == ReceptiveField((64, 32), (2, 0, 0, 0, 2), (2, 0, 0, 2, 0), (0, 1), (0, 3), 1)


@pytest.mark.parametrize("name", ["attention.weight", "encoder.5.0.b.weight", "levels.2.block.b.weight", "weight"])
def test_a_convolution_of_unknown_place_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        receptive_field(header((name, 3)), (64, 32))


def test_a_deeper_network_looks_farther() -> None:
    reach = ReceptiveField((64, 32, 16, 8), (2, 1, 1, 1, 1), (2, 1, 1, 1, 0), (1,) * 4, (1,) * 4, 1)
    core, side = (4096, 5120), 16384
    for field in ("before", "absorb"):
        deeper = replace(reach, **{field: tuple(v + 2 for v in getattr(reach, field))})
        near, far = decoder_spans(reach, core, side), decoder_spans(deeper, core, side)
        assert all(far[s][0] <= near[s][0] and far[s][1] >= near[s][1] for s in STRIDES) and far[64] != near[64]


def test_the_networks_look_no_farther() -> None:
    """What lies outside of the spans changes nothing in the core; what lies at its middle does."""
    import torch

    net = small_ladder(3)
    tensors = {name: {"shape": list(tensor.shape)} for name, tensor in net.state_dict().items()}
    reach = receptive_field(tensors, [level.stride for level in LEVELS])
    cells, rng = 24, np.random.default_rng(1)
    digits = [torch.from_numpy(rng.integers(-1, 2, (1, v.digits, CELL // v.stride, cells * CELL // v.stride))).float()
              for v in LEVELS]  # fmt: skip
    masks = [torch.ones_like(d[:, :1]) for d in digits]
    core = (12 * CELL, 13 * CELL)
    spans = decoder_spans(reach, core, cells * CELL)
    with torch.no_grad():
        whole = net.detokenize(digits, masks)[..., core[0] : core[1]]
        for k, level in enumerate(LEVELS):
            low, high = spans[level.stride]
            for position, inside in ((low - 1, False), ((low + high) // 2, True), (high, False)):
                other = [d.clone() for d in digits]
                other[k][..., position] = 1 - other[k][..., position]
                found = net.detokenize(other, masks)[..., core[0] : core[1]]
                assert torch.equal(found, whole) is not inside, (k, position)
        x = torch.from_numpy(rng.normal(0, 0.5, (1, 3, CELL, cells * CELL))).float()
        spans = tokenizer_spans(reach, (12, 13), cells * CELL)
        seen = encoder_cells(reach, spans, cells * CELL)
        tokens = [d[..., 12 * CELL // v.stride : 13 * CELL // v.stride] for d, v in zip(net.tokenize(x, masks), LEVELS,
                                                                                       strict=True)]  # fmt: skip
        far = x.clone()
        far[..., : seen[0] * CELL] = 0
        far[..., seen[1] * CELL :] = 0
        assert 0 < seen[0] < 12 and 13 < seen[1] < cells
        found = [d[..., 12 * CELL // v.stride : 13 * CELL // v.stride] for d, v in zip(net.tokenize(far, masks), LEVELS,
                                                                                      strict=True)]  # fmt: skip
        assert all(torch.equal(a, b) for a, b in zip(tokens, found, strict=True))


def test_cuts_are_refused_in_other_graphs(tmp_path: object) -> None:
    for graph in (b"", b"\x3a\x00", b"\x3a\x05abc", b"\xff" * 20, bytes(range(200))):
        with pytest.raises(ModelError):
            onnx_cuts.with_cuts(graph, (32, 16, 8, 4), features=False)


def test_the_cut_graph_has_a_slice_for_every_cut(tmp_path: object) -> None:
    import onnx

    from ltokc.zoo.model import open_model

    folder = open_model().folder
    for name, strides, features in (("tokenizer", (32, 16, 8), True), ("detokenizer", (32, 16, 8, 4), False)):
        original = onnx.load(folder / f"{name}.onnx", load_external_data=False)
        cut = onnx.load_from_string(onnx_cuts.with_cuts((folder / f"{name}.onnx").read_bytes(), strides, features))
        wanted = {state_cut(s) for s in strides} | ({feature_cut(s) for s in (64, *strides)} if features else set())
        assert {n.input[1].removesuffix("_from") for n in cut.graph.node if n.op_type == "Slice"} == wanted
        assert len(cut.graph.node) == len(original.graph.node) + len(wanted)
        assert [i.name for i in cut.graph.input][: len(original.graph.input)] == [i.name for i in original.graph.input]
        assert list(cut.graph.output) == list(original.graph.output)


def test_the_small_ladder_is_the_one_assumed() -> None:
    assert tuple(level.stride for level in small_config().levels) == tuple(level.stride for level in LEVELS)

"""The integer prior: the same numbers as the torch network, exact, and counts that a range coder can use."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltokc import codec
from ltokc.entropy import prior_onnx
from ltokc.entropy.prior import Prior, PriorState, counts_from_logits
from ltokc.entropy.prior_layers import IntegerLayer
from ltokc.errors import LtokcError, ModelError
from ltokc.geometry import Level
from ltokc.ort.graphs import Graph
from ltokc.zoo.model import open_model
from tests.support.small_model import LEVELS, random_grids, small_ladder

torch = pytest.importorskip("torch")
GOLDEN = Path(__file__).resolve().parents[2] / "formats" / "golden" / "v1"


@pytest.fixture(scope="module")
def ladder():
    return small_ladder()


@pytest.fixture(scope="module")
def prior(ladder):
    from ltokc.train.export.tensors import prior_tensors

    return Prior(prior_tensors(ladder), LEVELS)


def walk(prior, digits, masks):
    """Counts of every pass of every level."""
    state, out = prior.state(*digits[0].shape[:2]), []
    for d, m in zip(digits, masks, strict=True):
        state.enter()
        out += [(positions, counts) for positions, counts in state.passes(d, m)]
        state.absorb(d, m)
    return out


@pytest.mark.parametrize("kept", [1.0, 0.7])
def test_counts_are_those_of_the_torch_network(ladder, prior, kept):
    digits, masks = random_grids(3, 2, kept)
    t = [torch.from_numpy(d.astype(np.float32)).permute(2, 0, 1)[None] for d in digits]
    m = [torch.from_numpy(s.astype(np.float32))[None, None] for s in masks]
    with torch.no_grad():
        logps = ladder.prior(t, m)
    passes = walk(prior, digits, masks)
    for k, level in enumerate(LEVELS):
        reference = logps[k][0].permute(2, 3, 0, 1).reshape(-1, level.digits, level.size).numpy()
        for positions, counts in passes[2 * k : 2 * k + 2]:
            got = counts.reshape(len(positions), level.digits, level.size) / 65536
            assert np.abs(got - np.exp(reference[positions])).max() < 2e-3


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), k=st.integers(1, 300), shift=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_layer_is_exact_integer_arithmetic(seed, rows, k, shift):
    """float32 matrix products against int64 arithmetic with shifts, at the extremes of the range."""
    rng = np.random.default_rng(seed)
    weight = rng.choice([-127, -1, 0, 1, 127], (9, k)).astype(np.int8)
    bias = rng.integers(-(2**20), 2**20, 9).astype(np.int32)
    shifts = np.full(9, shift)
    layer = IntegerLayer({"a.weight": weight, "a.bias": bias, "a.shift": shifts.astype(np.uint8)}, "a")
    x = rng.choice([-127, -126, 0, 127], (rows, k)).astype(np.float32)
    acc = x.astype(np.int64) @ weight.astype(np.int64).T + bias
    assert (layer(x, -127, 127) == np.clip((acc + (1 << (shift - 1))) >> shift, -127, 127)).all()


def test_the_order_of_summation_does_not_matter(prior):
    layer = prior.network.levels[-1].absorb.b
    x = np.random.default_rng(0).integers(0, 128, (500, layer.weight.shape[0])).astype(np.float32)
    shuffled = np.random.default_rng(1).permutation(layer.weight.shape[0])
    assert (x @ layer.weight == x[:, shuffled] @ layer.weight[shuffled]).all()


def test_weights_outside_the_exact_range_are_refused():
    tensors = {
        "a.weight": np.full((1, 1100), 127, np.int8),
        "a.bias": np.zeros(1, np.int32),
        "a.shift": np.ones(1, np.uint8),
    }
    with pytest.raises(ModelError, match="exact range"):
        IntegerLayer(tensors, "a")


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 50), st.integers(2, 9)), elements=st.integers(-1024, 1024).map(float)
    )
)
def test_counts_sum_to_65536_and_none_is_zero(logits):
    table = np.rint(65536 * np.exp(-np.arange(1024) / 64)).astype(np.int64)
    counts = counts_from_logits(logits, table)
    assert (counts.sum(1) == 65536).all() and counts.min() >= 1
    assert (counts.argmax(1) == logits.argmax(1)).all()


def test_a_missing_tensor_is_a_model_error():
    with pytest.raises(ModelError, match=r"prior\.start"):
        Prior({}, (Level(64, 6, 7),))


def test_even_squares_do_not_depend_on_this_level(prior):
    """What a decoder does not have yet must not matter: change all digits of a level, the first pass stays."""
    digits, masks = random_grids(2, 2, 1.0)
    changed = [d.copy() for d in digits]
    changed[-1][...] = 0
    before, after = walk(prior, digits, masks), walk(prior, changed, masks)
    assert (before[-2][1] == after[-2][1]).all()
    assert (before[-1][1] != after[-1][1]).any()


def changed(**tensors):
    def change(known):
        return known | {name.replace("__", "."): value for name, value in tensors.items()}

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(prior__levels__9__hidden__bias=np.zeros(4, np.int32)), "levels.9.hidden.bias is unknown"),
        (changed(prior__gate=np.zeros(4, np.int8)), "prior.gate is unknown to this program"),
        (changed(prior__start=np.zeros(127, np.int8)), "prior.up.0.weight is"),
        (changed(prior__start=np.zeros(128, np.float32)), "prior.start is <f4"),
        (changed(prior__start=np.zeros((), np.int8)), "prior.start is"),
        (changed(prior__start=np.zeros(0, np.int8)), "prior.start is"),
        (changed(prior__up__0__bias=np.zeros(4, np.int64)), "prior.up.0.bias is <i8"),
        (lambda known: {k: v for k, v in known.items() if k != "prior.mix.0.b.shift"}, "no tensor 'prior.mix.0.b.s"),
    ],
)
def test_weights_of_another_make_are_refused(ladder, change, reason):
    from ltokc.train.export.tensors import prior_tensors

    with pytest.raises(ModelError, match=reason):
        Prior(change(prior_tensors(ladder)), LEVELS)


@pytest.mark.parametrize("levels", [LEVELS[:-1], (Level(64, 3, 5), *LEVELS[1:]), (*LEVELS[:-1], Level(4, 3, 3))])
def test_levels_that_the_weights_are_not_for(ladder, levels):
    from ltokc.train.export.tensors import prior_tensors

    with pytest.raises(ModelError):
        Prior(prior_tensors(ladder), levels)


def test_a_prior_of_another_kind_is_refused(tmp_path):
    import json

    from safetensors import safe_open
    from safetensors.numpy import save_file

    from ltokc.zoo import registry
    from ltokc.zoo.model import Model

    entry = registry.find(6)
    with safe_open(registry.folder(entry) / "model.safetensors", "np") as f:
        tensors = {name: f.get_tensor(name) for name in f.keys() if name.startswith("prior.")}  # noqa: SIM118
        config = json.loads(f.metadata()["config"])
    for kind in (1, 2, "gated"):
        path = tmp_path / "model.safetensors"
        save_file(tensors, path, {"config": json.dumps(config | {"prior_kind": kind})})
        model = Model(entry, tmp_path)
        if kind == 1:
            assert model.prior.network.start.size
        else:
            with pytest.raises(ModelError, match=f"a prior of kind {kind!r}"):
                model.prior  # noqa: B018


# -- the same in 8-bit integers ---------------------------------------------------------------------------------------
def counts_of(prior, network, digits, masks):
    state, out = PriorState(prior, network, *digits[0].shape[:2]), []
    for d, m in zip(digits, masks, strict=True):
        state.enter()
        out += [counts for _, counts in state.passes(d, m)]
        state.absorb(d, m)
    return out


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.0])
def test_bytes_and_floats_give_the_same_counts(prior, kept):
    pytest.importorskip("onnxruntime")
    digits, masks = random_grids(3, 2, kept)
    a, b = (counts_of(prior, network, digits, masks) for network in (prior.network, prior.quick))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    made = prior.quick.sessions.values()
    assert made and all(session is not None for session in made)  # none had to be done by numpy


def test_the_shipped_model_at_the_extremes():
    """States that no picture has, through every layer of the model: all of them agree when the graphs are made."""
    pytest.importorskip("onnxruntime")
    prior = open_model().prior
    digits, masks = [], []
    rng = np.random.default_rng(0)
    for level in prior.levels:
        grid = rng.choice([-level.half, level.half], (4 * level.per_side, 3 * level.per_side, level.digits))
        digits.append(grid.astype(np.int8))
        masks.append(rng.random(grid.shape[:2]) < 0.9)
    a, b = (counts_of(prior, network, digits, masks) for network in (prior.network, prior.quick))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    assert all(session is not None for session in prior.quick.sessions.values())


@pytest.mark.parametrize("what", ["QLinearConv", "MatMulIntegerToFloat"])
def test_a_runtime_that_differs_is_not_used(ladder, what, monkeypatch):
    """As one whose sums saturate: here every sum of a kind of operator is one off."""
    pytest.importorskip("onnxruntime")
    from ltokc.train.export.tensors import prior_tensors

    node = Graph.node

    def wrong(graph, op, inputs, output, *rest, **attributes):
        if op == what:
            bias = inputs[-1]
            graph.constants[bias] = graph.constants[bias] + np.ones((), graph.constants[bias].dtype) * 99
        return node(graph, op, inputs, output, *rest, **attributes)

    monkeypatch.setattr(Graph, "node", wrong)
    prior = Prior(prior_tensors(ladder), LEVELS)
    digits, masks = random_grids(3, 2, 1.0)
    a, b = (counts_of(prior, network, digits, masks) for network in (prior.network, prior.quick))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    assert None in prior.quick.sessions.values()


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.ltk")), ids=lambda path: path.stem)
def test_golden_files_have_the_same_tokens_either_way(golden, monkeypatch):
    pytest.importorskip("onnxruntime")
    found = []
    for pays in (False, True):
        monkeypatch.setattr(prior_onnx.QuickNetwork, "pays", lambda _, cells, pays=pays: pays)
        try:
            found.append(codec.tokens(golden.read_bytes(), allow_truncated=True, limit_pixels=None))
        except LtokcError as error:
            found.append(str(error))
    a, b = found
    assert type(a) is type(b)
    if isinstance(a, str):
        assert a == b
    else:
        assert all(np.array_equal(p, q) for x, y in ((a.digits, b.digits), (a.masks, b.masks))
                   for p, q in zip(x, y, strict=True))  # fmt: skip


def test_what_it_pays_for():
    network = prior_onnx.QuickNetwork({}, None)
    assert network.pays(prior_onnx.AT_ONCE)
    seen = [network.pays(1) for _ in range(3)]
    assert seen == [("onnxruntime" in sys.modules)] * 3  # the process has worked on enough
    assert not prior_onnx.QuickNetwork({}, None).pays(1)
    small = [prior_onnx.QuickNetwork({}, None).pays(prior_onnx.AT_ONCE - 1) for _ in range(2)]
    assert small == [("onnxruntime" in sys.modules)] * 2
    network = prior_onnx.QuickNetwork({}, None)
    assert [network.pays(prior_onnx.LOADING // 2) for _ in range(2)][1]  # it pays to load the runtime for it

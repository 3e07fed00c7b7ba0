"""formats/LTK.md is enough to read tokens: a reader written from its text alone agrees with the codec."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import ltokc
from ltokc import container
from ltokc.container import Header, Ltk, Segment, segment_boxes
from ltokc.entropy.depth_map import depth_counts
from ltokc.entropy.segment import SegmentWriter
from ltokc.token_grid import full_masks, token_capacity
from ltokc.token_order import BAYER
from ltokc.zoo import registry
from ltokc.zoo.model import open_model
from tests.support import independent_container, independent_picture, independent_reader
from tests.support.independent_reader import Refused, Weights, read_tokens
from tests.support.tilings import small_segments

TEXT = (Path(__file__).parents[2] / "formats" / "LTK.md").read_text("utf-8")
RANDOM_ID = 268435001  # of a model that lives as long as these tests
RANDOM_LEVELS = ((64, 2, 15), (64, 1, 3), (32, 3, 7), (16, 2, 5), (16, 4, 3), (8, 1, 9))


@pytest.fixture(scope="module")
def weights():
    return Weights(registry.folder(registry.find()) / "model.safetensors", registry.find().id)


def random_tensors(rng, state=10, inner=7, hidden=9):
    """A prior of random weights, large enough that every clamp is met and shifts of 0 occur."""

    def layer(name, q, p, kernel=(), shifts=(0, 13)):
        shift = rng.integers(*shifts, q)
        limit = np.minimum(127, 2 ** np.minimum(shift + 1, 7))[(..., *[None] * (1 + len(kernel)))]
        tensors[f"prior.{name}.weight"] = rng.integers(-limit, limit + 1, (q, p, *kernel)).astype(np.int8)
        tensors[f"prior.{name}.bias"] = (rng.normal(0, 40, q) * 2.0**shift).round().astype(np.int32)
        tensors[f"prior.{name}.shift"] = shift.astype(np.uint8)

    def block(name, extra):
        layer(f"{name}.a", inner, state + extra)
        layer(f"{name}.b", inner, inner, (3, 3))
        layer(f"{name}.c", state, inner)

    tensors = {"prior.start": rng.integers(-127, 128, state).astype(np.int8)}
    tensors["prior.exp_table"] = np.rint(65536 * np.exp(-np.arange(1024) / 64)).astype(np.int32)
    for i in range(len({stride for stride, _, _ in RANDOM_LEVELS}) - 1):
        layer(f"up.{i}", 4 * state, state)
        block(f"mix.{i}", 0)
    for k, (_, d, size) in enumerate(RANDOM_LEVELS):
        for odd, more in (("", 0), ("_odd", 4 * (2 * d + 1))):
            layer(f"levels.{k}.hidden{odd}", hidden, state + more)
            layer(f"levels.{k}.logits{odd}", d * size, hidden, shifts=(0, 8))
        block(f"levels.{k}.absorb", 2 * d + 1)
    return tensors


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """Installs the random model; its weights as the independent reader sees them."""
    models = tmp_path_factory.mktemp("models")
    (models / "random").mkdir()
    config = {"levels": [{"stride": t, "digits": d, "size": s} for t, d, s in RANDOM_LEVELS]}
    tensors = random_tensors(np.random.default_rng(1)) | {"top": np.ones((2, 3), np.float16)}
    save_file(tensors, models / "random" / "model.safetensors", {"config": json.dumps(config)})
    found = Weights(models / "random" / "model.safetensors", RANDOM_ID)
    entry = {
        "id": RANDOM_ID,
        "name": "random",
        "folder": "random",
        "files": {},
        "bitstream_hash": found.hash,
        "quality": [],
    }
    (models / "registry.json").write_text(json.dumps({"models": [entry]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(registry.ENVIRONMENT, str(models))
        yield found


def picture(width, height):
    """Slopes, a disc and grain: (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    rgb = np.stack([60 + x % 190, 200 - y % 170, 90 + (x + y) / 3 % 120], -1)
    rgb[(x - width / 2) ** 2 + (y - height / 3) ** 2 < (height / 4) ** 2] = (240, 200, 60)
    return (rgb + np.random.default_rng(0).normal(0, 9, rgb.shape)).clip(0, 255).astype(np.uint8)


def made_file(model_id, width, height, *, depth_map, share=1.0, segment_cells=0, seed=0):
    """A file of random digits, with random depths if wanted and `share` of every segment's tokens; and how many."""
    model, rng, segments = open_model(model_id), np.random.default_rng(seed), []
    for _, _, columns, rows in segment_boxes(width, height, segment_cells):
        depths = rng.integers(0, len(model.levels) + 1, (rows, columns)) if depth_map else None
        digits = []
        for level, mask in zip(model.levels, full_masks(model.levels, rows, columns, depths), strict=True):
            half = level.size // 2
            drawn = rng.integers(-half, half + 1, (*mask.shape, level.digits))
            digits.append((drawn * mask[..., None]).astype(np.int8))
        writer = SegmentWriter(model.prior, digits, depths)
        tokens = int(writer.total * share)
        segments.append(Segment(tokens, depth_map, writer.stream(tokens)))
    ltk = Ltk(Header(model.entry.id, model.entry.bitstream_hash, width, height, segment_cells), tuple(segments))
    return container.write(ltk), sum(segment.tokens for segment in segments)


def assert_same(data, weights, allow_truncated=False):
    """Compares what both readers find; returns the number of tokens."""
    theirs, ours = read_tokens(data, weights, allow_truncated), ltokc.tokens(data, allow_truncated=allow_truncated)
    for k, (digits, mask) in enumerate(zip(ours.digits, ours.masks, strict=True)):
        assert np.array_equal(theirs.present[k], mask), f"level {k}: another set of tokens"
        assert np.array_equal(theirs.digits[k], digits), f"level {k}: other digits"
    return ours.count


def test_the_reader_is_independent():
    for module in (independent_reader, independent_container, independent_picture):
        tree = ast.parse(Path(module.__file__).read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported and not any(name.startswith(("ltokc", "bench")) for name in imported)


# --- files of the model in the box ---------------------------------------------------------------------------------
@pytest.mark.parametrize("quality", [0, 0.35, 0.7, 1])
def test_files_of_several_qualities(weights, quality):
    assert assert_same(ltokc.encode(picture(130, 70), quality), weights) > 0


@pytest.mark.parametrize("tokens", [0, 1, 2, 5, 31, 100])
def test_any_number_of_tokens(weights, tokens):
    assert assert_same(ltokc.encode(picture(60, 61), tokens=tokens), weights) == tokens


def test_a_file_with_chunks(weights):
    rgba = Image.fromarray(np.dstack([picture(50, 40), picture(50, 40)[..., 0]]))
    data = ltokc.encode(rgba, tokens=80)
    assert b"ALPH" in data and assert_same(data, weights) == 80


def test_several_segments(weights, monkeypatch):
    small_segments(monkeypatch, 4)
    data = ltokc.encode(picture(590, 70), 0.5)
    info = ltokc.info(data)
    assert info.segments == 2 and assert_same(data, weights) == info.tokens
    for length in (len(data) - 2, len(data) * 2 // 3, len(data) // 3):
        assert 0 < assert_same(data[:length], weights, allow_truncated=True) <= info.tokens


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_depth_maps(weights, share):
    data, tokens = made_file(None, 200, 130, depth_map=True, share=share)
    assert ltokc.info(data).depth_map and assert_same(data, weights) == tokens


def test_a_cut_file(weights):
    data = ltokc.encode(picture(64, 64), tokens=120)
    with pytest.raises(Refused):
        read_tokens(data[:-5], weights)
    found = [assert_same(data[:length], weights, allow_truncated=True) for length in range(14, len(data), 7)]
    assert found == sorted(found) and found[0] < 10 < 100 < found[-1]


def test_the_hash_of_the_model_in_the_box_is_that_of_the_text(weights):
    assert weights.hash == registry.find().bitstream_hash


# --- files of a model of random weights: other sizes, and all the clamps ------------------------------------------
@pytest.mark.parametrize("depth_map", [False, True])
@pytest.mark.parametrize(("width", "height", "segment_cells"), [(64, 64, 0), (193, 64, 0), (130, 200, 0), (64, 577, 8)])
def test_a_random_model(random_weights, width, height, segment_cells, depth_map):
    for share in (0.07, 0.6, 1.0):
        data, tokens = made_file(
            RANDOM_ID, width, height, depth_map=depth_map, share=share, segment_cells=segment_cells, seed=width
        )
        assert assert_same(data, random_weights) == tokens


@pytest.mark.parametrize("depth_map", [False, True])
def test_a_random_model_cut(random_weights, depth_map):
    data, tokens = made_file(RANDOM_ID, 193, 64, depth_map=depth_map)
    found = [assert_same(data[:length], random_weights, allow_truncated=True) for length in range(20, len(data), 13)]
    assert found == sorted(found) and found[-1] <= tokens


# --- what the text itself shows ------------------------------------------------------------------------------------
def test_the_table_of_ranks():
    rows = re.findall(r"^\| \*\*\d\*\* \|(.*)\|$", TEXT, re.M)
    assert np.array_equal([[int(v) for v in row.split("|")] for row in rows], BAYER)
    assert all(independent_reader.rank(y, x) == BAYER[y % 8, x % 8] for y in range(17) for x in range(17))


def test_the_sizes_of_the_model_in_the_box():
    model = open_model(None)
    assert token_capacity(model.levels, 1, 1) <= container.MAX_CELL_TOKENS
    assert all(level.size % 2 and 3 <= level.size <= 15 for level in model.levels)


def numbers(line):
    return [int(v.replace("−", "-")) for v in line.split()]


def test_the_worked_example_of_counts(random_weights):
    logits, counts = re.search(r"^    logits (.*)\n    counts (.*)$", TEXT, re.M).groups()
    assert random_weights.counts(numbers(logits)) == numbers(counts)


def test_the_worked_example_of_depths():
    first, second = re.findall(r"^    depths (.*)$", TEXT, re.M)
    for values, (wanted, index) in {(11, 0, 0, 0): (first, 0), (0, 4, 3, 0): (second, 3)}.items():
        counts = [list(c[0]) for _, c in depth_counts(np.array(values), (2, 2), 11)][index]
        assert counts == numbers(wanted)

"""How large the units of a model's blocks get, and what 8-bit integers are off by, on crops of training pictures.

For the graphs of `ltokc.train.export.eight_bit_blocks`.  What a unit may reach is the largest that was seen: what is
cut shows as a mark in the picture.  So crops keep what files may keep, cells of all depths side by side and levels of
which a part is there, some have random tokens, and fields of one colour and noise of full contrast are looked at too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from onnx import helper
from safetensors.numpy import save_file

from ltokc.geometry import CELL
from ltokc.ort.inline import with_weights
from ltokc.ort.sessions import session_options
from ltokc.ort.silent import ort
from ltokc.threads import runtime_threads
from ltokc.token_grid import full_masks
from ltokc.tokenizer.nn.config import STRIDES, LadderConfig
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER, Runtime, feeds, open_runtime
from ltokc.tokenizer.windows import pack
from ltokc.train.export.eight_bit_blocks import IntegerLadder, Measured
from ltokc.train.export.onnx_graph import F, LadderGraph, detokenizer_nodes, tokenizer_nodes
from ltokc.zoo.weights import WEIGHTS, Weights

Found = dict[str, dict[str, Measured]]  # graph -> block -> what it gave
NODES = {TOKENIZER: tokenizer_nodes, DETOKENIZER: detokenizer_nodes}
COARSEST = 16  # stride in integers: an error at a coarser one is the colour of an area, and they take no time
QUERY = ".query."  # blocks that stay in floating point: digits are rounded right behind them, 5 % of the bytes
EVERY = 3  # so many crops a crop on which what integers are off by is measured
SIDE = 2 * CELL  # of fields and noise
SHARES = {"whole": 0.3, "one depth": 0.15, "mixed": 0.2, "cut": 0.1, "random": 0.25}  # of crops, by what they keep


def measured(folder: Path, crops: Iterable[np.ndarray], rng: np.random.Generator) -> Found:
    """What the blocks of a tokenizer and its decoder give on crops (H, W, 3) uint8 of whole cells.

    folder: of a model, with its weights and tokenizer.onnx.
    """
    config = LadderConfig.from_dict(Weights(folder / WEIGHTS).config)
    runtime = open_runtime(folder, "onnx", "cpu", precision="exact")
    given = [_feeds(runtime, config, crop, rng) for crop in (*crops, *_extremes(rng))]
    return {name: _of_graph(folder, config, name, [each[name] for each in given]) for name in NODES}


def save(found: Found, path: Path, about: dict[str, str]) -> None:
    """Writes it as float16, with `about` as metadata."""
    tensors = {
        f"{graph}:{block}:{what}": np.asarray(getattr(each, what), np.float32).astype(np.float16)
        for graph, blocks in found.items() for block, each in blocks.items()
        for what in ("a", "b", "off")
    }  # fmt: skip
    save_file(tensors, path, about)


def _extremes(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Fields of one colour, saturated squares of all sizes, rings, and noise."""
    corners = np.array(list(np.ndindex(2, 2, 2)), np.uint8) * 255
    for corner in corners:
        yield np.full((SIDE, SIDE, 3), corner, np.uint8)
    for side in (4, 8, 16, 32, 64):
        for _ in range(3):
            squares = corners[rng.integers(0, 8, (SIDE // side, SIDE // side))]
            yield np.ascontiguousarray(squares.repeat(side, 0).repeat(side, 1))
    y, x = np.mgrid[:SIDE, :SIDE]
    for period in (50, 200, 800):
        rings = 127.5 + 127.5 * np.cos((x**2 + y**2)[..., None] / (period * np.array([1, 1.3, 0.8])))
        yield rings.round().astype(np.uint8)
        yield np.ascontiguousarray(rings[..., :1].round().astype(np.uint8).repeat(3, 2))
    for levels in (256, 2):
        for _ in range(3):
            yield (rng.integers(0, levels, (SIDE, SIDE, 3)) * (255 // (levels - 1))).astype(np.uint8)


def _feeds(
    runtime: Runtime, config: LadderConfig, crop: np.ndarray, rng: np.random.Generator
) -> dict[str, feeds.Feeds]:
    """What both graphs are given: the crop, told depths, and its tokens of these, at times not all, or random ones."""
    count, cells = len(config.levels), [side // CELL for side in crop.shape[:2]]
    kind = rng.choice(list(SHARES), p=list(SHARES.values()))
    depths = np.full(cells, count if kind == "whole" else rng.integers(1, count + 1))
    if kind in ("mixed", "random"):
        depths = rng.integers(0, count + 1, cells)
    masks = full_masks(config.levels, *cells, depths)
    whole = [np.ones((1, 1, *mask.shape), np.uint8) for mask in masks]
    sent = [mask[None, None].astype(np.uint8) for mask in masks]
    told = [np.kron(np.maximum(depths, 1), np.ones([CELL // level.stride] * 2))[None, None] for level in config.levels]
    told = [each.astype(np.float32) for each in told]
    digits = runtime.tokenize(pack(crop), sent, None, told)
    if kind == "random":
        halves = [(level.size - 1) // 2 for level in config.levels]
        digits = [rng.integers(-half, half + 1, each.shape, np.int8) for each, half in zip(digits, halves, strict=True)]
        if rng.random() < 0.5:  # at their ends
            digits = [
                np.where(each < 0, -half, half).astype(np.int8) for each, half in zip(digits, halves, strict=True)
            ]
    if kind == "cut":  # in its last level
        last = sent[int(depths.max()) - 1]
        last &= rng.random(last.shape) < rng.random()
    digits = [each * mask.astype(np.int8) for each, mask in zip(digits, sent, strict=True)]
    tokenizer = feeds.of_tokenizer(pack(crop), whole, None) | (feeds.of_depth(whole, told) if config.told else {})
    return {TOKENIZER: tokenizer, DETOKENIZER: feeds.of_decoder(digits, sent, None)}


class _Largest(LadderGraph):
    """Gives out the largest value of every unit."""

    def __init__(self, weights: Path, config: LadderConfig, pruned: bool):
        super().__init__(weights, config, pruned)
        self.given: dict[str, str] = {}  # what is given out -> the node's output
        self.blocks_seen: list[str] = []

    def stride(self, block: str) -> int:
        room, *rest = block.split(".")
        if room == "levels":
            return self.config.levels[int(rest[0])].stride
        return STRIDES[int(rest[0])] if room in ("encoder", "pre") else self.config.levels[-1].stride

    def hidden(self, x: str, convolution: str, outputs: Sequence[int] | None = None) -> str:
        block, _, part = convolution.rpartition(".")
        if QUERY in block or self.stride(block) > COARSEST:
            return super().hidden(x, convolution, outputs)
        if part == "a":
            self.blocks_seen.append(block)
        y = super().hidden(x, convolution, outputs)
        self.given[f"{block}:{part}"] = self.op("ReduceMax", y, axes=[0, 2, 3], keepdims=0)
        return y


class _Off(IntegerLadder):
    """Computes every 3x3 convolution both ways from the same floats, and gives out the means of both."""

    def __init__(self, weights: Path, config: LadderConfig, pruned: bool):
        super().__init__(weights, config, pruned)
        self.given: dict[str, str] = {}

    def hidden(self, x: str, convolution: str, outputs: Sequence[int] | None = None) -> str:
        block, _, part = convolution.rpartition(".")
        if part != "b" or block not in self.measured:
            return LadderGraph.hidden(self, x, convolution, outputs)
        given = self.integer(self.op("Mul", x, self.array(1 / self.measured[block].steps("a")[None, :, None, None])))
        plain = LadderGraph.conv(self, x, convolution, outputs=outputs)
        for what, y in (("plain", plain), ("whole", super().conv(given, convolution, outputs=outputs))):
            self.given[f"{block}:{what}"] = self.op("ReduceMean", y, axes=[0, 2, 3], keepdims=0)
        return self.op("Relu", plain)

    def conv(
        self, x: str, name: str, stride: int = 1, shape: list[int] | None = None, outputs: Sequence[int] | None = None,
        inputs: Sequence[int] | None = None,
    ) -> str:  # fmt: skip
        """In floating point, whatever was measured."""
        return LadderGraph.conv(self, x, name, stride, shape, outputs, inputs)


def _of_graph(folder: Path, config: LadderConfig, name: str, given: Sequence[feeds.Feeds]) -> dict[str, Measured]:
    weights, pruned = folder / WEIGHTS, name == TOKENIZER
    largest, off = _Largest(weights, config, pruned), _Off(weights, config, pruned)
    found = _outcomes(largest, name, given)
    off.measured = {block: _without_off(largest, block, found) for block in largest.blocks_seen}
    both = _outcomes(off, name, given[::EVERY])
    return {block: _with_off(off, block, known, both) for block, known in off.measured.items()}


def _without_off(graph: _Largest, block: str, found: Sequence[dict[str, np.ndarray]]) -> Measured:
    a, b = (_full(graph, block, part, np.max([each[f"{block}:{part}"] for each in found], 0)) for part in "ab")
    return Measured(a, b, np.zeros_like(b))


def _with_off(graph: _Off, block: str, known: Measured, found: Sequence[dict[str, np.ndarray]]) -> Measured:
    plain, whole = (
        _full(graph, block, "b", np.mean([each[f"{block}:{what}"] for each in found], 0)) for what in ("plain", "whole")
    )
    return Measured(known.a, known.b, plain - known.steps("b") * whole)


def _full(graph: LadderGraph, block: str, part: str, values: np.ndarray) -> np.ndarray:
    """Of all units of a convolution; 0 for those that are left out."""
    out = np.zeros(graph.header[f"{block}.{part}.bias"]["shape"][0], np.float32)
    awake = graph.awake(block) if part == "b" else None
    out[slice(None) if awake is None else awake] = values
    return out


def _outcomes(graph: _Largest | _Off, name: str, given: Sequence[feeds.Feeds]) -> list[dict[str, np.ndarray]]:
    """What the graph gives out besides, for each of these inputs."""
    inputs, outputs = NODES[name](graph)
    besides = [helper.make_tensor_value_info(each, F, None) for each in graph.given.values()]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "measuring.onnx"
        graph.save(place, inputs, [*outputs, *besides])
        source = with_weights(place.read_bytes(), graph.weights.parent)
    session = ort.InferenceSession(source, session_options(runtime_threads()), providers=["CPUExecutionProvider"])
    wanted = list(graph.given.values())
    return [dict(zip(graph.given, session.run(wanted, each), strict=True)) for each in given]

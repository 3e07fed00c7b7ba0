"""The two graphs that ONNX Runtime runs: `tokenizer.onnx` and `detokenizer.onnx`, a few kilobytes each.

Their weights are not copied: every initializer points into `model.safetensors` beside them (ONNX external data), fp16,
cast to float32 when the session is made.  The graphs mirror `ltokc.tokenizer.nn.ladder`; names of tensors are those of
its state. Pictures cross the border as uint8 (1, 48, H/4, W/4), 4x4 px in the channels; digits as int8, masks as uint8.
Units that are silent on pictures (`ltokc.tokenizer.silent`) are left out of what an encoder runs, never of a decoder.
The tokenizer also gives `values_k`, float32: what was rounded to the digits.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from ltokc.tokenizer.nn.config import STRIDES, LadderConfig
from ltokc.tokenizer.silent import Silent, awake_units, silent_units

OPSET = 17
F = TensorProto.FLOAT
Values = list[onnx.ValueInfoProto]


class Graph:
    """Nodes in the making, over the tensors of one safetensors file."""

    def __init__(self, weights: Path):
        self.weights = weights
        with open(weights, "rb") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            self.header, self.base = json.loads(f.read(size)), 8 + size
        self.silent: Silent = {}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.count = 0

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        self.count += 1
        output = f"v{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: float) -> str:
        name = f"c{value}"
        self.initializers.setdefault(name, helper.make_tensor(name, F, [], [value]))
        return name

    def weight(self, name: str, shape: list[int] | None = None) -> str:
        """A tensor of the weights file, seen in `shape`, as float32."""
        key = name if shape is None else name + "@" + "x".join(map(str, shape))
        if key not in self.initializers:
            entry = self.header[name]
            assert entry["dtype"] == "F16", name
            begin, end = entry["data_offsets"]
            tensor = TensorProto(name=key, data_type=TensorProto.FLOAT16, dims=shape or entry["shape"])
            tensor.data_location = TensorProto.EXTERNAL
            for k, v in (("location", self.weights.name), ("offset", self.base + begin), ("length", end - begin)):
                tensor.external_data.add(key=k, value=str(v))
            self.initializers[key] = tensor
            self.nodes.append(helper.make_node("Cast", [key], [key + ":f32"], to=F))
        return key + ":f32"

    def values(self, name: str) -> np.ndarray:
        """A tensor of the weights file as float32."""
        begin, end = self.header[name]["data_offsets"]
        with open(self.weights, "rb") as f:
            f.seek(self.base + begin)
            return np.frombuffer(f.read(end - begin), "<f2").astype(np.float32).reshape(self.header[name]["shape"])

    def integers(self, values: Sequence[int]) -> str:
        name = "i" + ",".join(map(str, values))
        self.initializers.setdefault(name, helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def picked(self, tensor: str, axis: int, channels: Sequence[int] | None) -> str:
        """These channels of a tensor; None: all."""
        return tensor if channels is None else self.op("Gather", tensor, self.integers(channels), axis=axis)

    def conv(
        self, x: str, name: str, stride: int = 1, shape: list[int] | None = None, outputs: Sequence[int] | None = None,
        inputs: Sequence[int] | None = None,
    ) -> str:  # fmt: skip
        """outputs, inputs: the channels that are computed, and those that x has; None: all."""
        kernel = (shape or self.header[name + ".weight"]["shape"])[2:]
        pad = kernel[0] // 2 if kernel[0] % 2 else 0
        weight = self.picked(self.picked(self.weight(name + ".weight", shape), 0, outputs), 1, inputs)
        bias = self.picked(self.weight(name + ".bias"), 0, outputs)
        return self.op("Conv", x, weight, bias, kernel_shape=kernel, strides=[stride] * 2, pads=[pad] * 4)

    def awake(self, block: str) -> list[int] | None:
        """Channels of a block's 3x3 convolution that may fire; None: all."""
        return awake_units(self.header, self.silent, block)

    def block(self, x: str, name: str) -> str:
        awake = self.awake(name)
        if awake == []:
            return self.without_units(x, name)
        y = self.hidden(self.hidden(x, name + ".a"), name + ".b", awake)
        return self.op("Add", x, self.conv(y, name + ".c", inputs=awake))

    def hidden(self, x: str, convolution: str, outputs: Sequence[int] | None = None) -> str:
        """A convolution inside a block and its ReLU."""
        return self.op("Relu", self.conv(x, convolution, outputs=outputs))

    def without_units(self, x: str, name: str) -> str:
        """A block all of whose units are silent: the bias of its last convolution is added."""
        channels = self.header[name + ".c.bias"]["shape"][0]
        return self.op("Add", x, self.weight(name + ".c.bias", [1, channels, 1, 1]))

    def blocks(self, x: str, name: str, count: int) -> str:
        for i in range(count):
            x = self.block(x, f"{name}.{i}")
        return x

    def cast(self, x: str, to: int = F) -> str:
        return self.op("Cast", x, to=to)

    def save(self, path: Path, inputs: list, outputs: list) -> None:
        graph = helper.make_graph(self.nodes, path.stem, inputs, outputs, list(self.initializers.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ltokc", ir_version=9
        )
        path.write_bytes(model.SerializeToString())


class LadderGraph(Graph):
    """The pieces of `ltokc.tokenizer.nn.ladder.Ladder` as nodes; pruned: without silent units."""

    def __init__(self, weights: Path, config: LadderConfig, pruned: bool = False):
        super().__init__(weights)
        self.config = config
        if pruned:
            self.silent = silent_units(self.header)

    def features(self, packed: str) -> list[str]:
        x = self.op("Sub", self.op("Mul", self.cast(packed), self.constant(1 / 127.5)), self.constant(1.0))
        f, out, channels = self.conv(x, "stem"), [], self.config.encoder_channels
        for i, count in enumerate(self.config.encoder_blocks):
            f = self.blocks(f, f"encoder.{i}", count)
            out.append(f)
            if i + 1 < len(channels):  # pixel unshuffle and 1x1 convolution are one 2x2 convolution at stride 2
                f = self.conv(f, f"down.{i}.conv", 2, [channels[i + 1], channels[i], 2, 2])
        return out

    def start(self, like: str) -> str:
        """The learned constant at the size of a (1, *, rows, columns) tensor."""
        zero = self.op("Mul", self.op("ReduceMax", like, axes=[1], keepdims=1), self.constant(0.0))
        return self.op("Add", self.weight("top"), zero)

    def descend(self, state: str, stride: int, target: int) -> str:
        while stride > target:
            stride -= 1
            state = self.op("DepthToSpace", self.conv(state, f"up.{stride}.conv"), blocksize=2, mode="CRD")
            state = self.blocks(state, f"pre.{stride}", self.config.decoder_blocks[stride])
        return state

    def query(self, k: int, state: str, feature: str, depth: str | None = None) -> str:
        """Digits of level k, float centred on 0; depth: (1, 1, h, w), which a told query sees.

        What is rounded to them gets the name `values_<k>`.
        """
        half, values = (self.config.levels[k].size - 1) / 2, f"values_{k}"
        u = self.conv(self.op("Concat", state, feature, axis=1), f"levels.{k}.query.0")
        if depth is not None:
            u = self.told(u, f"levels.{k}.query.told", depth)
        u = self.conv(self.block(u, f"levels.{k}.query.1"), f"levels.{k}.query.2")
        self.nodes.append(helper.make_node("Mul", [self.op("Tanh", u), self.constant(half + 0.49)], [values]))
        return self.op("Clip", self.op("Round", values), self.constant(-half), self.constant(half))

    def told(self, x: str, name: str, depth: str) -> str:
        """`ltokc.tokenizer.nn.query.Told`."""
        count = len(self.config.levels) + 1
        self.initializers.setdefault("depths", helper.make_tensor("depths", F, [1, count, 1, 1], range(count)))
        off = self.op("Abs", self.op("Sub", depth, "depths"))
        hats = self.op("Relu", self.op("Sub", self.constant(1.0), off))
        both = self.op("Conv", hats, self.weight(name + ".weight"), kernel_shape=[1, 1])
        scale, shift = f"{both}:scale", f"{both}:shift"
        self.nodes.append(helper.make_node("Split", [both], [scale, shift], axis=1))
        return self.op("Add", self.op("Mul", x, self.op("Add", scale, self.constant(1.0))), shift)

    def absorb(self, k: int, state: str, digits: str, sent: str) -> str:
        half, name = (self.config.levels[k].size - 1) / 2, f"levels.{k}"
        z = self.op("Mul", self.op("Mul", digits, self.constant(1 / half)), sent)
        fill = self.op("Mul", self.conv(state, name + ".fill"), self.op("Sub", self.constant(1.0), sent))
        both = self.op("Concat", self.op("Add", z, fill), sent, axis=1)
        return self.block(self.op("Add", state, self.conv(both, name + ".embed")), name + ".block")

    def pixels(self, state: str, stride: int) -> str:
        state = self.descend(self.blocks(state, "final", self.config.final_blocks), stride, 0)
        y = self.op("Mul", self.op("Add", self.conv(state, "head"), self.constant(1.0)), self.constant(127.5))
        y = self.op("Clip", self.op("Round", y), self.constant(0.0), self.constant(255.0))
        return self.cast(y, TensorProto.UINT8)


def tensor_value(name: str, kind: int, channels: int, stride: int) -> onnx.ValueInfoProto:
    """An input or output of shape (1, channels, H/stride, W/stride)."""
    return helper.make_tensor_value_info(name, kind, [1, channels, f"h{stride}", f"w{stride}"])


def tokenizer_nodes(g: LadderGraph) -> tuple[Values, Values]:
    """Builds the tokenizer; gives inputs and outputs."""
    config, levels = g.config, g.config.levels
    features = g.features("packed")
    state, stride = g.start(features[-1]), len(STRIDES) - 1
    for k, level in enumerate(levels):
        s = STRIDES.index(level.stride)
        state, stride = g.descend(state, stride, s), s
        sent = g.cast(f"sent_{k}")
        symbols = g.op("Mul", g.query(k, state, features[s], f"depth_{k}" if config.told else None), sent)
        g.nodes.append(helper.make_node("Cast", [symbols], [f"digits_{k}"], to=TensorProto.INT8))
        if k + 1 < len(levels):
            state = g.absorb(k, state, symbols, sent)
    digits, masks, packed = _values(config)
    told = [tensor_value(f"depth_{k}", F, 1, level.stride) for k, level in enumerate(levels) if config.told]
    values = [tensor_value(f"values_{k}", F, level.digits, level.stride) for k, level in enumerate(levels)]
    return [packed, *masks, *told], [*digits, *values]


def detokenizer_nodes(g: LadderGraph) -> tuple[Values, Values]:
    """Builds the faithful decoder; gives inputs and outputs."""
    digits, masks, packed = _values(g.config)
    state, stride = g.start("sent_0:f"), len(STRIDES) - 1
    g.nodes.insert(0, helper.make_node("Cast", ["sent_0"], ["sent_0:f"], to=F))
    for k, level in enumerate(g.config.levels):
        s = STRIDES.index(level.stride)
        state, stride = g.descend(state, stride, s), s
        state = g.absorb(k, state, g.cast(f"digits_{k}"), g.cast(f"sent_{k}"))
    g.nodes.append(helper.make_node("Identity", [g.pixels(state, stride)], [packed.name]))
    return [*digits, *masks], [packed]


def _values(config: LadderConfig) -> tuple[Values, Values, onnx.ValueInfoProto]:
    """Digits and masks of all levels, and the picture."""
    levels = list(enumerate(config.levels))
    masks = [tensor_value(f"sent_{k}", TensorProto.UINT8, 1, level.stride) for k, level in levels]
    digits = [tensor_value(f"digits_{k}", TensorProto.INT8, level.digits, level.stride) for k, level in levels]
    return digits, masks, tensor_value("packed", TensorProto.UINT8, 48, 4)


def write_graphs(folder: Path, config: LadderConfig) -> None:
    """Writes tokenizer.onnx and detokenizer.onnx beside the folder's model.safetensors."""
    tokenizer = LadderGraph(folder / "model.safetensors", config, pruned=True)
    tokenizer.save(folder / "tokenizer.onnx", *tokenizer_nodes(tokenizer))
    detokenizer = LadderGraph(folder / "model.safetensors", config)
    detokenizer.save(folder / "detokenizer.onnx", *detokenizer_nodes(detokenizer))

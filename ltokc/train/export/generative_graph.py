"""The graph of the generative decoder, `generative.onnx`: digits, masks, noise and detail to a picture.

Its weights lie in two files beside it, `model.safetensors` and `generative.safetensors`.  It mirrors
`ltokc.tokenizer.nn.generative` behind the faithful decoder's own nodes.  Inputs beside digits and masks:

    noise_8, noise_4, noise_2   float32 (1, planes, h, w), see `ltokc.tokenizer.generative.window_noise`
    detail                      float32 (), 0 to 1
    state_32_from, state_32_to  int64 (2,): rows and columns of the state that go on, and so for 16, 8 and 4

Output: uint8 (1, 48, H/4, W/4), as that of `detokenizer.onnx`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from ltokc.tokenizer.generative import GRAPH, PLANES, WEIGHTS
from ltokc.tokenizer.nn.config import STRIDES, LadderConfig
from ltokc.tokenizer.nn.generative import GeneratorConfig
from ltokc.tokenizer.runtime import state_cut
from ltokc.train.export.onnx_graph import Graph, LadderGraph, tensor_value
from ltokc.zoo.weights import WEIGHTS as LADDER_WEIGHTS

AXES = "cut_axes"


class WindowedLadderGraph(LadderGraph):
    """A ladder whose state is cut at every change of stride."""

    def cut(self, x: str, stride: int) -> str:
        """Rows and columns of a tensor at this stride that go on."""
        name = state_cut(stride)
        self.initializers.setdefault(AXES, helper.make_tensor(AXES, TensorProto.INT64, [2], [2, 3]))
        return self.op("Slice", x, f"{name}_from", f"{name}_to", AXES)

    def descend(self, state: str, stride: int, target: int) -> str:
        while stride > target:
            stride -= 1
            state = self.op("DepthToSpace", self.conv(state, f"up.{stride}.conv"), blocksize=2, mode="CRD")
            state = self.blocks(self.cut(state, STRIDES[stride]), f"pre.{stride}", self.config.decoder_blocks[stride])
        return state


class GeneratorGraph(Graph):
    """The generator's nodes, over its own weights, in the graph of a ladder."""

    def __init__(self, weights: Path, config: GeneratorConfig, ladder: WindowedLadderGraph):
        super().__init__(weights)
        self.config, self.ladder = config, ladder
        self.nodes, self.initializers = ladder.nodes, ladder.initializers

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.ladder.op(kind, *inputs, **attributes)

    def doubled(self, x: str, name: str) -> str:
        return self.op("DepthToSpace", self.conv(self.op("Relu", x), name), blocksize=2, mode="CRD")

    def residual(self, f8: str, f4: str) -> str:
        """The residual, 4x4 px in the channels: (1, 48, H/4, W/4)."""
        c = self.config
        factors = self.ladder.cut(self.interpolated(self.gate(f8)), 4) if c.gate else None
        x = self.conv(self.op("Concat", f8, "noise_8", axis=1), "in8")
        x = self.ladder.cut(self.doubled(self.blocks(x, "blocks8", c.blocks8), "up8"), 4)
        x = self.op("Add", x, self.conv(self.op("Concat", f4, "noise_4", axis=1), "in4"))
        x = self.doubled(self.blocks(x, "blocks4", c.blocks4), "up4")
        x = self.op("Relu", self.op("Add", x, self.conv("noise_2", "in2")))
        for i in range(c.convolutions2):
            x = self.op("Add", x, self.op("Relu", self.conv(x, f"convolutions2.{i}")))
        x = self.conv(x, "last")
        return self.packed(self.gated(x, self.interpolated(factors)) if factors else x)

    def gate(self, f8: str) -> str:
        """The factors of `ltokc.tokenizer.nn.gate`."""
        x = self.op("Relu", self.conv(f8, "gate.first"))
        for i in range(2):
            x = self.op("Add", x, self.op("Relu", self.conv(x, f"gate.context.{i}")))
        return self.op("Sigmoid", self.conv(x, "gate.last"))

    def interpolated(self, x: str) -> str:
        """Twice as many rows and columns, linear in between."""
        scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
        self.initializers.setdefault("scales", scales)
        return self.op("Resize", x, "", "scales", mode="linear", coordinate_transformation_mode="half_pixel")

    def gated(self, x: str, factors: str) -> str:
        """Means of squares of 2x2 px, four channels a colour, times one factor, and what is inside times the other."""
        means = [float(i // 4 == k // 4) / 4 for i in range(12) for k in range(12)]
        self.initializers["means"] = helper.make_tensor("means", TensorProto.FLOAT, [12, 12, 1, 1], means)
        mean = self.op("Conv", x, "means", kernel_shape=[1, 1])
        strokes, grain = f"{factors}:strokes", f"{factors}:grain"
        self.nodes.append(helper.make_node("Split", [factors], [strokes, grain], axis=1))
        inside = self.op("Mul", self.op("Sub", x, mean), grain)
        return self.op("Add", self.op("Mul", mean, strokes), inside)

    def packed(self, x: str) -> str:
        """12 channels at stride 2 (colour, y, x) to 48 at stride 4 (colour, y, x)."""
        x = self.op("SpaceToDepth", x, blocksize=2)  # channels: square row, square column, colour, y, x
        order = [
            (2 * (y // 2) + x_ // 2) * 12 + colour * 4 + 2 * (y % 2) + x_ % 2
            for colour in range(3)
            for y in range(4)
            for x_ in range(4)
        ]
        self.initializers["order"] = helper.make_tensor("order", TensorProto.INT64, [48], order)
        return self.op("Gather", x, "order", axis=1)


def write_generative_graph(folder: Path, ladder: LadderConfig, generator: GeneratorConfig) -> None:
    """Writes generative.onnx beside the folder's model.safetensors and generative.safetensors."""
    g = WindowedLadderGraph(folder / LADDER_WEIGHTS, ladder)
    state, at = g.start(g.cast("sent_0")), len(STRIDES) - 1
    for k, level in enumerate(ladder.levels):
        to = STRIDES.index(level.stride)
        state, at = g.descend(state, at, to), to
        state = g.absorb(k, state, g.cast(f"digits_{k}"), g.cast(f"sent_{k}"))
    f8 = g.blocks(state, "final", ladder.final_blocks)
    f4 = g.descend(f8, at, 0)
    faithful = g.op("Clip", g.conv(f4, "head"), g.constant(-1.0), g.constant(1.0))
    residual = GeneratorGraph(folder / WEIGHTS, generator, g).residual(f8, f4)
    y = g.op("Add", faithful, g.op("Mul", residual, "detail"))
    y = g.op("Mul", g.op("Add", y, g.constant(1.0)), g.constant(127.5))
    y = g.op("Clip", g.op("Round", y), g.constant(0.0), g.constant(255.0))
    g.nodes.append(helper.make_node("Cast", [y], ["packed"], to=TensorProto.UINT8))
    g.save(folder / GRAPH, _inputs(ladder), [tensor_value("packed", TensorProto.UINT8, 48, 4)])


def _inputs(ladder: LadderConfig) -> list[Any]:
    levels = list(enumerate(ladder.levels))
    digits = [tensor_value(f"digits_{k}", TensorProto.INT8, v.digits, v.stride) for k, v in levels]
    masks = [tensor_value(f"sent_{k}", TensorProto.UINT8, 1, v.stride) for k, v in levels]
    noise = [tensor_value(f"noise_{s}", TensorProto.FLOAT, n, s) for s, n in PLANES.items()]
    detail = helper.make_tensor_value_info("detail", TensorProto.FLOAT, [])
    cuts = [
        helper.make_tensor_value_info(f"{state_cut(stride)}_{end}", TensorProto.INT64, [2])
        for stride in STRIDES[:-1]
        for end in ("from", "to")
    ]
    return [*digits, *masks, *noise, detail, *cuts]

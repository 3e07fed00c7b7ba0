"""The gradient by the digits without torch: `forward.onnx` makes the picture, `backward.onnx` goes back from it.

Apart from its ReLUs the decoder is linear: all that the way back needs of the way there is which inputs of the ReLUs
are positive.  The graphs mirror `Ladder.picture` of `ltokc.tokenizer.nn.ladder`.

    forward    digits_k, sent_k of all levels               -> picture, positive:<convolution> (uint8, of each ReLU)
    backward   picture, positive:<convolution>, sent_k      -> digits_k

`picture` is float32 (1, 48, H/4, W/4), 4x4 px in the channels: pixels of about [-1, 1], not clamped; on the way back
the gradient by them.  `digits_k` of the way back is float32 (1, d, h, w): the gradient by digits as integers, zero
where none is sent.  Only the levels that take part have one (`ltokc.tokenizer.gradient`), and only the ReLUs from the
first of them on are noted.

Weights are those of the picture's own graph in `model.safetensors`: swapping their channels and turning their kernels
are nodes over constants, which runtimes compute once, when a session is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ltokc.tokenizer.gradient import BACKWARD, FORWARD, first_level
from ltokc.tokenizer.nn.config import STRIDES, LadderConfig
from ltokc.train.export.onnx_graph import F, LadderGraph, Values, tensor_value
from ltokc.zoo.weights import WEIGHTS


def positive(name: str) -> str:
    """Name of the map that says where the ReLU behind a convolution lets pass."""
    return f"positive:{name}"


class ForwardGraph(LadderGraph):
    """A ladder that gives out which inputs of its ReLUs are positive, from the moment when `noting` is set."""

    def __init__(self, weights: Path, config: LadderConfig):
        super().__init__(weights, config, pruned=True)
        self.noting = False
        self.positive: Values = []

    def hidden(self, x: str, convolution: str, outputs: Sequence[int] | None = None) -> str:
        y = super().hidden(x, convolution, outputs)
        if self.noting:
            channels = self.header[convolution + ".weight"]["shape"][0] if outputs is None else len(outputs)
            self._note(y, convolution, channels)
        return y

    def _note(self, y: str, convolution: str, channels: int) -> None:
        """y: what the ReLU gives, above 0 exactly where its input is.

        uint8 costs both runtimes less than bool: OpenVINO makes one operation of the two nodes.
        """
        name = positive(convolution)
        self.nodes.append(helper.make_node("Cast", [self.above(y)], [name], to=TensorProto.UINT8))
        self.positive.append(helper.make_tensor_value_info(name, TensorProto.UINT8, [1, channels, None, None]))

    def above(self, y: str) -> str:
        """1 where it is above 0, else 0, of any type."""
        return self.op("Greater", y, self.constant(0.0))


class BackwardGraph(LadderGraph):
    """The same pieces backwards: each takes the gradient by its output and gives that by its input.

    Strides are counted as there: `descend` goes from the gradient at `target` to that at `stride`, which is coarser.
    """

    def __init__(self, weights: Path, config: LadderConfig):
        super().__init__(weights, config, pruned=True)

    def back(
        self, gradient: str, name: str, inputs: Sequence[int] | None = None, outputs: Sequence[int] | None = None
    ) -> str:
        """Through the convolution `name`, whose kernel has odd sides.

        inputs, outputs: of its channels, those whose gradient is wanted, and those whose gradient there is; None: all.
        """
        weight, (rows, columns, *kernel) = self.weight(name + ".weight"), self.header[name + ".weight"]["shape"]
        positions = kernel[0] * kernel[1]
        if positions > 1:
            weight = self.op("Reshape", weight, self.integers([rows, columns, positions]))
            weight = self.op("Gather", weight, self.integers(range(positions)[::-1]), axis=2)
            weight = self.op("Reshape", weight, self.integers([rows, columns, *kernel]))
        weight = self.picked(self.picked(weight, 0, outputs), 1, inputs)
        weight = self.op("Transpose", weight, perm=[1, 0, 2, 3])
        return self.convolved(gradient, weight, name, kernel_shape=kernel, pads=[side // 2 for side in kernel] * 2)

    def convolved(self, gradient: str, weight: str, name: str, **attributes: list[int]) -> str:
        """By the turned weights of the convolution `name`."""
        return self.op("Conv", gradient, weight, **attributes)

    def relu(self, gradient: str, convolution: str) -> str:
        return self.op("Mul", gradient, self.cast(positive(convolution)))

    def block(self, x: str, name: str) -> str:
        awake = self.awake(name)
        if awake == []:
            return x
        y = self.relu(self.back(x, name + ".c", inputs=awake), name + ".b")
        y = self.relu(self.back(y, name + ".b", outputs=awake), name + ".a")
        return self.op("Add", x, self.back(y, name + ".a"))

    def blocks(self, x: str, name: str, count: int) -> str:
        for i in reversed(range(count)):
            x = self.block(x, f"{name}.{i}")
        return x

    def descend(self, state: str, stride: int, target: int) -> str:
        for s in range(target, stride):
            state = self.halved(self.blocks(state, f"pre.{s}", self.config.decoder_blocks[s]), f"up.{s}.conv")
        return state

    def halved(self, gradient: str, name: str) -> str:
        """Through pixel shuffle and the 1x1 convolution before it, which are one 2x2 convolution at stride 2."""
        outputs, inputs = self.header[name + ".weight"]["shape"][:2]
        weight = self.op("Reshape", self.weight(name + ".weight"), self.integers([outputs // 4, 2, 2, inputs]))
        weight = self.op("Transpose", weight, perm=[3, 0, 1, 2])
        return self.convolved(gradient, weight, name, kernel_shape=[2, 2], strides=[2, 2])

    def embedded(self, k: int, state: str, digits: str, sent: str) -> tuple[str, str]:
        """The gradients by the state that level k's tokens are added to, and by what is added, before `embed`.

        That by the level's digits gets the name `digits`.
        """
        half, name = (self.config.levels[k].size - 1) / 2, f"levels.{k}"
        state = self.block(state, name + ".block")
        added = self.back(state, name + ".embed", inputs=range(self.config.levels[k].digits))
        self.nodes.append(helper.make_node("Mul", [added, self.op("Mul", sent, self.constant(1 / half))], [digits]))
        return state, added

    def absorb(self, k: int, state: str, digits: str, sent: str) -> str:
        state, added = self.embedded(k, state, digits, sent)
        filled = self.op("Mul", added, self.op("Sub", self.constant(1.0), sent))
        return self.op("Add", state, self.back(filled, f"levels.{k}.fill"))


def forward_nodes(f: ForwardGraph) -> tuple[Values, Values]:
    """Builds the way there; gives inputs and outputs."""
    levels, first = list(enumerate(f.config.levels)), first_level(f.config.levels)
    masks = [tensor_value(f"sent_{k}", TensorProto.UINT8, 1, v.stride) for k, v in levels]
    digits = [tensor_value(f"digits_{k}", TensorProto.INT8, v.digits, v.stride) for k, v in levels]
    picture = tensor_value("picture", F, 48, STRIDES[0])
    state, stride = f.start(f.cast("sent_0")), len(STRIDES) - 1
    for k, level in levels:
        s = STRIDES.index(level.stride)
        state, stride = f.descend(state, stride, s), s
        f.noting = k >= first
        state = f.absorb(k, state, f.cast(f"digits_{k}"), f.cast(f"sent_{k}"))
    state = f.descend(f.blocks(state, "final", f.config.final_blocks), stride, 0)
    f.nodes.append(helper.make_node("Identity", [f.conv(state, "head")], [picture.name]))
    return [*digits, *masks], [picture, *f.positive]


def write_gradient_graphs(folder: Path, config: LadderConfig) -> Values:
    """Writes forward.onnx and backward.onnx beside the folder's model.safetensors; gives the maps of the ReLUs."""
    f = ForwardGraph(folder / WEIGHTS, config)
    f.save(folder / f"{FORWARD}.onnx", *forward_nodes(f))
    b = BackwardGraph(folder / WEIGHTS, config)
    b.save(folder / f"{BACKWARD}.onnx", *way_back(b, f.positive))
    return f.positive


def way_back(b: BackwardGraph, maps: Sequence[onnx.ValueInfoProto]) -> tuple[Values, Values]:
    """Builds it; gives inputs and outputs.  maps: of the ReLUs, from the way there."""
    levels, first = list(enumerate(b.config.levels)), first_level(b.config.levels)
    stride = STRIDES.index(levels[-1][1].stride)
    masks = [tensor_value(f"sent_{k}", TensorProto.UINT8, 1, v.stride) for k, v in levels[first:]]
    picture = tensor_value("picture", F, 48, STRIDES[0])
    state = b.blocks(b.descend(b.back(picture.name, "head"), stride, 0), "final", b.config.final_blocks)
    for k, level in reversed(levels[first:]):
        s = STRIDES.index(level.stride)
        state, stride = b.descend(state, s, stride), s
        if k > first:
            state = b.absorb(k, state, f"digits_{k}", b.cast(f"sent_{k}"))
        else:  # nobody needs the gradient by the state before it
            b.embedded(k, state, f"digits_{k}", b.cast(f"sent_{k}"))
    gradients = [tensor_value(f"digits_{k}", F, v.digits, v.stride) for k, v in levels[first:]]
    return [picture, *maps, *masks], gradients

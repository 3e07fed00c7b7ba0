"""Graphs whose blocks are in 8-bit integers: `tokenizer8.onnx`, `detokenizer8.onnx` and `forward8.onnx`.

The 3x3 convolution of a block takes integers and gives integers: seven tenths of the work are there.  All else is
float32, the state that a block adds to above all.  In ONNX that is said by pairs of QuantizeLinear and
DequantizeLinear, which runtimes merge with what lies between them.

What comes out of a ReLU is uint8 from 0 on.  Each unit has a step of its own, so that those that stay small have fine
ones: its convolution's weights are divided by the steps, those of the next are multiplied.  Weights are int8 by output
channel, with 8 bits, which needs a processor that adds four products in 32 bits (`ltokc.ort.integers`).

How large units get is measured on pictures (`ltokc.train.eight_bit`), and so is what integers are off by in the mean,
which goes into the biases.  Weights are those of `model.safetensors`: what makes them integers are nodes over
constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import numpy_helper
from safetensors.numpy import load_file

from ltokc.errors import ModelError
from ltokc.tokenizer.eight_bit import FILE, GRAPHS
from ltokc.tokenizer.gradient import FORWARD
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.tokenizer.runtime import DETOKENIZER, TOKENIZER
from ltokc.train.export.gradient_graph import ForwardGraph, forward_nodes
from ltokc.train.export.onnx_graph import LadderGraph, detokenizer_nodes, tokenizer_nodes
from ltokc.zoo.weights import WEIGHTS

STEPS = 255  # of what a ReLU gives
LARGEST_WEIGHT = 127
ROOM = 1.2  # what a unit may reach beyond the largest that was measured
LEAST_SHARE = 0.3  # of the layer's largest unit, that every unit may reach at least
LEAST_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Measured:
    """What a block gave on pictures.

    a, b: (units,) float32, the largest value behind the ReLU of each convolution; off: (units,) float32, by how much
    integers are too small in the mean before the second ReLU.
    """

    a: np.ndarray
    b: np.ndarray
    off: np.ndarray

    def steps(self, part: str) -> np.ndarray:
        """(units,) float32: what one step of an integer stands for."""
        largest = self.a if part == "a" else self.b
        top = float(largest.max(initial=0))
        return np.maximum(np.clip(largest * ROOM, top * LEAST_SHARE, top) / STEPS, LEAST_STEP).astype(np.float32)


Blocks = Mapping[str, Measured]  # by the names of blocks


class IntegerLadder(LadderGraph):
    """A ladder whose blocks are in integers, as far as they were measured."""

    measured: Blocks = {}

    def array(self, values: np.ndarray) -> str:
        """A constant of its own."""
        self.count += 1
        name = f"k{self.count}"
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def hidden(self, x: str, convolution: str, outputs: Sequence[int] | None = None) -> str:
        y = super().hidden(x, convolution, outputs)
        return self.integer(y) if convolution.rpartition(".")[0] in self.measured else y

    def integer(self, x: str) -> str:
        """Rounded to whole numbers from 0 to `STEPS`."""
        steps = self.array(np.float32(1)), self.array(np.uint8(0))
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, *steps), *steps)

    def conv(
        self, x: str, name: str, stride: int = 1, shape: list[int] | None = None, outputs: Sequence[int] | None = None,
        inputs: Sequence[int] | None = None,
    ) -> str:  # fmt: skip
        """In steps of its units, where it lies in a measured block."""
        block, _, part = name.rpartition(".")
        measured = self.measured.get(block)
        if measured is None:
            return super().conv(x, name, stride, shape, outputs, inputs)
        kept = slice(None) if outputs is None else list(outputs)
        bias, values = self.values(name + ".bias")[kept], self.values(name + ".weight")[kept]
        weight = self.picked(self.picked(self.weight(name + ".weight", shape), 0, outputs), 1, inputs)
        if part != "a":  # what comes in is in steps
            read = measured.steps("a" if part == "b" else "b")[None, :, None, None]
            if inputs is not None:
                read, values = read[:, list(inputs)], values[:, list(inputs)]
            weight, values = self.op("Mul", weight, self.array(read)), values * read
        if part != "c":
            steps = measured.steps(part)[kept]
            bias = (bias + (measured.off[kept] if part == "b" else 0)) / steps
            if part == "b":
                weight = self._integer_weight(weight, values, bias, steps)
            else:
                weight = self.op("Mul", weight, self.array(1 / steps[:, None, None, None]))
        kernel = self.header[name + ".weight"]["shape"][2:]
        pads = [side // 2 for side in kernel] * 2
        return self.op("Conv", x, weight, self.array(bias.astype(np.float32)), kernel_shape=kernel, pads=pads)

    def _integer_weight(self, weight: str, values: np.ndarray, bias: np.ndarray, units: np.ndarray) -> str:
        """Divided by the steps of its units, in steps of the largest by output channel.

        The bias, in 32 bits of the same step, has to fit.
        """
        largest = np.maximum(np.abs(values).max((1, 2, 3)) / units, np.abs(bias) * 2.0**-20)
        steps = (np.maximum(largest, 1e-6) / LARGEST_WEIGHT).astype(np.float32)
        zeros = self.array(np.zeros(len(steps), np.int8))
        whole = self.op("QuantizeLinear", weight, self.array(steps * units), zeros, axis=0)
        return self.op("DequantizeLinear", whole, self.array(steps), zeros, axis=0)


class IntegerForward(ForwardGraph, IntegerLadder):
    """The way there of the gradient, whose maps of ReLUs are of the integers."""

    def above(self, y: str) -> str:
        made = next(node for node in reversed(self.nodes) if node.output[0] == y)
        if made.op_type != "DequantizeLinear":
            return super().above(y)
        return self.op("Clip", made.input[0], self.array(np.uint8(0)), self.array(np.uint8(1)))


def load_measured(path: Path) -> dict[str, dict[str, Measured]]:
    """Measured blocks of each graph by name.  Raises ModelError for a file that does not hold them."""
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for key, value in load_file(path).items():
        graph, _, rest = key.partition(":")
        block, _, what = rest.rpartition(":")
        found.setdefault(graph, {}).setdefault(block, {})[what] = value.astype(np.float32)
    try:
        return {graph: {name: _block(parts) for name, parts in blocks.items()} for graph, blocks in found.items()}
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path.name}: not what was measured for 8-bit integers ({error})") from error


def _block(parts: dict[str, np.ndarray]) -> Measured:
    if not all(np.isfinite(each).all() for each in parts.values()):
        raise ValueError("not all of its numbers are finite")
    return Measured(parts["a"], parts["b"], parts["off"])


def write_eight_bit_graphs(folder: Path, config: LadderConfig) -> None:
    """Writes the graphs in integers beside the folder's model.safetensors and eight-bit.safetensors.

    Raises ModelError for what was measured on another network.
    """
    found, weights = load_measured(folder / FILE), folder / WEIGHTS
    tokenizer, detokenizer = IntegerLadder(weights, config, pruned=True), IntegerLadder(weights, config)
    forward = IntegerForward(weights, config)
    tokenizer.measured = found.get(TOKENIZER, {})
    detokenizer.measured = forward.measured = found.get(DETOKENIZER, {})
    try:
        for name, graph, nodes in (
            (TOKENIZER, tokenizer, tokenizer_nodes), (DETOKENIZER, detokenizer, detokenizer_nodes),
            (FORWARD, forward, forward_nodes),
        ):  # fmt: skip
            graph.save(folder / f"{GRAPHS[name]}.onnx", *nodes(graph))
    except (ValueError, IndexError) as error:
        raise ModelError(f"{FILE} was measured on another network") from error

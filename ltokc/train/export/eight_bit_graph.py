"""The way back of the gradient in 8-bit integers: `backward8.onnx`, which takes a third of the time of `backward.onnx`.

Convolutions take integers and give integers, but for those at the digits; the sums along the residual path stay
float32. In ONNX that is said by pairs of QuantizeLinear and DequantizeLinear, which runtimes merge with what lies
between them. Gradients are uint8 about 128, weights int8 by output channel. Weights use 7 bits: processors without VNNI
add two products in 16 bits.

How large the gradient gets at each place, its *peak*, is measured on pictures (`ltokc.train.rounding.peaks`), for a
gradient by the pixels whose mean square is 1: the way back is linear, so that a runtime may scale it.

Weights are those of `model.safetensors` here too: what makes them integers are nodes over constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from ltokc.errors import ModelError
from ltokc.tokenizer import rounding
from ltokc.tokenizer.gradient import BACKWARD, BACKWARD_8
from ltokc.tokenizer.nn.config import LadderConfig
from ltokc.train.export import gradient_graph
from ltokc.train.export.gradient_graph import BackwardGraph, positive, way_back
from ltokc.train.export.onnx_graph import F
from ltokc.zoo.weights import WEIGHTS

LARGEST = 127  # of a gradient, which is counted from the middle of uint8
LARGEST_WEIGHT = 63
MIDDLE = 128
FLOATS = (".embed", ".fill")  # convolutions to and from digits, which cost little and whose outcome is what is wanted


class EightBitGraph(BackwardGraph):
    """The way back over integers where there are peaks, one for every place; else `places` names what to measure."""

    def __init__(self, weights: Path, config: LadderConfig, peaks: Sequence[float] | None):
        super().__init__(weights, config)
        self.peaks = None if peaks is None else list(peaks)
        self.places: list[str] = []
        self.rounded: set[str] = set()
        self.initializers["middle"] = helper.make_tensor("middle", TensorProto.UINT8, [], [MIDDLE])
        self.initializers["zero"] = helper.make_tensor("zero", TensorProto.UINT8, [], [0])

    def convolved(self, gradient: str, weight: str, name: str, **attributes: list[int]) -> str:
        if name.endswith(FLOATS):
            return super().convolved(gradient, weight, name, **attributes)
        x = self.integer(gradient)
        if self.peaks is not None:
            weight = self._integer_weight(weight, name)
        return self.integer(super().convolved(x, weight, name, **attributes))

    def relu(self, gradient: str, convolution: str) -> str:
        passed = self.op("DequantizeLinear", positive(convolution), self.constant(1.0), "zero")
        return self.integer(self.op("Mul", gradient, passed))

    def integer(self, x: str) -> str:
        """The value in steps of a 127th of its peak; itself where that was done before."""
        if x in self.rounded:
            return x
        self.places.append(x)
        if self.peaks is not None:
            steps = self.constant(self.peaks[len(self.places) - 1] / LARGEST), "middle"
            x = self.op("DequantizeLinear", self.op("QuantizeLinear", x, *steps), *steps)
        self.rounded.add(x)
        return x

    def _integer_weight(self, weight: str, name: str) -> str:
        """Turned weights in steps of their largest by output channel, which is an input of the way there."""
        scale = f"{weight}:scale"
        values, (block, _, part) = self.values(f"{name}.weight"), name.rpartition(".")
        awake = self.awake(block) if part in ("b", "c") else None
        if awake is not None:
            values = values[awake] if part == "b" else values[:, awake]
        largest = np.abs(values).max((0, 2, 3))
        steps = np.maximum(largest, np.float32(1e-9)) / np.float32(LARGEST_WEIGHT)
        zeros = helper.make_tensor(f"{scale}:zero", TensorProto.INT8, [len(steps)], [0] * len(steps))
        self.initializers[scale] = helper.make_tensor(scale, F, [len(steps)], steps.tolist())
        self.initializers[zeros.name] = zeros
        whole = self.op("QuantizeLinear", weight, scale, zeros.name, axis=0)
        return self.op("DequantizeLinear", whole, scale, zeros.name, axis=0)


def write_gradient_graphs(folder: Path, config: LadderConfig) -> None:
    """Writes the gradient's graphs: those in float32, and backward8.onnx if the folder's rounding kernel has peaks.

    Raises ModelError for peaks of another decoder.
    """
    maps, kernel = gradient_graph.write_gradient_graphs(folder, config), folder / rounding.FILE
    peaks = rounding.RoundingKernel.load(kernel, config.levels).peaks if kernel.exists() else None
    if peaks is None:
        return
    places = EightBitGraph(folder / WEIGHTS, config, None)
    way_back(places, maps)
    if peaks.shape != (len(places.places),):
        raise ModelError(f"{rounding.FILE} was measured on another decoder")
    graph = EightBitGraph(folder / WEIGHTS, config, peaks.tolist())
    graph.save(folder / f"{BACKWARD_8}.onnx", *way_back(graph, maps))


def write_measuring_graphs(folder: Path, config: LadderConfig) -> list[str]:
    """Writes the graphs in float32, of which that back gives out all that gets a peak; the names of that, in order."""
    maps = gradient_graph.write_gradient_graphs(folder, config)
    graph = EightBitGraph(folder / WEIGHTS, config, None)
    inputs, outputs = way_back(graph, maps)
    given = (name for name in graph.places if name != "picture")
    outputs += [helper.make_tensor_value_info(name, F, None) for name in given]
    graph.save(folder / f"{BACKWARD}.onnx", inputs, outputs)
    return graph.places

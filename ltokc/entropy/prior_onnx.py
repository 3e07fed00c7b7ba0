"""The prior's layers in 8-bit integers on ONNX Runtime: the same numbers as in numpy, in a quarter of the time or less.

Activations are bytes: those of -127 to 127 count from 128, those of 0 to 127 from 0.  Products and sums are integers
there, so exact.  floor(v + 1/2) of a sum v >= 0 is the runtime's rounding to the nearest even of v (1 + 2**-21): halves
go up, and nothing else crosses one, since v has at most 12 bits behind the point and what is above 255 saturates.

Each graph is compared with numpy at extreme values before it is used.  One that differs (a runtime for a processor
whose 8-bit sums saturate) is never used: numpy does that layer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ltokc.entropy.number_formats import CLIP
from ltokc.entropy.prior_layers import LOGIT_GAIN, MOST_LOGIT, Array, NumpyNetwork
from ltokc.ort.graphs import CONTRIB, Graph

Bytes = npt.NDArray[np.uint8]
ZERO = 128  # the byte that means 0 of signed activations
UPWARD = 1 + 2.0**-21
AT_ONCE = 256  # cells of a grid from which on ONNX Runtime is loaded for the prior alone
IN_ALL = 192  # cells that a process has worked on before it makes graphs, which takes as long as numpy with 96 ...
LOADING = 288  # ... and before it loads ONNX Runtime for them, where another runtime has the networks
CHECKED = (6, 5)  # rows and columns of the state in comparisons with numpy


class QuickNetwork:
    """As `NumpyNetwork`; the state is uint8 (rows, columns, channels)."""

    def __init__(self, tensors: dict[str, np.ndarray], exact: NumpyNetwork):
        self.tensors, self.exact = tensors, exact
        self.cells = 0
        self.sessions: dict[str, Callable[..., np.ndarray] | None] = {}

    def pays(self, cells: int) -> bool:
        """Whether a grid of so many cells is to be worked on here; counts them."""
        self.cells += cells
        if cells < AT_ONCE and self.cells < (IN_ALL if "onnxruntime" in sys.modules else LOADING):
            return False
        return find_spec("onnxruntime") is not None

    def first(self, rows: int, columns: int) -> Bytes:
        return np.broadcast_to(_bytes(self.exact.start), (rows, columns, len(self.exact.start)))

    def finer(self, step: int, h: Bytes) -> Bytes:
        rows, columns, channels = h.shape
        up = self._session(f"up.{step}", self._up, step)
        mix = self._session(f"mix.{step}", self._block, f"prior.mix.{step}", 0, self.exact.mix[step])
        if up is None or mix is None:
            return _bytes(self.exact.finer(step, _floats(h)))
        y = up(h).reshape(rows, columns, 2, 2, channels).transpose(0, 2, 1, 3, 4)
        return mix(np.ascontiguousarray(y.reshape(rows * 2, columns * 2, channels)))

    def absorbed(self, k: int, h: Bytes, tokens: Array) -> Bytes:
        name, layer = f"prior.levels.{k}.absorb", self.exact.levels[k].absorb
        session = self._session(name, self._block, name, tokens.shape[2], layer)
        if session is None:
            return _bytes(self.exact.absorbed(k, _floats(h), tokens))
        return session(h, _bytes(tokens))

    def logits(self, k: int, h: Bytes, positions: np.ndarray, around: Array | None) -> Array:
        session = self._session(f"logits.{k}.{around is None}", self._head, k, "" if around is None else "_odd")
        if session is None or len(positions) == 0:
            return self.exact.logits(k, _floats(h), positions, around)
        seen = h.reshape(-1, h.shape[2])[positions]
        return session(seen if around is None else np.concatenate([seen, _bytes(around)], 1))

    def _session(self, name: str, make: Callable[..., Callable[..., np.ndarray] | None], *what: Any) -> Any:
        """What `make` gives, made once; None where this runtime cannot do it, or not exactly."""
        if name not in self.sessions:
            try:
                self.sessions[name] = make(*what)
            except Exception:  # noqa: BLE001 (ONNX Runtime raises a family of its own; builds may lack operators)
                self.sessions[name] = None
        return self.sessions[name]

    # -- graphs --------------------------------------------------------------------------------------------------------
    def _up(self, step: int) -> Callable[..., np.ndarray] | None:
        """(rows, columns, c) to (rows, columns, 4 c): the four places of a state twice as fine, one after the other."""
        exact, name = self.exact.up[step], f"prior.up.{step}"
        channels = len(self.exact.start)
        places = np.arange(4 * channels).reshape(channels, 4).T.ravel()  # numpy has them channel by channel
        graph = Graph()
        y = self._convolution(graph, "h", name, signed=True, offset=ZERO, order=places)
        graph.node("Max", [y, graph.constant("low", np.array(ZERO - CLIP, np.uint8))], "y")
        run = _session(graph, {"h": (np.uint8, 4)}, lambda h: {"h": h[None]})
        state = _extremes(channels)
        expected = exact(_floats(state).reshape(-1, channels), -CLIP, CLIP)[:, places]
        return run if np.array_equal(run(state).reshape(-1, 4 * channels), _bytes(expected)) else None

    def _block(self, name: str, extra: int, exact: Any) -> Callable[..., np.ndarray] | None:
        """State, and `extra` channels of tokens, to the next state."""
        graph, x = Graph(), "h"
        if extra:
            x = graph.node("Concat", ["h", "tokens"], "x", axis=3)
        top = graph.constant("top", np.array(CLIP, np.uint8))
        r = graph.node("Min", [self._convolution(graph, x, f"{name}.a", signed=True), top], "a")
        r = graph.node("Min", [self._convolution(graph, r, f"{name}.b", signed=False), top], "b")
        r = graph.node("Floor", [self._product(graph, r, f"{name}.c")], "c")
        r = graph.node("Add", [r, graph.node("Cast", ["h"], "h_float", to=1)], "sum")
        low, high = (graph.constant(key, np.array(v, np.float32)) for key, v in (("lo", 1), ("hi", ZERO + CLIP)))
        graph.node("Cast", [graph.node("Clip", [r, low, high], "clipped")], "y", to=2)
        inputs = {"h": (np.uint8, 4)} | ({"tokens": (np.uint8, 4)} if extra else {})

        def feeds(h: Bytes, tokens: Bytes | None = None) -> dict[str, np.ndarray]:
            return {"h": h[None]} | ({} if tokens is None else {"tokens": tokens[None]})

        run = _session(graph, inputs, feeds)
        state = _extremes(len(self.exact.start))
        given = (state, _extremes(extra)) if extra else (state,)
        return run if np.array_equal(run(*given), _bytes(exact(*map(_floats, given)))) else None

    def _head(self, k: int, odd: str) -> Callable[..., np.ndarray] | None:
        """What a position sees, (n, channels), to logits."""
        name, layers = f"prior.levels.{k}", self.exact.levels[k]
        graph = Graph()
        hidden = self._convolution(graph, "x", f"{name}.hidden{odd}", signed=True)
        hidden = graph.node("Min", [hidden, graph.constant("top", np.array(CLIP, np.uint8))], "hidden")
        r = graph.node("Floor", [self._product(graph, hidden, f"{name}.logits{odd}", LOGIT_GAIN)], "floor")
        low, high = (graph.constant(n, np.array(v, np.float32)) for n, v in (("lo", -MOST_LOGIT), ("hi", MOST_LOGIT)))
        graph.node("Clip", [r, low, high], "y")
        one = _session(graph, {"x": (np.uint8, 4)}, lambda x: {"x": x[None, None]})

        def run(x: Bytes) -> Array:
            return one(x)[0]

        first = layers.hidden_odd if odd else layers.hidden
        x = _extremes(len(first.weight)).reshape(-1, len(first.weight))
        last = layers.logits_odd if odd else layers.logits
        expected = last(first(_floats(x), 0, CLIP), -MOST_LOGIT, MOST_LOGIT)
        return run if np.array_equal(run(x), expected) else None

    def _convolution(
        self, graph: Graph, x: str, name: str, signed: bool, offset: int = 0, order: np.ndarray | None = None
    ) -> str:
        """floor(acc * 2**-shift + 1/2) + offset as a byte, saturating; signed: x counts from 128."""
        weight, bias, scale = self._layer(name, 0)
        if order is not None:
            weight, bias, scale = weight[order], bias[order], scale[order]
        if offset:  # the sum is that of a positive number then, which saturates below
            bias = bias + np.rint(offset / scale).astype(np.int64)
        kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
        one = graph.constant("one", np.array(1, np.float32))
        inputs = [
            x, one, graph.constant(f"zero_{signed}", np.array(ZERO if signed else 0, np.uint8)),
            graph.constant(f"{name}.w", kernel), graph.constant(f"{name}.s", (scale * UPWARD).astype(np.float32)),
            graph.constant(f"{name}.z", np.zeros(len(kernel), np.int8)),
            one, graph.constant("zero_False", np.array(0, np.uint8)),
            graph.constant(f"{name}.b", bias.astype(np.int32)),
        ]  # fmt: skip
        side = kernel.shape[2] // 2
        return graph.node("QLinearConv", inputs, f"{name}.y", CONTRIB, channels_last=1, pads=[side] * 4)

    def _product(self, graph: Graph, x: str, name: str, gain: int = 0) -> str:
        """acc * 2**(gain - shift) + 1/2 in float32, exact as long as it matters: what is beyond 2**23 gets clipped."""
        weight, bias, scale = self._layer(name, gain)
        inputs = [
            x, graph.constant(f"{name}.w", np.ascontiguousarray(weight.reshape(len(weight), -1).T)),
            graph.constant("one", np.array(1, np.float32)), graph.constant(f"{name}.s", scale.astype(np.float32)),
            "", "",
            graph.constant(f"{name}.b", (bias * scale + 0.5).astype(np.float32)),
        ]  # fmt: skip
        return graph.node("MatMulIntegerToFloat", inputs, f"{name}.y", CONTRIB)

    def _layer(self, name: str, gain: int) -> tuple[npt.NDArray[np.int8], np.ndarray, np.ndarray]:
        """Weights int8, bias int64, scale float64."""
        shift = self.tensors[f"{name}.shift"].astype(np.int64)
        return self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"].astype(np.int64), np.exp2(gain - shift)


def _session(
    graph: Graph, inputs: Mapping[str, tuple[type, int]], feeds: Callable[..., dict[str, np.ndarray]]
) -> Callable[..., np.ndarray]:
    """A function that runs the graph; its output y has one axis more in front, which goes."""
    from ltokc.ort.sessions import session_options
    from ltokc.ort.silent import ort

    options = session_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph.model(inputs, ["y"]), options, providers=["CPUExecutionProvider"])
    return lambda *given: session.run(None, feeds(*given))[0][0]


def _extremes(channels: int) -> Bytes:
    """A state of the largest values of both signs, and some between: (rows, columns, channels)."""
    values = np.random.default_rng(channels).choice([-CLIP, -CLIP, -9, -1, 0, 1, 9, CLIP, CLIP], (*CHECKED, channels))
    values[0], values[1, ::2], values[-1] = CLIP, -CLIP, 0
    return (values + ZERO).astype(np.uint8)


def _bytes(values: np.ndarray) -> Bytes:
    return (values + np.float32(ZERO)).astype(np.uint8)


def _floats(values: Bytes) -> Array:
    return values.astype(np.float32) - np.float32(ZERO)

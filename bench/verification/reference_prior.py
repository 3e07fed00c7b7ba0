"""The prior a second time, to compare with: nothing but int64 and shifts, or the layers of `ltokc.tokenizer.nn.prior`
in float32.

Shares no arithmetic with `ltokc.entropy.prior`, which holds the integers in float32 and leaves the products to BLAS.
Slow. Values are integers in the units of formats/LTK.md, arrays (rows, columns, channels) or (n, channels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ltokc.entropy.number_formats import ACTIVATION_BITS, CLIP, LOGIT_BITS, LOGIT_LIMIT, TOTAL_BITS, PriorConfig
from ltokc.token_order import spread_order, spread_rank

Integers = npt.NDArray[np.int64]
LOGIT_CLIP = LOGIT_LIMIT << LOGIT_BITS
HALF_RANK = 32  # ranks below are the even squares


class Shape(Protocol):
    """One level: `ltokc.geometry.Level`."""

    @property
    def stride(self) -> int: ...

    @property
    def size(self) -> int: ...


class Network(Protocol):
    """The layers of a prior."""

    def start(self) -> Integers: ...

    def enlarge(self, step: int, h: Integers) -> Integers: ...

    def absorb(self, k: int, h: Integers, tokens: Integers) -> Integers: ...

    def logits(self, k: int, seen: Integers, odd: bool) -> Integers: ...


class Int64Network:
    """Matrix products of int64, rounding by a shift to the right."""

    def __init__(self, tensors: dict[str, np.ndarray]):
        self.tensors = {name.removeprefix("prior."): value.astype(np.int64) for name, value in tensors.items()}

    def start(self) -> Integers:
        return self.tensors["start"]

    def enlarge(self, step: int, h: Integers) -> Integers:
        y = self._layer(f"up.{step}", h, -CLIP, CLIP)
        rows, columns, channels = h.shape
        out = np.empty((2 * rows, 2 * columns, channels), np.int64)
        for place in range(4):
            out[place // 2 :: 2, place % 2 :: 2] = y[:, :, place::4]
        return self._block(f"mix.{step}", out, out)

    def absorb(self, k: int, h: Integers, tokens: Integers) -> Integers:
        return self._block(f"levels.{k}.absorb", h, np.concatenate([h, tokens], 2))

    def logits(self, k: int, seen: Integers, odd: bool) -> Integers:
        suffix = "_odd" if odd else ""
        hidden = self._layer(f"levels.{k}.hidden{suffix}", seen, 0, CLIP)
        gain = LOGIT_BITS - ACTIVATION_BITS
        return self._layer(f"levels.{k}.logits{suffix}", hidden, -LOGIT_CLIP, LOGIT_CLIP, gain)

    def _block(self, name: str, h: Integers, x: Integers) -> Integers:
        r = self._layer(f"{name}.b", self._layer(f"{name}.a", x, 0, CLIP), 0, CLIP)
        r = self._layer(f"{name}.c", r, -4 * CLIP, 4 * CLIP)
        return (h + r).clip(-CLIP, CLIP)

    def _layer(self, name: str, x: Integers, low: int, high: int, gain: int = 0) -> Integers:
        weight = self.tensors[f"{name}.weight"]
        if weight.ndim == 2:
            acc = x @ weight.T
        else:
            rows, columns = x.shape[:2]
            framed = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            acc = np.zeros((rows, columns, len(weight)), np.int64)
            for dy in range(3):
                for dx in range(3):
                    tap = np.ascontiguousarray(weight[:, :, dy, dx])
                    acc += np.ascontiguousarray(framed[dy : dy + rows, dx : dx + columns]) @ tap.T
        acc += self.tensors[f"{name}.bias"]
        shift = self.tensors[f"{name}.shift"] - gain
        down, up = shift.clip(0), (-shift).clip(0)
        acc = (acc << up) + ((1 << down) >> 1) >> down
        return acc.clip(low, high)


class TorchNetwork:
    """The modules of `ltokc.tokenizer.nn.prior.Prior`, with their parameters set to the integers of a model file."""

    def __init__(self, tensors: dict[str, np.ndarray], weights: Path, device: str = "cpu", batch: int = 1):
        """`batch`: computes so many pictures at a time, the others being noise."""
        import torch

        from ltokc.tokenizer.nn.config import LadderConfig
        from ltokc.tokenizer.nn.prior import IntegerConv, Prior
        from ltokc.zoo.weights import Weights

        self.torch, self.device, self.batch = torch, device, batch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        names = ("start", "levels.0.absorb.a.bias", "levels.0.hidden.bias")
        sizes = PriorConfig(*(tensors[f"prior.{name}"].size for name in names))
        ladder = LadderConfig.from_dict(Weights(weights).config)
        self.net: Any = Prior(ladder, sizes).eval().requires_grad_(False)
        for name, layer in self.net.named_modules():
            if not isinstance(layer, IntegerConv):
                continue
            weight, bias, shift = (
                tensors[f"prior.{name}.{part}"].astype(float) for part in ("weight", "bias", "shift")
            )
            unit = 2.0**-shift
            layer.weight.copy_(torch.from_numpy(weight.reshape(layer.weight.shape) * unit[:, None, None, None]))
            layer.bias.copy_(torch.from_numpy(bias * unit / 2**ACTIVATION_BITS))
        self.net.to(device)
        self.first = tensors["prior.start"].astype(np.int64)

    def start(self) -> Integers:
        return self.first

    def enlarge(self, step: int, h: Integers) -> Integers:
        up = self.net.up[step].signed(self._tensor(h))
        return self._integers(self.net.mix[step](self.torch.nn.functional.pixel_shuffle(up, 2)), ACTIVATION_BITS)

    def absorb(self, k: int, h: Integers, tokens: Integers) -> Integers:
        return self._integers(self.net.levels[k].absorb(self._tensor(h), self._tensor(tokens)), ACTIVATION_BITS)

    def logits(self, k: int, seen: Integers, odd: bool) -> Integers:
        net = self.net.levels[k]
        hidden, logits = (net.hidden_odd, net.logits_odd) if odd else (net.hidden, net.logits)
        if not len(seen):
            return np.zeros((0, len(logits.bias)), np.int64)
        y = logits(hidden.relu(self._tensor(seen[None])))
        return self._integers(logits.rounded(y, -LOGIT_LIMIT, LOGIT_LIMIT, LOGIT_BITS), LOGIT_BITS)[0]

    def _tensor(self, x: Integers) -> Any:
        scaled = x.astype(np.float32) / 2**ACTIVATION_BITS
        one = self.torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))[None].to(self.device)
        others = [one.flip(-1), -one, one.roll(1, 1)] * self.batch
        return self.torch.cat([one, *others[: self.batch - 1]]) if self.batch > 1 else one

    def _integers(self, y: Any, bits: int) -> Integers:
        scaled = y[0].cpu().numpy().transpose(1, 2, 0) * 2.0**bits
        whole = np.rint(scaled).astype(np.int64)
        if (whole != scaled).any():
            raise ArithmeticError("the network in torch left the integers")
        return whole


class OnnxNetwork(Int64Network):
    """Every layer a graph of its own on ONNX Runtime, in float32: the codec has no such graphs, but one could."""

    def __init__(self, tensors: dict[str, np.ndarray], threads: int = 1):
        super().__init__(tensors)
        from ltokc.ort.silent import ort

        self.sessions: dict[str, Any] = {}
        self.ort = ort
        self.options = ort.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def _session(self, name: str, low: int, high: int, gain: int) -> Any:
        if name not in self.sessions:
            from onnx import TensorProto, helper, numpy_helper

            weight = self.tensors[f"{name}.weight"].astype(np.float32)
            if weight.ndim == 2:
                weight = weight[:, :, None, None]
            scale = np.exp2(gain - self.tensors[f"{name}.shift"]).astype(np.float32)[None, :, None, None]
            constants = {
                "weight": weight, "bias": self.tensors[f"{name}.bias"].astype(np.float32), "scale": scale,
                "half": np.float32(0.5), "low": np.float32(low), "high": np.float32(high),
            }  # fmt: skip
            nodes = [
                helper.make_node("Conv", ["x", "weight", "bias"], ["acc"], pads=[weight.shape[-1] // 2] * 4),
                helper.make_node("Mul", ["acc", "scale"], ["scaled"]),
                helper.make_node("Add", ["scaled", "half"], ["raised"]),
                helper.make_node("Floor", ["raised"], ["whole"]),
                helper.make_node("Clip", ["whole", "low", "high"], ["y"]),
            ]
            values = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
            ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, None, None, None]) for end in ("x", "y")]
            graph = helper.make_graph(nodes, "layer", ends[:1], ends[1:], values)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
            self.sessions[name] = self.ort.InferenceSession(
                model.SerializeToString(), self.options, providers=["CPUExecutionProvider"]
            )
        return self.sessions[name]

    def _layer(self, name: str, x: Integers, low: int, high: int, gain: int = 0) -> Integers:
        if not x.size:
            return super()._layer(name, x, low, high, gain)
        flat = x.ndim == 2
        planes = (x[None] if flat else x).transpose(2, 0, 1)[None].astype(np.float32)
        (y,) = self._session(name, low, high, gain).run(None, {"x": np.ascontiguousarray(planes)})
        out = y[0].transpose(1, 2, 0).astype(np.int64)
        return out[0] if flat else out


class ReferencePrior:
    """Stands in for `ltokc.entropy.prior.Prior` wherever tokens are read."""

    def __init__(self, network: Network, tensors: dict[str, np.ndarray], levels: Sequence[Shape]):
        self.network, self.levels = network, levels
        self.table = tensors["prior.exp_table"].astype(np.int64)

    def state(self, rows: int, columns: int) -> ReferenceState:
        return ReferenceState(self, rows, columns)


class ReferenceState:
    """`ltokc.entropy.prior.PriorState` again: per level `enter`, two `passes`, `absorb`."""

    def __init__(self, prior: ReferencePrior, rows: int, columns: int):
        self.prior, self.k, self.step = prior, 0, 0
        self.h = np.tile(prior.network.start(), (rows, columns, 1))
        self.stride = prior.levels[0].stride

    def enter(self) -> None:
        while self.stride > self.prior.levels[self.k].stride:
            self.h = self.prior.network.enlarge(self.step, self.h)
            self.step, self.stride = self.step + 1, self.stride // 2

    def passes(self, digits: np.ndarray, sent: np.ndarray) -> Iterator[tuple[Integers, Integers]]:
        rows, columns, channels = self.h.shape
        order = np.array([place for place in spread_order(rows, columns) if sent.flat[place]], np.int64)
        even = spread_rank(rows, columns) < HALF_RANK
        places = order[even.flat[order]]
        seen = self.h.reshape(-1, channels)
        yield places, self._counts(seen[places], odd=False)
        places = order[~even.flat[order]]
        framed = np.pad(_inputs(digits, sent & even), ((1, 1), (1, 1), (0, 0)))
        y, x = np.divmod(places, columns)
        around = [framed[y + dy, x + dx] for dy, dx in ((0, 1), (1, 0), (1, 2), (2, 1))]
        yield places, self._counts(np.concatenate([seen[places], *around], 1), odd=True)

    def absorb(self, digits: np.ndarray, sent: np.ndarray) -> None:
        if self.k + 1 < len(self.prior.levels):
            self.h = self.prior.network.absorb(self.k, self.h, _inputs(digits, sent))
        self.k += 1

    def _counts(self, seen: Integers, odd: bool) -> Integers:
        """Counts per digit, (n * d, size) with rows that sum to 2**16."""
        size, table = self.prior.levels[self.k].size, self.prior.table
        logits = self.prior.network.logits(self.k, seen, odd).reshape(-1, size)
        distance = logits.max(1, keepdims=True) - logits
        weights = np.where(distance < len(table), table[distance.clip(max=len(table) - 1)], table[-1])
        counts = 1 + ((1 << TOTAL_BITS) - size) * weights // weights.sum(1, keepdims=True)
        rest = (1 << TOTAL_BITS) - counts.sum(1, keepdims=True)
        first = np.cumsum(distance == 0, 1) == 1
        return counts + rest * (first & (distance == 0))


def _inputs(digits: np.ndarray, sent: np.ndarray) -> Integers:
    """Digits, magnitudes and mask of every position, in units of 2**-ACTIVATION_BITS; 0 where no token is."""
    z = digits.astype(np.int64) * sent[..., None]
    return np.concatenate([z, abs(z), sent[..., None].astype(np.int64)], 2) << ACTIVATION_BITS

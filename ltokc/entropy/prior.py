"""The integer prior: tokens decoded so far to integer counts of the next digits (formats/LTK.md, "Prior").

Its layers run in numpy (`prior_layers`), or with the same results in 8-bit integers on ONNX Runtime (`prior_onnx`).
`ltokc.tokenizer.nn.prior` is the same network in torch, for training.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ltokc.entropy.number_formats import ACTIVATION_BITS, CLIP, TOTAL_BITS
from ltokc.entropy.prior_layers import NumpyNetwork
from ltokc.entropy.prior_onnx import QuickNetwork
from ltokc.errors import ModelError
from ltokc.geometry import Level, check_levels
from ltokc.threads import limit_blas_of_worker
from ltokc.token_order import spread_order, spread_rank

Array = npt.NDArray[np.float32]
UNIT = 2**ACTIVATION_BITS
TABLE_SIZE = 1024  # entries of the exponential table; larger distances count as zero


def check_tensors(tensors: dict[str, np.ndarray], levels: tuple[Level, ...]) -> None:
    """Raises ModelError unless the tensors `prior.*` are those of formats/LTK.md, no more, no fewer, and fit together.

    A prior of another make is refused here rather than computed in a way that it was not trained for.
    """
    state = tensors["prior.start"].size
    left = dict(tensors)

    def take(name: str, dtype: str, *shape: int) -> None:
        tensor = left.pop(f"prior.{name}")
        if (tensor.dtype.str, tensor.shape) != (dtype, shape) or 0 in shape:
            raise ModelError(f"prior.{name} is {tensor.dtype.str} {tensor.shape}, not {dtype} {shape}")

    def layer(name: str, outputs: int, inputs: int, *kernel: int) -> None:
        take(f"{name}.weight", "|i1", outputs, inputs, *kernel)
        take(f"{name}.bias", "<i4", outputs)
        take(f"{name}.shift", "|u1", outputs)

    def block(name: str, extra: int) -> None:
        inner = tensors[f"prior.{name}.a.bias"].size
        layer(f"{name}.a", inner, state + extra)
        layer(f"{name}.b", inner, inner, 3, 3)
        layer(f"{name}.c", state, inner)

    take("start", "|i1", state)
    if tensors["prior.start"].min() < -CLIP:
        raise ModelError("prior.start is outside its exact range")
    take("exp_table", "<i4", TABLE_SIZE)
    for i in range(len({level.stride for level in levels}) - 1):
        layer(f"up.{i}", 4 * state, state)
        block(f"mix.{i}", 0)
    for k, level in enumerate(levels):
        token = 2 * level.digits + 1
        for odd, around in (("", 0), ("_odd", 4 * token)):
            hidden = tensors[f"prior.levels.{k}.hidden{odd}.bias"].size
            layer(f"levels.{k}.hidden{odd}", hidden, state + around)
            layer(f"levels.{k}.logits{odd}", level.digits * level.size, hidden)
        block(f"levels.{k}.absorb", token)
    unknown = [name for name in left if name.startswith("prior.")]
    if unknown:
        raise ModelError(f"{min(unknown)} is unknown to this program: made for a later one")


def neighbours(t: Array) -> Array:
    """Tokens above, left, right, below, zero outside: (rows, columns, c) -> (rows, columns, 4 c)."""
    rows, columns, channels = t.shape
    p = np.zeros((rows + 2, columns + 2, channels), np.float32)
    p[1:-1, 1:-1] = t
    return np.concatenate([p[:-2, 1:-1], p[1:-1, :-2], p[1:-1, 2:], p[2:, 1:-1]], 2)


def counts_from_logits(logits: Array, table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Integer soft-max: (n, size) integers in units of 2**-6 nat -> (n, size) int64 counts >= 1 that sum to 2**16.

    Done value by value for all rows at a time, in float64: weights times 2**16 stay below 2**32, so that the quotient's
    rounding never reaches the next integer.
    """
    size = logits.shape[1]
    units = np.ascontiguousarray(logits.T)
    distance = units.max(0) - units
    weights = table.astype(np.float64)[np.minimum(distance, TABLE_SIZE - 1).astype(np.intp)]
    total = weights.sum(0)
    weights *= 2**TOTAL_BITS - size
    weights /= total
    np.floor(weights, out=weights)
    weights += 1
    rest = 2**TOTAL_BITS - weights.sum(0)
    for counts, off in zip(weights, distance, strict=True):  # what is left goes to the first of the likeliest
        gained = np.where(off == 0, rest, 0)
        counts += gained
        rest -= gained
    return np.ascontiguousarray(weights.T).astype(np.int64)


class Prior:
    """Weights of the prior; `Prior(tensors, levels)` with the tensors named `prior.*` of a model file."""

    def __init__(self, tensors: dict[str, np.ndarray], levels: tuple[Level, ...]):
        try:
            self.levels = levels
            check_levels(levels)
            check_tensors(tensors, levels)
            self.table = tensors["prior.exp_table"].astype(np.int64)
            if self.table[0] != 2**16 or self.table.min() < 0:
                raise ModelError("prior.exp_table is not the table of the format")
            self.network = NumpyNetwork(tensors, levels)
            self.quick = QuickNetwork(tensors, self.network)
        except KeyError as error:
            raise ModelError(f"model file has no tensor {error}") from error

    def state(self, rows: int, columns: int) -> PriorState:
        """A fresh state for a grid of rows x columns cells of 64x64 px."""
        limit_blas_of_worker()
        return PriorState(self, self.quick if self.quick.pays(rows * columns) else self.network, rows, columns)


class PriorState:
    """Walks down the levels: for each level take `passes`, then `absorb` its tokens."""

    def __init__(self, prior: Prior, network: NumpyNetwork | QuickNetwork, rows: int, columns: int):
        self.prior, self.network, self.k, self.step = prior, network, 0, 0
        self.h: np.ndarray = network.first(rows, columns)

    def enter(self) -> None:
        """Brings the state to the stride of the next level."""
        levels, k = self.prior.levels, self.k
        stride = levels[k - 1].stride if k else levels[0].stride
        while stride > levels[k].stride:
            self.h = self.network.finer(self.step, self.h)
            stride, self.step = stride // 2, self.step + 1

    def passes(
        self, digits: np.ndarray, sent: np.ndarray
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Two passes over the current level: even squares, then odd ones given the even.

        digits: (rows, columns, d) integer array centred on 0 that the caller fills between the passes; sent: (rows,
        columns) bool, which positions the stream holds.  Yields (positions, counts): flat indices (n,) of the sent
        positions of the pass in coding order and their counts (n * d, size), token by token.
        """
        level, network = self.prior.levels[self.k], self.network
        rows, columns = digits.shape[:2]
        order = spread_order(rows, columns)
        order = order[sent.ravel()[order]]
        even = spread_rank(rows, columns).ravel()[order] < 32
        positions = order[even]
        logits = network.logits(self.k, self.h, positions, None)
        yield positions, counts_from_logits(logits.reshape(-1, level.size), self.prior.table)
        positions = order[~even]
        mask = sent & (spread_rank(rows, columns) < 32)
        around = neighbours(token_inputs(digits, mask)).reshape(rows * columns, -1)[positions]
        logits = network.logits(self.k, self.h, positions, around)
        yield positions, counts_from_logits(logits.reshape(-1, level.size), self.prior.table)

    def absorb(self, digits: np.ndarray, sent: np.ndarray) -> None:
        """Takes the finished level's tokens into the state and moves on to the next level."""
        if self.k + 1 < len(self.prior.levels):
            self.h = self.network.absorbed(self.k, self.h, token_inputs(digits, sent))
        self.k += 1


def token_inputs(digits: np.ndarray, sent: np.ndarray) -> Array:
    """Digits (rows, columns, d), mask (rows, columns) -> (rows, columns, 2 d + 1): digits, magnitudes, mask in 1/16."""
    z = np.where(sent[..., None], digits, 0).astype(np.float32)
    return np.concatenate([z, np.abs(z), sent[..., None].astype(np.float32)], 2) * np.float32(UNIT)

"""The integer prior in numpy: tokens decoded so far to integer counts of the next digits (formats/LTK.md, "Prior").

Integers are held in float32 and multiplied by BLAS: every partial sum stays below 2**24 (asserted when the weights are
loaded), so that the result is exact and the same whatever the order of summation, the number of threads or the library.
`ltokc.tokenizer.nn.prior` is the same network in torch, for training.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ltokc.entropy.number_formats import (
    ACTIVATION_BITS,
    BIAS_LIMIT,
    CLIP,
    EXACT,
    LOGIT_BITS,
    LOGIT_LIMIT,
    MAX_SHIFT,
    TOTAL_BITS,
)
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


class IntegerLayer:
    """y = floor(acc * 2**-shift + 1/2) with acc = W x + b; W int8 (co, K), b int32 (co,), shift int (co,)."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str, gain_bits: int = 0):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"].astype(np.int64)
        shift = tensors[f"{name}.shift"].astype(np.int64)
        if weight.ndim == 4:  # (co, ci, ky, kx): the columns of x come tap by tap
            weight = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)
        bound = np.abs(weight.astype(np.int64)).sum(1) * CLIP + np.abs(bias)
        if (
            bound.max(initial=0) >= EXACT
            or np.abs(bias).max(initial=0) > BIAS_LIMIT
            or shift.min() < 0
            or shift.max() > MAX_SHIFT
        ):
            raise ModelError(f"prior layer {name} is outside its exact range")
        self.weight = np.ascontiguousarray(weight.astype(np.float32).T)  # (K, co)
        self.bias = bias.astype(np.float32)
        self.scale = np.exp2(gain_bits - shift).astype(np.float32)

    def __call__(self, x: Array, low: int, high: int) -> Array:
        y = x @ self.weight
        y += self.bias
        y *= self.scale
        y += np.float32(0.5)
        np.floor(y, out=y)
        return np.clip(y, low, high, out=y)


class IntegerBlock:
    """clip(h + bottleneck([h, extra])): 1x1, 3x3, 1x1."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str):
        self.a, self.b, self.c = (IntegerLayer(tensors, f"{name}.{part}") for part in "abc")

    def __call__(self, h: Array, extra: Array | None = None) -> Array:
        rows, columns, channels = h.shape
        x = h if extra is None else np.concatenate([h, extra], 2)
        r = self.a(x.reshape(rows * columns, -1), 0, CLIP)
        r = self.b(windows(r.reshape(rows, columns, -1)), 0, CLIP)
        r = self.c(r, -4 * CLIP, 4 * CLIP).reshape(rows, columns, channels)
        r += h
        return np.clip(r, -CLIP, CLIP, out=r)


def windows(x: Array) -> Array:
    """3x3 windows with zero padding, tap by tap: (rows, columns, c) -> (rows * columns, 9 c)."""
    rows, columns, channels = x.shape
    padded = np.zeros((rows + 2, columns + 2, channels), np.float32)
    padded[1:-1, 1:-1] = x
    out = np.empty((rows, columns, 9, channels), np.float32)
    for tap in range(9):
        y, dx = divmod(tap, 3)
        out[:, :, tap] = padded[y : y + rows, dx : dx + columns]
    return out.reshape(rows * columns, 9 * channels)


def neighbours(t: Array) -> Array:
    """Tokens above, left, right, below, zero outside: (rows, columns, c) -> (rows, columns, 4 c)."""
    rows, columns, channels = t.shape
    p = np.zeros((rows + 2, columns + 2, channels), np.float32)
    p[1:-1, 1:-1] = t
    return np.concatenate([p[:-2, 1:-1], p[1:-1, :-2], p[1:-1, 2:], p[2:, 1:-1]], 2)


def counts_from_logits(logits: Array, table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Integer soft-max: (n, size) integers in units of 2**-6 nat -> (n, size) int64 counts >= 1 that sum to 2**16."""
    n, size = logits.shape
    units = logits.astype(np.int64)
    best = units.argmax(1)  # the first of equals
    distance = units.max(1, keepdims=True) - units
    weights = table[np.minimum(distance, TABLE_SIZE - 1)]
    counts = 1 + weights * (2**TOTAL_BITS - size) // weights.sum(1, keepdims=True)
    counts[np.arange(n), best] += 2**TOTAL_BITS - counts.sum(1)
    return counts


class LevelPrior:
    """Heads and state update of one level."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str):
        logit_gain = LOGIT_BITS - ACTIVATION_BITS
        self.hidden = IntegerLayer(tensors, f"{name}.hidden")
        self.hidden_odd = IntegerLayer(tensors, f"{name}.hidden_odd")
        self.logits = IntegerLayer(tensors, f"{name}.logits", logit_gain)
        self.logits_odd = IntegerLayer(tensors, f"{name}.logits_odd", logit_gain)
        self.absorb = IntegerBlock(tensors, f"{name}.absorb")


class Prior:
    """Weights of the prior; `Prior(tensors, levels)` with the tensors named `prior.*` of a model file."""

    def __init__(self, tensors: dict[str, np.ndarray], levels: tuple[Level, ...]):
        try:
            self.levels = levels
            self.start = tensors["prior.start"].astype(np.float32)
            self.table = tensors["prior.exp_table"].astype(np.int64)
            if self.table.shape != (TABLE_SIZE,) or self.table[0] != 2**16 or self.table.min() < 0:
                raise ModelError("prior.exp_table is not the table of the format")
            check_levels(levels)
            check_tensors(tensors, levels)
            strides = sorted({level.stride for level in levels}, reverse=True)
            self.up = [IntegerLayer(tensors, f"prior.up.{i}") for i in range(len(strides) - 1)]
            self.mix = [IntegerBlock(tensors, f"prior.mix.{i}") for i in range(len(strides) - 1)]
            self.nets = [LevelPrior(tensors, f"prior.levels.{k}") for k in range(len(levels))]
        except KeyError as error:
            raise ModelError(f"model file has no tensor {error}") from error

    def state(self, rows: int, columns: int) -> PriorState:
        """A fresh state for a grid of rows x columns cells of 64x64 px."""
        limit_blas_of_worker()
        return PriorState(self, rows, columns)


class PriorState:
    """Walks down the levels: for each level take `passes`, then `absorb` its tokens."""

    def __init__(self, prior: Prior, rows: int, columns: int):
        self.prior, self.k, self.step = prior, 0, 0
        self.h: Array = np.broadcast_to(prior.start, (rows, columns, len(prior.start)))

    def enter(self) -> None:
        """Brings the state to the stride of the next level."""
        levels, k = self.prior.levels, self.k
        stride = levels[k - 1].stride if k else levels[0].stride
        while stride > levels[k].stride:
            rows, columns, channels = self.h.shape
            y = self.prior.up[self.step](self.h.reshape(rows * columns, channels), -CLIP, CLIP)
            y = (
                y.reshape(rows, columns, channels, 2, 2)
                .transpose(0, 3, 1, 4, 2)
                .reshape(rows * 2, columns * 2, channels)
            )
            self.h = self.prior.mix[self.step](y)
            stride, self.step = stride // 2, self.step + 1

    def passes(
        self, digits: np.ndarray, sent: np.ndarray
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Two passes over the current level: even squares, then odd ones given the even.

        digits: (rows, columns, d) integer array centred on 0 that the caller fills between the passes; sent: (rows,
        columns) bool, which positions the stream holds.  Yields (positions, counts): flat indices (n,) of the sent
        positions of the pass in coding order and their counts (n * d, size), token by token.
        """
        level, net = self.prior.levels[self.k], self.prior.nets[self.k]
        rows, columns, channels = self.h.shape
        order = spread_order(rows, columns)
        order = order[sent.ravel()[order]]
        even = spread_rank(rows, columns).ravel()[order] < 32
        state = self.h.reshape(rows * columns, channels)
        positions = order[even]
        logits = net.logits(net.hidden(state[positions], 0, CLIP), -LOGIT_LIMIT * 64, LOGIT_LIMIT * 64)
        yield positions, counts_from_logits(logits.reshape(-1, level.size), self.prior.table)
        positions = order[~even]
        mask = sent & (spread_rank(rows, columns) < 32)
        around = neighbours(token_inputs(digits, mask)).reshape(rows * columns, -1)[positions]
        seen = np.concatenate([state[positions], around], 1)
        logits = net.logits_odd(net.hidden_odd(seen, 0, CLIP), -LOGIT_LIMIT * 64, LOGIT_LIMIT * 64)
        yield positions, counts_from_logits(logits.reshape(-1, level.size), self.prior.table)

    def absorb(self, digits: np.ndarray, sent: np.ndarray) -> None:
        """Takes the finished level's tokens into the state and moves on to the next level."""
        if self.k + 1 < len(self.prior.levels):
            self.h = self.prior.nets[self.k].absorb(self.h, token_inputs(digits, sent))
        self.k += 1


def token_inputs(digits: np.ndarray, sent: np.ndarray) -> Array:
    """Digits (rows, columns, d), mask (rows, columns) -> (rows, columns, 2 d + 1): digits, magnitudes, mask in 1/16."""
    z = np.where(sent[..., None], digits, 0).astype(np.float32)
    return np.concatenate([z, np.abs(z), sent[..., None].astype(np.float32)], 2) * np.float32(UNIT)

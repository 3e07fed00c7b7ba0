"""The prior's layers in numpy.

Integers are held in float32 and multiplied by BLAS: every partial sum stays below 2**24 (asserted when the weights are
loaded), so that the result is exact and the same whatever the order of summation, the number of threads or the library.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltokc.entropy.number_formats import ACTIVATION_BITS, BIAS_LIMIT, CLIP, EXACT, LOGIT_BITS, LOGIT_LIMIT, MAX_SHIFT
from ltokc.errors import ModelError
from ltokc.geometry import Level

Array = npt.NDArray[np.float32]
LOGIT_GAIN = LOGIT_BITS - ACTIVATION_BITS
MOST_LOGIT = LOGIT_LIMIT * 2**LOGIT_BITS


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


class LevelLayers:
    """Heads and state update of one level."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str):
        self.hidden = IntegerLayer(tensors, f"{name}.hidden")
        self.hidden_odd = IntegerLayer(tensors, f"{name}.hidden_odd")
        self.logits = IntegerLayer(tensors, f"{name}.logits", LOGIT_GAIN)
        self.logits_odd = IntegerLayer(tensors, f"{name}.logits_odd", LOGIT_GAIN)
        self.absorb = IntegerBlock(tensors, f"{name}.absorb")


class NumpyNetwork:
    """All layers; the state is float32 (rows, columns, channels), integers of -127 to 127."""

    def __init__(self, tensors: dict[str, np.ndarray], levels: tuple[Level, ...]):
        self.start = tensors["prior.start"].astype(np.float32)
        steps = range(len({level.stride for level in levels}) - 1)
        self.up = [IntegerLayer(tensors, f"prior.up.{i}") for i in steps]
        self.mix = [IntegerBlock(tensors, f"prior.mix.{i}") for i in steps]
        self.levels = [LevelLayers(tensors, f"prior.levels.{k}") for k in range(len(levels))]

    def first(self, rows: int, columns: int) -> Array:
        """The state before anything is known."""
        return np.broadcast_to(self.start, (rows, columns, len(self.start)))

    def finer(self, step: int, h: Array) -> Array:
        """The state at half the stride: (rows, columns, c) -> (2 rows, 2 columns, c)."""
        rows, columns, channels = h.shape
        y = self.up[step](h.reshape(rows * columns, channels), -CLIP, CLIP)
        y = y.reshape(rows, columns, channels, 2, 2).transpose(0, 3, 1, 4, 2).reshape(rows * 2, columns * 2, channels)
        return self.mix[step](y)

    def absorbed(self, k: int, h: Array, tokens: Array) -> Array:
        """The state after the tokens (rows, columns, 2 d + 1) of level k."""
        return self.levels[k].absorb(h, tokens)

    def logits(self, k: int, h: Array, positions: np.ndarray, around: Array | None) -> Array:
        """Logits (n, d * size) at flat positions (n,); around: tokens beside them, of the second pass."""
        seen, layers = h.reshape(-1, h.shape[2])[positions], self.levels[k]
        if around is None:
            return layers.logits(layers.hidden(seen, 0, CLIP), -MOST_LOGIT, MOST_LOGIT)
        seen = np.concatenate([seen, around], 1)
        return layers.logits_odd(layers.hidden_odd(seen, 0, CLIP), -MOST_LOGIT, MOST_LOGIT)

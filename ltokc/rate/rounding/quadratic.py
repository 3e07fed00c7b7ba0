"""Which digits of a window should be rounded the other way: a quadratic model of the loss, minimised by flips.

A flip is a step of one to the side that the unrounded value leaned to.  With f for all steps from where g is taken:

    loss(digits + f)  =  loss(digits)  +  g f  +  scale * f H f / 2  +  own bits of the flips

g is the gradient.  H is the rounding kernel of the model (`ltokc.tokenizer.rounding`) over the pixels of the window; it
is the same for all pictures and depths, since the curvature hardly depends on the size of g.  The scale of a cell grows
with the digits it sends: the flips that the model likes are those whose curvature it believes too small.  Own bits are
those of a digit by how often its values occur in the window.  Where a gradient was taken before, with other flips, how
it changed says how much the scales are off (`stiffness`).  Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ltokc.blas import one_blas_thread
from ltokc.geometry import CELL
from ltokc.rate.rounding.folding import Folded, Folding
from ltokc.tokenizer.rounding import STRIDE

LEANS = 0.2, 0.75  # how far off its digit an unrounded value may flip; above .5 the tokenizer saw other borders
SCALE, POWER = 0.55, 0.4  # the scale of a cell is SCALE * (digits sent a square of stride 16)**POWER
SCALES = 0.7, 8.0  # bounds of a scale
STIFFNESS = 1.0, 4.0  # bounds of what a scale is multiplied by once it was measured
PASSES = 12  # over the model
Kernel = npt.NDArray[np.float32]
Flips = npt.NDArray[np.bool_]  # (n, h, w), folded
TURN, GOLDEN = 0.35, 0.618034  # share of the digits that may flip in a pass; how far turns move on from pass to pass


@dataclass(frozen=True, slots=True)
class Question:
    """A window whose digits may flip; all folded, (n, h, w) float32.

    digits; lean: unrounded values less digits; sent: 1 where there is a digit; free: 1 where it may change.  bit: what
    a bit weighs against the loss; pixels: over how many the loss is a mean.
    """

    folding: Folding
    digits: Folded
    lean: Folded
    sent: Folded
    free: Folded
    bit: float
    pixels: int

    @property
    def side(self) -> Folded:
        """To which side a digit may flip: -1, 0 or 1."""
        return np.sign(self.lean)


def flipped(question: Question, kernel: Kernel, gradient: Folded, flips: Flips, stiffness: float = 1.0) -> Flips:
    """Which digits stand on their other side after all flips, and flips back, that pay.

    kernel: (n, n, 3, 3) for all levels of the model; gradient: of the loss by the digits with `flips`, which stand on
    their other side already; stiffness: of the scales, times what they are by the digits sent.
    """
    q = question
    n = q.folding.channels
    side = q.side
    allowed = (np.abs(q.lean) > LEANS[0]) & (np.abs(q.lean) < LEANS[1]) & (q.free > 0)
    allowed &= np.abs(q.digits + side) <= _halves(q.folding)[:, None, None]
    root = np.sqrt(_scales(q.sent) * np.float32(stiffness))
    weight = _by_offset(q, kernel)
    own = weight[4, range(n), range(n)][:, None, None] * root * root / 2
    gain = side * gradient + _own_bits(q, side)
    turns = _turns(q.digits.shape)
    state, before = flips.copy(), flips.astype(np.float32)
    pull, kept = side * root, -own
    with one_blas_thread():
        for i in range(PASSES):
            change = gain  # by a flip of one alone: its gradient and half of its curvature
            if i:
                moved = state.astype(np.float32)
                moved -= before
                moved *= side
                moved *= root
                change = _convolved(moved, weight)
                change *= pull
                change += gain
            pays = np.where(state, change > own, change < kept)
            turn = turns + np.float32(i * GOLDEN)
            turn -= np.floor(turn)
            pays &= turn < TURN
            pays &= allowed
            state ^= pays
    return state


def stiffness(question: Question, kernel: Kernel, moved: Folded, answer: Folded) -> float:
    """How many times as much a gradient answered to steps of the digits as the model says, within `STIFFNESS`.

    moved: the steps; answer: the gradient with them less that without.
    """
    root = np.sqrt(_scales(question.sent))
    with one_blas_thread():
        said = root * _convolved(moved * root, _by_offset(question, kernel))
    return float(np.clip((said * answer).sum() / max(float(np.square(said).sum()), 1e-30), *STIFFNESS))


def _by_offset(q: Question, kernel: Kernel) -> Folded:
    """The kernel as (offset, n, n), so that each offset is one product of matrices."""
    n = q.folding.channels
    return np.ascontiguousarray(kernel[:n, :n].transpose(2, 3, 0, 1).reshape(9, n, n)) / np.float32(q.pixels)


def _halves(folding: Folding) -> npt.NDArray[np.float32]:
    """The largest digit of each channel: (n,)."""
    levels = [folding.levels[k] for k in folding.taking]
    return np.repeat(np.array([level.half for level in levels], np.float32), folding.sizes)


def _scales(sent: Folded) -> Folded:
    """Scale of the curvature at each square of stride 16, by the digits that its cell sends: (h, w)."""
    side = CELL // STRIDE
    each = sent.sum(0)
    h, w = each.shape
    means = each.reshape(h // side, side, w // side, side).mean((1, 3))
    return np.clip(np.float32(SCALE) * means**POWER, *SCALES).repeat(side, 0).repeat(side, 1).astype(np.float32)


def _own_bits(q: Question, side: Folded) -> Folded:
    """What the own bits of each digit weigh more after its flip, by how often values occur: (n, h, w)."""
    out = np.zeros(q.digits.shape, np.float32)
    first = 0
    for k, channels in zip(q.folding.taking, q.folding.sizes, strict=True):
        level = q.folding.levels[k]
        places = channels // level.digits
        for c in range(first, first + channels, places):
            rows = slice(c, c + places)
            here = (q.digits[rows] + level.half).astype(np.intp)
            counts = np.bincount(here[q.sent[rows] > 0], minlength=level.size) + 1.0
            bits = -np.log2(counts / counts.sum())
            there = np.clip(here + side[rows].astype(np.intp), 0, level.size - 1)
            out[rows] = bits[there] - bits[here]
        first += channels
    return out * np.float32(q.bit / q.pixels)


def _convolved(x: Folded, weight: Folded) -> Folded:
    """3x3 convolution, zeros beyond the borders: (n, h, w) by (9, n, n)."""
    n, h, w = x.shape
    padded = np.zeros((n, h + 2, w + 2), np.float32)
    padded[:, 1:-1, 1:-1] = x
    out = np.zeros((n, h * w), np.float32)
    for i in range(9):
        out += weight[i] @ np.ascontiguousarray(padded[:, i // 3 : i // 3 + h, i % 3 : i % 3 + w]).reshape(n, -1)
    return out.reshape(n, h, w)


@lru_cache(maxsize=4)
def _turns(shape: tuple[int, ...]) -> Folded:
    """Fixed numbers in [0, 1) of a shape: who may flip in which pass."""
    return np.random.default_rng(0).random(shape, np.float32)

"""How far the networks of a model look: which positions of every stride a part of the picture depends on.

Read from the shapes of the weights, so that a model with more blocks or larger kernels gets a larger halo by itself.
Top-down, what is needed of a stride shrinks quickly towards the fine strides, where nearly all of the work is: with the
window cut to what is needed at every change of stride the halo costs little, and the result is that of the whole
picture, apart from the order of floating-point sums.

A span is (first, last + 1) of positions at one stride, along one axis, counted from the picture's border.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ltokc.errors import ModelError
from ltokc.geometry import CELL, STRIDES

Span = tuple[int, int]
Spans = dict[int, Span]  # by stride


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Positions to each side that the convolutions of a part see, at the stride of that part.

    `encoder`, `before` (blocks of the state after it came to a stride, head included at stride 4): by stride, 4 to 64;
    `query`, `absorb`: by level; `after`: blocks behind the last level, at its stride; `strides`: of the levels.
    """

    strides: tuple[int, ...]
    encoder: tuple[int, ...]
    before: tuple[int, ...]
    query: tuple[int, ...]
    absorb: tuple[int, ...]
    after: int


def receptive_field(tensors: Mapping[str, Any], strides: Sequence[int]) -> ReceptiveField:
    """tensors: name -> {"shape": ...} as in the header of the weights; strides: of the levels, in their order.

    Raises ModelError for a convolution whose place in the ladder is not known.
    """
    encoder, before, after = [0] * len(STRIDES), [0] * len(STRIDES), 0
    query, absorb = [0] * len(strides), [0] * len(strides)
    for name, entry in tensors.items():
        shape = entry.get("shape", ()) if isinstance(entry, dict) else ()
        if len(shape) != 4 or max(shape[2:]) == 1 or name.startswith("prior."):
            continue
        radius, (part, index, rest) = max(shape[2:]) // 2, _place(name)
        if part == "stem":
            encoder[0] += radius
        elif part == "encoder" and index < len(encoder):
            encoder[index] += radius
        elif part == "pre" and index < len(before):
            before[index] += radius
        elif part == "head":
            before[0] += radius
        elif part == "final":
            after += radius
        elif part == "levels" and index < len(strides):
            (query if rest.startswith("query.") else absorb)[index] += radius
        else:
            raise ModelError(f"cannot tell how far the networks look: {name} is not known")
    return ReceptiveField(tuple(strides), tuple(encoder), tuple(before), tuple(query), tuple(absorb), after)


def with_generator(field: ReceptiveField, tensors: Mapping[str, Any]) -> ReceptiveField:
    """How far the generative decoder looks: the generator reads the finished state of stride 8 and what the head reads.

    tensors: as for `receptive_field`, of the generator's weights.  What it sees at stride 2 counts at 4, rounded up.
    The gate sees one position of stride 8 more than its convolutions, which it is interpolated from.
    Raises ModelError for a convolution whose place is not known, and for levels that do not end at stride 8.
    """
    seen = {"blocks8": 0, "blocks4": 0, "convolutions2": 0, "last": 0, "gate": 0}
    for name, entry in tensors.items():
        shape = entry.get("shape", ()) if isinstance(entry, dict) else ()
        if len(shape) != 4 or max(shape[2:]) == 1:
            continue
        part = name.split(".")[0]
        if part not in seen:
            raise ModelError(f"cannot tell how far the generator looks: {name} is not known")
        seen[part] += max(shape[2:]) // 2
    if field.strides[-1] != 8:
        raise ModelError("a generator needs a ladder whose last level has stride 8")
    at_4 = seen["blocks4"] + -(-(seen["convolutions2"] + seen["last"]) // 2)
    at_8 = max(seen["blocks8"], seen["gate"] + 1 if seen["gate"] else 0)
    return replace(field, before=(field.before[0] + at_4, *field.before[1:]), after=field.after + at_8)


def _place(name: str) -> tuple[str, int, str]:
    """`levels.3.block.b.weight` -> ("levels", 3, "block.b.weight")."""
    match = re.fullmatch(r"([a-z]+)(?:\.(\d+))?\.(.*)", name)
    return (match[1], int(match[2] or 0), match[3]) if match else (name, 0, "")


def decoder_spans(field: ReceptiveField, pixels: Span, length: int) -> Spans:
    """What the decoder needs of the state and the tokens of each stride to make `pixels` of a side of `length` px."""
    return _upwards(field, _around(pixels, 4), 4, length, queries=False)


def tokenizer_spans(field: ReceptiveField, cells: Span, length: int, share: float = 1.0) -> Spans:
    """What the tokenizer needs of state, features and tokens of each stride to make the tokens of `cells`.

    share: of the true margin of each stride; an approximation when below 1.
    """
    scale = CELL // field.strides[-1]
    span = (cells[0] * scale, cells[1] * scale)
    return _upwards(field, span, field.strides[-1], length, queries=True, share=share)


def encoder_cells(field: ReceptiveField, spans: Spans, length: int, share: float = 1.0) -> Span:
    """The cells of the picture that the features of these spans depend on.

    share: as for `tokenizer_spans`.  Below 1 the margin of the features themselves is left out: it would cost a whole
    cell on each side, and features at the border of a window have hardly a say.
    """
    span = spans[CELL]
    for i, stride in reversed(list(enumerate(STRIDES))):
        if stride in spans:
            span = min(span[0], spans[stride][0]), max(span[1], spans[stride][1])
        margin = field.encoder[i] if share == 1 else 0
        span = _clipped((span[0] - margin, span[1] + margin), stride, length)
        if i:
            span = span[0] * 2, span[1] * 2
    return _around(span, CELL // STRIDES[0])


def _upwards(field: ReceptiveField, span: Span, stride: int, length: int, queries: bool, share: float = 1.0) -> Spans:
    """From the finest stride to the coarsest; `queries`: the levels are made, not only taken in.

    A share of a margin is rounded up, but down at the coarsest stride, where a position is a whole cell.
    """
    spans: Spans = {}
    last = len(field.strides) - 1
    while stride <= CELL:
        margin = field.before[STRIDES.index(stride)]
        if stride == field.strides[last] and not queries:
            margin += field.after
        for k, at in enumerate(field.strides):
            if at == stride:
                margin += field.query[k] if queries else 0
                margin += field.absorb[k] if k < last or not queries else 0
        margin = int(margin * share) if stride == CELL else math.ceil(margin * share)
        spans[stride] = span = _clipped((span[0] - margin, span[1] + margin), stride, length)
        span, stride = _around(span, 2), stride * 2
    return spans


def _around(span: Span, factor: int) -> Span:
    """The span of a grid that is `factor` times coarser and holds this one."""
    return span[0] // factor, -(-span[1] // factor)


def _clipped(span: Span, stride: int, length: int) -> Span:
    """Within the positions of a side of `length` px, which is filled up to whole cells."""
    return max(0, span[0]), min(span[1], -(-length // CELL) * (CELL // stride))

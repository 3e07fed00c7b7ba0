"""The gradient of a loss by a picture's digits: the graphs that make it, and which levels have one."""

from __future__ import annotations

from collections.abc import Sequence

from ltokc.geometry import Level

FORWARD, BACKWARD = GRAPHS = ("forward", "backward")  # `ltokc.train.export.gradient_graph`
BACKWARD_8 = "backward8"  # the way back in 8-bit integers, of models that have measured it
FILES = tuple(f"{name}.onnx" for name in GRAPHS)
STRIDE = 16  # of the coarsest levels that take part


def first_level(levels: Sequence[Level]) -> int:
    """The first level that takes part; those after it do too."""
    return next(k for k, level in enumerate(levels) if level.stride <= STRIDE)

"""Gradients by digits: which levels have one, and the graphs that make them."""

from __future__ import annotations

from collections.abc import Sequence

from ltokc.geometry import Level

FORWARD, BACKWARD = "forward.onnx", "backward.onnx"
GRADIENT_STRIDE = 16  # levels of coarser strides take no part: they are few digits, and far from a quadratic model


def first_level(levels: Sequence[Level]) -> int:
    """The first level that has a gradient; all after it have one too."""
    return next(k for k, level in enumerate(levels) if level.stride <= GRADIENT_STRIDE)

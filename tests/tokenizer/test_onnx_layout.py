"""A graph whose output comes with the channels last: the same numbers, turned."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from ltokc.errors import ModelError
from ltokc.ort.graphs import Graph
from ltokc.tokenizer.runtime.onnx_layout import channels_last


def graph() -> bytes:
    """x, and x + 1 as y."""
    made = Graph()
    made.node("Add", ["x", made.constant("one", np.array(1, np.float32))], "y")
    made.node("Identity", ["x"], "z")
    return made.model({"x": (np.float32, 4)}, ["y", "z"])


def test_one_output_is_turned() -> None:
    x = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    session = ort.InferenceSession(channels_last(graph(), "y"), providers=["CPUExecutionProvider"])
    y, z = session.run(["y", "z"], {"x": x})
    assert np.array_equal(y, (x + 1).transpose(0, 2, 3, 1)) and np.array_equal(z, x)


def test_other_graphs_are_refused() -> None:
    for model in (b"", b"\x3a\x00", b"\x3a\x05abc", b"\xff" * 20, bytes(range(200))):
        with pytest.raises(ModelError):
            channels_last(model, "y")
    with pytest.raises(ModelError, match="no output w"):
        channels_last(graph(), "w")

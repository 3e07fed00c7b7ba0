"""Whether ONNX Runtime multiplies 8-bit integers exactly on this processor.

On x86 without VNNI (or AVX-VNNI) it adds two products in 16 bits, which saturates for large weights.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ltokc.ort.graphs import Graph
from ltokc.ort.sessions import session_options
from ltokc.ort.silent import ort

INPUTS, OUTPUTS = 64, 16  # enough for whole vectors


@cache
def multiplies_exactly() -> bool:
    """Products of uint8 and int8 at their ends, summed; False also where it has no such product."""
    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-127, 127], np.int8), (INPUTS, OUTPUTS))
    given = rng.choice(np.array([254, 255], np.uint8), (4, INPUTS))
    graph = Graph()
    graph.node("MatMulInteger", ["x", graph.constant("w", weights)], "y")
    try:
        session = ort.InferenceSession(
            graph.model({"x": (np.uint8, 2)}, ["y"]), session_options(1), providers=["CPUExecutionProvider"]
        )
        found = session.run(None, {"x": given})[0]
    except Exception:  # noqa: BLE001 (ONNX Runtime raises a family of its own)
        return False
    return bool(np.array_equal(found, given.astype(np.int32) @ weights.astype(np.int32)))

"""Small ONNX graphs made without the package onnx: nodes, constants, inputs and outputs to the bytes of a model.

Numbers of fields and types are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ltokc.ort.protobuf import Fields, written

IR_VERSION, OPSET = 9, 17
CONTRIB = "com.microsoft"  # operators of ONNX Runtime's own
TYPES = {np.dtype(name): number for name, number in (
    ("float32", 1), ("uint8", 2), ("int8", 3), ("int32", 6), ("int64", 7))}  # fmt: skip
INT, INTS = 2, 7  # types of attributes


@dataclass(slots=True)
class Graph:
    """A graph as it grows; values are known by name."""

    nodes: list[bytes] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def constant(self, name: str, value: np.ndarray) -> str:
        """Holds an array under a name, which is given back."""
        self.constants[name] = value
        return name

    def node(
        self, op: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: int | Sequence[int]
    ) -> str:
        """Adds an operator; the name of its output is given back."""
        fields: Fields = [(1, name.encode()) for name in inputs]
        fields += [(2, output.encode()), (4, op.encode())]
        for name, value in attributes.items():
            said: Fields = [(1, name.encode())]
            if isinstance(value, int):
                said += [(3, value), (20, INT)]
            else:
                said += [*((8, each) for each in value), (20, INTS)]
            fields.append((5, written(said)))
        if domain:
            fields.append((7, domain.encode()))
        self.nodes.append(written(fields))
        return output

    def model(self, inputs: Mapping[str, tuple[type, int]], outputs: Sequence[str]) -> bytes:
        """inputs: name -> (dtype, number of axes, all of any length)."""
        graph: Fields = [(1, node) for node in self.nodes]
        graph.append((2, b"g"))
        graph += [(5, _tensor(name, value)) for name, value in self.constants.items()]
        graph += [(11, _value(name, np.dtype(kind), axes)) for name, (kind, axes) in inputs.items()]
        graph += [(12, written([(1, name.encode())])) for name in outputs]
        opsets: Fields = [(8, written([(2, OPSET)])), (8, written([(1, CONTRIB.encode()), (2, 1)]))]
        return written([(1, IR_VERSION), *opsets, (7, written(graph))])


def _tensor(name: str, value: np.ndarray) -> bytes:
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    sizes: Fields = [(1, length) for length in value.shape]
    return written([*sizes, (2, TYPES[value.dtype]), (8, name.encode()), (9, little.tobytes())])


def _value(name: str, kind: np.dtype, axes: int) -> bytes:
    shape = written([(1, written([(2, f"{name}_{i}".encode())])) for i in range(axes)])
    tensor = written([(1, TYPES[kind]), (2, shape)])
    return written([(1, name.encode()), (2, written([(1, tensor)]))])

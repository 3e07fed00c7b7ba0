"""An ONNX graph that gives an output with the channels last, as OpenVINO's layers have it in memory anyway.

To turn the decoder's picture takes OpenVINO a twentieth of the decoder's time.
"""

from __future__ import annotations

from ltokc.errors import ModelError
from ltokc.ort.protobuf import Fields, bytes_of, parsed, written

GRAPH = 7  # of ModelProto
NODE, OUTPUT = 1, 12  # of GraphProto
NODE_INPUT, NODE_OUTPUT, OP_TYPE, ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
INTS = 7  # type of an attribute
NAME = 1  # of ValueInfoProto


def channels_last(model: bytes, output: str) -> bytes:
    """The model with `output`, (1, c, h, w), as (1, h, w, c).  Raises ModelError for a graph without it."""
    try:
        fields = parsed(model)
        position = next(i for i, (number, _) in enumerate(fields) if number == GRAPH)
        fields[position] = (GRAPH, written(_turned(parsed(bytes_of(fields[position][1])), output.encode())))
    except (StopIteration, IndexError, ValueError) as error:
        raise ModelError("cannot read the graph of the model: it is damaged") from error
    return written(fields)


def _turned(graph: Fields, output: bytes) -> Fields:
    before = output + b":first"
    nodes = [(NODE, _renamed(bytes_of(value), output, before)) for number, value in graph if number == NODE]
    if not any((NODE_OUTPUT, before) in parsed(node) for _, node in nodes):
        raise ModelError(f"cannot read the graph of the model: it has no output {output.decode()}")
    order = written([(1, b"perm"), *((8, axis) for axis in (0, 2, 3, 1)), (20, INTS)])
    turn = written([(NODE_INPUT, before), (NODE_OUTPUT, output), (OP_TYPE, b"Transpose"), (ATTRIBUTE, order)])
    rest = [
        (number, _shapeless(bytes_of(value)) if number == OUTPUT else value)
        for number, value in graph if number != NODE
    ]  # fmt: skip
    return [*nodes, (NODE, turn), *rest]


def _renamed(node: bytes, output: bytes, before: bytes) -> bytes:
    """The node; if it makes the output, it makes `before` in its place."""
    fields = parsed(node)
    if (NODE_OUTPUT, output) not in fields:
        return node
    return written([(NODE_OUTPUT, before) if field == (NODE_OUTPUT, output) else field for field in fields])


def _shapeless(info: bytes) -> bytes:
    """An output's name alone: what it says of its shape holds no more."""
    return written([field for field in parsed(info) if field[0] == NAME])

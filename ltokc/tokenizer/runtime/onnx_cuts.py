"""A ladder's ONNX graph with cuts: at every change of stride the window shrinks to what is still needed.

The graphs of a model compute a window at full size down to the finest stride, where nearly all of the time goes.  Here
a `Slice` is put behind every doubling of the state (and, for the tokenizer, before every use of the encoder's
features), driven by new inputs `<what>_from` and `<what>_to`, int64 (2,): rows and columns.  Only the graph's few
kilobytes are rewritten, in memory; weights and model files stay as they are.  Numbers of fields are those of
onnx.proto.
"""

from __future__ import annotations

from collections.abc import Sequence

from ltokc.errors import ModelError
from ltokc.ort.protobuf import Fields, bytes_of, parsed, written
from ltokc.tokenizer.runtime import feature_cut, state_cut

GRAPH = 7  # of ModelProto
NODE, INITIALIZER, INPUT = 1, 5, 11  # of GraphProto
NODE_INPUT, NODE_OUTPUT, OP_TYPE = 1, 2, 4  # of NodeProto
INT64 = 7
AXES = "cut_axes"


def with_cuts(model: bytes, strides: Sequence[int], features: bool) -> bytes:
    """The model with cuts of the state at `strides` (coarse to fine, without the first, 64).

    features: the graph is a tokenizer: its features are cut as well, at 64 and at `strides`.
    Raises ModelError for a graph that is not a ladder's.
    """
    try:
        fields = parsed(model)
        position = next(i for i, (number, _) in enumerate(fields) if number == GRAPH)
        graph = parsed(bytes_of(fields[position][1]))
        fields[position] = (GRAPH, written(_cut(graph, strides, features)))
    except (StopIteration, IndexError, ValueError) as error:
        raise ModelError("the graph of the model is damaged") from error
    return written(fields)


def _cut(graph: Fields, strides: Sequence[int], features: bool) -> Fields:
    nodes = [parsed(bytes_of(value)) for number, value in graph if number == NODE]
    cuts: dict[str, str] = {}  # value -> cut
    doubled = [_names(node, NODE_OUTPUT)[0] for node in nodes if _op(node) == "DepthToSpace"]
    if len(doubled) != len(strides):
        raise ModelError("the graph of the model is not that of a ladder: it cannot be run in windows")
    renamed = {value: f"{value}:whole" for value in doubled}
    cuts |= {value: state_cut(stride) for value, stride in zip(doubled, strides, strict=True)}
    taken = _features(nodes) if features else []
    if features and len(taken) != len(strides) + 1:
        raise ModelError("the graph of the model is not that of a ladder: it cannot be run in windows")
    views = {value: f"{value}:cut" for value in taken}
    cuts |= {view: feature_cut(s) for view, s in zip(views.values(), (64, *strides), strict=features)}

    out: list[bytes] = []
    for node in nodes:
        op = _op(node)
        if views and op in ("Concat", "ReduceMax"):
            node = [(n, views.get(bytes_of(v).decode(), "").encode() or v if n == NODE_INPUT else v) for n, v in node]
        made = _names(node, NODE_OUTPUT)
        out.append(
            written([(n, renamed.get(bytes_of(v).decode(), "").encode() or v if n == NODE_OUTPUT else v)
                      for n, v in node])
        )  # fmt: skip
        for value in made:
            if value in renamed:
                out.append(_slice(renamed[value], value, cuts[value]))
            if value in views:
                out.append(_slice(value, views[value], cuts[views[value]]))
    rest = [field for field in graph if field[0] != NODE]
    inputs = [name for cut in cuts.values() for name in (f"{cut}_from", f"{cut}_to")]
    return [
        *((NODE, node) for node in out), *rest, (INITIALIZER, _axes()), *((INPUT, _pair(name)) for name in inputs)
    ]  # fmt: skip


def _features(nodes: Sequence[Fields]) -> list[str]:
    """The encoder's features in the order in which the top-down path takes them: (state, features) are joined.

    The other values that are joined to something are masks, which come from a cast.
    """
    makers = {name: _op(node) for node in nodes for name in _names(node, NODE_OUTPUT)}
    joined = [_names(node, NODE_INPUT)[1] for node in nodes if _op(node) == "Concat"]
    return list(dict.fromkeys(value for value in joined if makers.get(value) != "Cast"))


def _slice(source: str, target: str, cut: str) -> bytes:
    inputs = [(NODE_INPUT, name.encode()) for name in (source, f"{cut}_from", f"{cut}_to", AXES)]
    return written([*inputs, (NODE_OUTPUT, target.encode()), (OP_TYPE, b"Slice")])


def _axes() -> bytes:
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9."""
    raw = b"".join(axis.to_bytes(8, "little") for axis in (2, 3))
    return written([(1, 2), (2, INT64), (8, AXES.encode()), (9, raw)])


def _pair(name: str) -> bytes:
    """ValueInfoProto of an int64 (2,)."""
    shape = written([(1, written([(1, 2)]))])
    tensor = written([(1, INT64), (2, shape)])
    return written([(1, name.encode()), (2, written([(1, tensor)]))])


def _op(node: Fields) -> str:
    return next((bytes_of(value).decode() for number, value in node if number == OP_TYPE), "")


def _names(node: Fields, which: int) -> list[str]:
    return [bytes_of(value).decode() for number, value in node if number == which]

"""ONNX models whose weights lie in another file, made whole: for runtimes that look for that file beside the model."""

from __future__ import annotations

from pathlib import Path

from ltokc.errors import ModelError
from ltokc.ort.protobuf import Fields, bytes_of, parsed, written

GRAPH, INITIALIZER = 7, 5  # of ModelProto, of GraphProto
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14  # of TensorProto


def with_weights(model: bytes, folder: Path) -> bytes:
    """The model with all its weights inside; folder: where their file is.  Raises ModelError."""
    try:
        return written([
            (number, _graph(bytes_of(value), folder)) if number == GRAPH else (number, value)
            for number, value in parsed(model)
        ])  # fmt: skip
    except (IndexError, ValueError, KeyError) as error:
        raise ModelError("cannot read the graph of the model: it is damaged") from error
    except OSError as error:
        raise ModelError(f"cannot read the weights of the graph: {error.strerror}") from error


def _graph(data: bytes, folder: Path) -> bytes:
    files: dict[str, bytes] = {}

    def whole(tensor: Fields) -> Fields:
        said = [parsed(bytes_of(value)) for number, value in tensor if number == EXTERNAL_DATA]
        if not said:
            return tensor
        where = {bytes_of(key[1]).decode(): bytes_of(value[1]).decode() for key, value in said}
        name = Path(where["location"]).name  # beside the graph, never elsewhere
        if name not in files:
            files[name] = (folder / name).read_bytes()
        first = int(where.get("offset", 0))
        raw = files[name][first : first + int(where["length"])]
        kept = [field for field in tensor if field[0] not in (EXTERNAL_DATA, DATA_LOCATION)]
        return [*kept, (RAW_DATA, raw)]

    return written([
        (number, written(whole(parsed(bytes_of(value))))) if number == INITIALIZER else (number, value)
        for number, value in parsed(data)
    ])  # fmt: skip

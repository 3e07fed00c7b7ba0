"""Protobuf as far as ONNX needs it: fields of a number, a wire type and a value, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Fields = list[tuple[int, int | bytes]]  # (field number, integer or bytes)


def bytes_of(value: int | bytes) -> bytes:
    """The value of a field that is a message, a string or bytes.  Raises ValueError."""
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")
    return value


def parsed(data: bytes) -> Fields:
    """The fields of a message.  Raises ValueError and IndexError."""
    return list(_fields(data))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
        elif wire == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("cut")
            yield number, data[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def written(fields: Sequence[tuple[int, int | bytes]]) -> bytes:
    """Inverse of `parsed`."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _number(number << 3) + _number(value)
        else:
            out += _number(number << 3 | 2) + _number(len(value)) + value
    return bytes(out)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)

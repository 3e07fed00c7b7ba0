"""A reader of the tokens of .ltk files, written from formats/LTK.md alone: it proves that the text is enough.

It imports nothing of the codec and shares no line with it: plain Python integers for the container and the range
decoder, int64 arrays for the prior.  Comments name the sections.  It is slow and meant to be read.
The container, section 2, is in `independent_container`, what its chunks show in `independent_picture`, and the range
decoder, section 6, in `independent_range`.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.independent_container import Bytes, Header, Refused, boxes, parse
from tests.support.independent_picture import colours_of, patches_of, read_alpha
from tests.support.independent_range import RangeDecoder

UNCOUNTED = ("final.", "head.", "up.0.", "pre.0.", "stem.", "encoder.", "down.")  # section 5, "Models and their hash"
NUMPY_TYPES = {"I8": "|i1", "U8": "|u1", "I32": "<i4", "F16": "<f2", "F32": "<f4"}


@dataclass
class Tokens:
    """Per level: digits (rows, columns, d), 0 where absent, and which positions hold a token."""

    digits: list[np.ndarray]
    present: list[np.ndarray]

    def sha256(self, sizes: list[int]) -> str:
        """Section 4, "Tokens as bytes"."""
        out = b""
        for digits, present, size in zip(self.digits, self.present, sizes, strict=True):
            rows, columns, d = digits.shape
            out += f"{rows} {columns} {d} {size}\n".encode("ascii")
            out += bytes(int(v) for v in present.flat) + bytes(int(v) % 256 for v in digits.flat)
        return hashlib.sha256(out).hexdigest()


# --- section 7: cut streams ------------------------------------------------------------------------------------------
class Stream:
    """Section 7: of a cut stream the symbols that two continuations have in common."""

    def __init__(self, stream: bytes, cut: bool):
        self.cut, self.ended = cut, False
        self.coders = [RangeDecoder(stream, 0x00)] + ([RangeDecoder(stream, 0xFF)] if cut else [])

    def symbol(self, counts: list[int]) -> int | None:
        """The next symbol, or None at the end of a cut stream."""
        if not self.ended:
            found = [coder.symbol(counts) for coder in self.coders]
            if None not in found and len(set(found)) == 1:
                return found[0]
            if not self.cut:
                raise Refused("damaged stream")
            self.ended = True
        return None


# --- section 5: prior ----------------------------------------------------------------------------------------------
class Weights:
    """A model.safetensors: levels as (stride, digits, size), tensors of the prior, hash."""

    def __init__(self, path: Path, model_id: int = 6):
        self.model_id = model_id
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header, data = json.loads(data[8 : 8 + length]), data[8 + length :]
        config = json.loads(header.pop("__metadata__")["config"])
        self.levels = [(level["stride"], level["digits"], level["size"]) for level in config["levels"]]
        self.tensors, digest = {}, hashlib.sha256()
        for name in sorted(header):
            kind, shape = NUMPY_TYPES[header[name]["dtype"]], tuple(header[name]["shape"])
            begin, end = header[name]["data_offsets"]
            if not name.startswith(UNCOUNTED) and not (name.startswith("levels.") and name.split(".")[2] == "query"):
                digest.update(f"{name} {kind} {shape}".encode("ascii") + data[begin:end])
            if name.startswith("prior."):
                self.tensors[name[6:]] = np.frombuffer(data[begin:end], kind).reshape(shape).astype(np.int64)
        if config.get("prior_kind", 1) != 1 or set(self.tensors) != self.names():
            raise Refused("another kind of prior")
        self.hash = int.from_bytes(digest.digest()[:2], "big")
        self.table = [int(v) for v in self.tensors["exp_table"]]
        if self.table != [round(65536 * math.exp(-i / 64)) for i in range(1024)]:
            raise Refused("table of the soft-max")

    def names(self) -> set[str]:
        steps, levels = len({stride for stride, _, _ in self.levels}) - 1, len(self.levels)
        layers = [f"up.{i}" for i in range(steps)] + [f"mix.{i}.{part}" for i in range(steps) for part in "abc"]
        for k in range(levels):
            layers += [f"levels.{k}.{part}" for part in ("hidden", "logits", "hidden_odd", "logits_odd")]
            layers += [f"levels.{k}.absorb.{part}" for part in "abc"]
        return {"start", "exp_table"} | {f"{layer}.{part}" for layer in layers for part in ("weight", "bias", "shift")}

    def layer(self, name: str, x: np.ndarray, low: int, high: int, less_shift: int = 0) -> np.ndarray:
        """(..., P) -> (..., Q); a 3x3 layer wants (rows, columns, P)."""
        weight, bias, shifts = (self.tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        most = np.abs(bias) + 127 * np.abs(weight).reshape(len(bias), -1).sum(1)
        if most.max() >= 2**24 or np.abs(bias).max() > 2**20 or shifts.max() > 12:
            raise Refused("weights outside the exact range")
        if weight.ndim == 2:
            acc = x @ weight.T + bias
        else:
            rows, columns = x.shape[:2]
            framed = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            acc = np.zeros((rows, columns, len(bias)), np.int64) + bias
            for i in range(3):
                for j in range(3):
                    acc += framed[i : i + rows, j : j + columns] @ weight[:, :, i, j].T
        s = shifts - less_shift
        up, down = np.maximum(-s, 0), np.maximum(s, 0)
        half = np.where(s >= 1, 2 ** np.maximum(s - 1, 0), 0)
        return np.clip(((acc << up) + half) >> down, low, high)

    def block(self, name: str, h: np.ndarray, t: np.ndarray | None = None) -> np.ndarray:
        x = h if t is None else np.concatenate([h, t], 2)
        x = self.layer(f"{name}.b", self.layer(f"{name}.a", x, 0, 127), 0, 127)
        return np.clip(h + self.layer(f"{name}.c", x, -508, 508), -127, 127)

    def counts(self, logits: list[int]) -> list[int]:
        best, size = logits.index(max(logits)), len(logits)
        w = [self.table[min(logits[best] - g, 1023)] for g in logits]
        counts = [1 + v * (65536 - size) // sum(w) for v in w]
        counts[best] += 65536 - sum(counts)
        return counts


def rank(y: int, x: int) -> int:
    """Section 4: entry of the Bayer matrix."""
    v = [[0, 2], [3, 1]]
    return 16 * v[y & 1][x & 1] + 4 * v[y >> 1 & 1][x >> 1 & 1] + v[y >> 2 & 1][x >> 2 & 1]


def depth_map(stream: Stream, rows: int, columns: int, levels: int) -> np.ndarray | None:
    depths = np.zeros((rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            left, above = int(depths[y, x - 1]), int(depths[y - 1, x])
            p = [[(left + above + 1) // 2, above], [left, levels]][y == 0][x == 0]
            w = [4096 >> min(2 * abs(v - p), 12) for v in range(levels + 1)]
            counts = [1 + v * (65536 - (levels + 1)) // sum(w) for v in w]
            counts[p] += 65536 - sum(counts)
            symbol = stream.symbol(counts)
            if symbol is None:
                return None
            depths[y, x] = symbol
    return depths


# --- section 4: tokens of a segment --------------------------------------------------------------------------------
def read_segment(weights: Weights, payload: bytes, rows: int, columns: int, cut: bool) -> Tokens:
    levels = weights.levels
    scales = [64 // stride for stride, _, _ in levels]
    digits = [np.zeros((rows * s, columns * s, d), np.int64) for s, (_, d, _) in zip(scales, levels, strict=True)]
    present = [np.zeros(grid.shape[:2], bool) for grid in digits]
    out, f = Tokens(digits, present), Bytes(payload)
    try:
        left, has_map = divmod(f.varint(), 2)
    except Refused:
        if cut:
            return out
        raise
    if left > rows * columns * 4096:
        raise Refused("more tokens than any model has")
    stream = Stream(payload[f.at :], cut)
    depths = depth_map(stream, rows, columns, len(levels)) if has_map else np.full((rows, columns), len(levels))
    if depths is None:
        return out
    kept = [np.kron(depths > k, np.ones((s, s), bool)) for k, s in enumerate(scales)]
    if left > sum(int(grid.sum()) for grid in kept) and not cut:
        raise Refused("more tokens than the cells keep")
    h, stride, step = np.tile(weights.tensors["start"], (rows, columns, 1)), 64, 0
    for k, (wanted_stride, d, size) in enumerate(levels):
        while stride > wanted_stride:
            u = weights.layer(f"up.{step}", h, -127, 127)
            h = np.zeros((2 * u.shape[0], 2 * u.shape[1], u.shape[2] // 4), np.int64)
            for a in range(2):
                for b in range(2):
                    h[a::2, b::2] = u[:, :, 2 * a + b :: 4]
            h, stride, step = weights.block(f"mix.{step}", h), stride // 2, step + 1
        order = sorted((rank(y, x), y, x) for y, x in zip(*np.nonzero(kept[k]), strict=True))
        inputs = np.zeros((*h.shape[:2], 2 * d + 1), np.int64)
        for kind, of_kind in (("", [p for p in order if p[0] < 32]), ("_odd", [p for p in order if p[0] >= 32])):
            if left == 0:
                return out
            seen = h
            if kind:
                framed = np.pad(inputs, ((1, 1), (1, 1), (0, 0)))
                around = [framed[:-2, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:], framed[2:, 1:-1]]
                seen = np.concatenate([h, *around], 2)
            hidden = weights.layer(f"levels.{k}.hidden{kind}", seen, 0, 127)
            logits = weights.layer(f"levels.{k}.logits{kind}", hidden, -1024, 1024, less_shift=2)
            for _, y, x in of_kind[:left]:
                rows_of_logits = logits[y, x].reshape(d, size).tolist()
                token = [stream.symbol(weights.counts(row)) for row in rows_of_logits]
                if None in token:
                    return out
                digits[k][y, x] = np.array(token) - (size - 1) // 2
                present[k][y, x] = True
                inputs[y, x] = 16 * np.concatenate([digits[k][y, x], np.abs(digits[k][y, x]), [1]])
            left -= min(left, len(of_kind))
        if left == 0:
            return out
        if k + 1 < len(levels):
            h = weights.block(f"levels.{k}.absorb", h, inputs)
    return out


def read(data: bytes, weights: Weights, allow_truncated: bool = False) -> tuple[Header, Tokens, np.ndarray | None]:
    """Header with the chunks, tokens, alpha plane or None, of a file made with these weights.  Raises Refused."""
    h, payloads = parse(data, allow_truncated)
    if (h.model, h.hash) != (weights.model_id, weights.hash):
        raise Refused("model or weights")
    rows, columns = -(-h.height // 64), -(-h.width // 64)
    out = Tokens([], [])
    for stride, d, _ in weights.levels:
        out.digits.append(np.zeros((rows * 64 // stride, columns * 64 // stride, d), np.int64))
        out.present.append(np.zeros(out.digits[-1].shape[:2], bool))
    for (y, x, part_rows, part_columns), payload in zip(boxes(h), payloads, strict=True):
        part = read_segment(weights, payload, part_rows, part_columns, h.cut)
        for k, (stride, _, _) in enumerate(weights.levels):
            s = 64 // stride
            area = np.s_[y * s : (y + part_rows) * s, x * s : (x + part_columns) * s]
            out.digits[k][area], out.present[k][area] = part.digits[k], part.present[k]
    colours_of(h), patches_of(h)
    alpha = [read_alpha(body, h.width, h.height) for name, body in h.chunks if name == b"ALPH"]
    return h, out, alpha[0] if alpha else None


def read_tokens(data: bytes, weights: Weights, allow_truncated: bool = False) -> Tokens:
    """The tokens of a file made with these weights.  Raises Refused."""
    return read(data, weights, allow_truncated)[1]

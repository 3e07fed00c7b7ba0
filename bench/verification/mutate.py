"""Files that are nearly good: structured mutations of .ltk files, with checksums that hold, so that readers get deep.

A file is taken apart into a `Draft`, whose parts may contradict each other; some of them are changed, and it is spelled
again.  Or its bytes are changed and only the checksums put right (`reseal`).  Everything follows from the generator
given, so that a case is known by its number.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.verification.mutate_chunks import BYTES, CHUNK_CHANGES, NAMES, changed_bytes, near, varint
from ltokc import container
from ltokc.container import Header, Ltk
from ltokc.container.numbers import MAX_VARINT_BYTES
from ltokc.errors import LtokcError

EXT, SEG, ALPHA, GRAY = 1, 2, 4, 8
SIDES = (1, 2, 63, 64, 65, 127, 128, 129, 512, 513, 1024, 2048, 2049, 4096, 16384, 65535, 65536, 2**28, 2**35 - 1)
COUNTS = (0, 1, 2, 376, 377, 378, 753, 754, 755, 1000, 4096, 4097, 2**20, 2**33)
CHUNK_SHARE = 0.4  # of the changes


def crc(data: bytes, start: int = 0) -> bytes:
    return zlib.crc32(data, start).to_bytes(4, "big")


@dataclass
class Draft:
    """A file as its parts; None stands for what the other parts make it."""

    flags: int
    model_id: int
    weights_hash: int
    width: int
    height: int
    side_log2: int
    payloads: list[tuple[bytes, bytes]]  # tokens and depth flag as a varint, stream
    chunks: list[tuple[bytes, bytes]]
    version: int = 1
    chunk_count: int | None = None
    lengths: dict[int, int] = field(default_factory=dict)  # of payloads, where they lie
    chunk_lengths: dict[int, int] = field(default_factory=dict)
    long_varints: bool = False

    def spell(self) -> bytes:
        number = (lambda v: b"\x80" + varint(v)) if self.long_varints else varint
        head = b"\x89LTK" + bytes([self.version << 4 & 0xF0 | self.flags & 15]) + number(self.model_id)
        head += (self.weights_hash & 0xFFFF).to_bytes(2, "big") + varint(self.width - 1) + varint(self.height - 1)
        if self.flags & EXT:
            head += varint(len(self.chunks) if self.chunk_count is None else self.chunk_count)
        if self.flags & SEG:
            head += bytes([self.side_log2])
        bodies = [number_ + stream for number_, stream in self.payloads]
        if self.flags & (EXT | SEG):
            head += b"".join(varint(self.lengths.get(i, len(body))) for i, body in enumerate(bodies))
        parts = [head, crc(head)] if self.flags & SEG else [head]
        for body in bodies:
            parts += [body, crc(body) if self.flags & SEG else crc(head + body)]
        for i, (name, data) in enumerate(self.chunks if self.flags & EXT else []):
            parts += [name, varint(self.chunk_lengths.get(i, len(data))), data, crc(name + data)]
        return b"".join(parts)


def draft(ltk: Ltk) -> Draft:
    header = ltk.header
    return Draft(
        EXT * bool(ltk.chunks) | SEG * bool(ltk.segment_cells) | ALPHA * header.alpha | GRAY * header.gray,
        ltk.model_id, ltk.weights_hash, ltk.width, ltk.height, max(3, ltk.segment_cells.bit_length() - 1),
        [(varint(segment.tokens << 1 | segment.depth_map), segment.stream) for segment in ltk.segments],
        [(chunk.fourcc, chunk.data) for chunk in ltk.chunks],
    )  # fmt: skip


def reseal(data: bytes) -> bytes:
    """The file with every checksum that can be found put right; as it is where its layout cannot be followed."""
    out, at = bytearray(data), 0

    def number() -> int:
        nonlocal at
        value = 0
        for _ in range(MAX_VARINT_BYTES):
            byte = out[at]
            at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                break
        return value

    def put(crc_: bytes) -> None:
        nonlocal at
        out[at : at + 4] = crc_[: max(0, len(out) - at)]
        at += 4

    try:
        flags, at = out[4], 5
        number()
        at += 2
        width, height = number() + 1, number() + 1
        count = number() if flags & EXT else 0
        segments = 1
        if flags & SEG:
            side = 64 << min(out[at], 10)
            at += 1
            segments = min(20_000, -(-width // side) * -(-height // side))
        if not flags & (EXT | SEG):
            at = max(at, len(out) - 4)
            put(crc(bytes(out[:at])))
            return bytes(out)
        lengths = [number() for _ in range(segments)]
        start = zlib.crc32(out[:at])
        if flags & SEG:
            put(start.to_bytes(4, "big"))
            start = 0
        for length in lengths:
            begin, at = at, at + length
            put(crc(bytes(out[begin:at]), start))
        for _ in range(count):
            name, at = bytes(out[at : at + 4]), at + 4
            length = number()
            begin, at = at, at + length
            put(crc(name + bytes(out[begin:at])))
    except IndexError:
        pass
    return bytes(out)


# --- changes ---------------------------------------------------------------------------------------------------------
def change_size(d: Draft, rng: random.Random) -> None:
    if rng.random() < 0.5:
        d.width = max(1, near(d.width, SIDES, rng))
    else:
        d.height = max(1, near(d.height, SIDES, rng))


def change_flags(d: Draft, rng: random.Random) -> None:
    d.flags ^= 1 << rng.choice((0, 0, 1, 1, 2, 3))
    if rng.random() < 0.5 and d.flags & EXT and not d.chunks:
        d.chunks = [(rng.choice(NAMES), rng.randbytes(rng.randrange(20)))]


def change_identity(d: Draft, rng: random.Random) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        d.model_id = near(d.model_id, (0, 1, 2, 127, 128, 2**28 - 1, 2**28), rng)
    elif kind == 1:
        d.weights_hash ^= 1 << rng.randrange(16)
    elif kind == 2:
        d.version = rng.randrange(16)
    else:
        d.long_varints = True


def change_tokens(d: Draft, rng: random.Random) -> None:
    i = rng.randrange(len(d.payloads))
    old = int.from_bytes(d.payloads[i][0][-1:], "big")
    number = near(old >> 1, COUNTS, rng) << 1 | rng.getrandbits(1)
    d.payloads[i] = (varint(min(number, 2**35 - 1)), d.payloads[i][1])


def change_depth_flag(d: Draft, rng: random.Random) -> None:
    i = rng.randrange(len(d.payloads))
    number, stream = d.payloads[i]
    d.payloads[i] = (number[:-1] + bytes([number[-1] ^ 1]) if number else b"\x01", stream)


def change_stream(d: Draft, rng: random.Random) -> None:
    i = rng.randrange(len(d.payloads))
    number, stream = d.payloads[i]
    kind = rng.randrange(5)
    if kind == 0:
        stream = stream[: rng.randrange(len(stream) + 1)]
    elif kind == 1:
        stream = rng.randbytes(rng.choice((1, 4, 8, 30, 200)))
    elif kind == 2:
        stream = bytes([rng.choice(BYTES)]) * rng.choice((1, 4, 8, 30, 200))
    else:
        stream = changed_bytes(stream, rng)
    d.payloads[i] = (number, stream)


def change_payloads(d: Draft, rng: random.Random) -> None:
    """Segments more, fewer, in another order, or lengths that do not fit."""
    kind = rng.randrange(5)
    if kind == 0:
        d.payloads.append(rng.choice(d.payloads))
    elif kind == 1 and len(d.payloads) > 1:
        d.payloads.pop(rng.randrange(len(d.payloads)))
    elif kind == 2:
        rng.shuffle(d.payloads)
    else:
        i = rng.randrange(len(d.payloads))
        d.lengths[i] = near(sum(map(len, d.payloads[i])), (0, 1, 2**28, 2**35 - 1), rng)


def change_side(d: Draft, rng: random.Random) -> None:
    d.side_log2 = rng.choice((0, 2, 3, 4, 5, 6, 63, 64, 255))


def change_chunks(d: Draft, rng: random.Random) -> None:
    kind = rng.randrange(6)
    if kind == 0 or not d.chunks:
        d.chunks.insert(rng.randrange(len(d.chunks) + 1), (rng.choice(NAMES), rng.randbytes(rng.randrange(30))))
        d.flags |= EXT
    elif kind == 1:
        d.chunks.pop(rng.randrange(len(d.chunks)))
    elif kind == 2:
        i = rng.randrange(len(d.chunks))
        d.chunks[i] = (rng.choice(NAMES), d.chunks[i][1])
    elif kind == 3:
        d.chunk_count = near(len(d.chunks), (0, 1, 64, 65, 66, 127, 128, 2**35 - 1), rng)
    elif kind == 4:
        i = rng.randrange(len(d.chunks))
        d.chunk_lengths[i] = near(len(d.chunks[i][1]), (0, 2**26, 2**26 + 1, 2**35 - 1), rng)
    else:
        i = rng.randrange(len(d.chunks))
        d.chunks[i] = (d.chunks[i][0], changed_bytes(d.chunks[i][1], rng))


CHANGES: tuple[Callable[[Draft, random.Random], None], ...] = (
    change_size, change_flags, change_identity, change_tokens, change_depth_flag, change_stream, change_stream,
    change_stream, change_payloads, change_side, change_chunks,
)  # fmt: skip


def header_of(d: Draft) -> Header:
    """What chunks are made for: the header of a draft, sides within what a header can say."""
    side = 1 << d.side_log2 if d.flags & SEG and 3 <= d.side_log2 <= 5 else 0
    return Header(d.model_id, d.weights_hash, min(d.width, 65535), min(d.height, 65535), side, bool(d.flags & GRAY))


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A file that is nearly one of the seeds."""
    data = rng.choice(seeds)
    kind = rng.randrange(20)
    if kind == 0:  # any damage
        return changed_bytes(data, rng)
    if kind == 1:  # any cut
        return data[: rng.randrange(len(data) + 1)]
    if kind == 2:  # two files in one
        other = rng.choice(seeds)
        return reseal(data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :])
    if kind <= 7:  # damage under good checksums
        return reseal(changed_bytes(data, rng))
    try:
        parts = draft(container.read(data, limit_pixels=None))
    except LtokcError:  # a seed may be malformed
        return reseal(changed_bytes(data, rng))
    parts = replace(parts, payloads=list(parts.payloads), chunks=list(parts.chunks))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < CHUNK_SHARE:
            parts.chunks = rng.choice(CHUNK_CHANGES)(parts.chunks, header_of(parts), rng)
            parts.flags |= EXT * bool(parts.chunks)
            if rng.random() < 0.95:  # mostly with the flag that belongs to it
                parts.flags = parts.flags & ~ALPHA | ALPHA * any(name == b"ALPH" for name, _ in parts.chunks)
        else:
            rng.choice(CHANGES)(parts, rng)
    out = parts.spell()
    return out[: rng.randrange(len(out) + 1)] if rng.random() < 0.1 else out

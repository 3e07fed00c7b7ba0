"""Room for tokens in a file of a wanted size: alpha gets coarser, metadata is left out, before the picture goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ltokc.container.bitstreams import VP8, WEBP_MAX_SIDE
from ltokc.container.chunks import COLOUR, PATCHES
from ltokc.container.reader import read
from ltokc.container.records import ALPHA, Chunk, Ltk, Segment, segment_count
from ltokc.container.writer import write
from ltokc.errors import Say, UsageError

MOST = 0.75  # of a size, that chunks may take; the rest is for tokens
ALPHA_SHARE = 0.5  # of a size, that alpha and metadata take where alpha is coarsened
BEST_ALPHA = 100  # quality of lossy alpha


def with_room(ltk: Ltk, alpha: np.ndarray | None, size: int, say: Say) -> Ltk:
    """The record, as yet without segments, with chunks that leave a quarter of `size` bytes to the tokens.

    alpha: (H, W) uint8, of the chunk ALPH if there is one.  Where all chunks are too large, alpha is coarsened, then
    metadata left out, the largest first; `say` tells it.  Raises UsageError, which names the least size, where the
    coarsest alpha is too large.
    """
    room = size - _empty(ltk)
    chunks = list(ltk.chunks)
    dropped: list[Chunk] = []
    while chunks and _bytes(chunks) > MOST * room:
        metadata = [chunk for chunk in chunks if chunk.fourcc != ALPHA]
        coarse = _coarser(alpha, int(ALPHA_SHARE * room) - _bytes(metadata)) if _has_alpha(chunks) else None
        if coarse is not None:
            chunks = [Chunk(ALPHA, coarse), *metadata]
        elif metadata:
            largest = max(metadata, key=lambda chunk: len(chunk.data))
            chunks.remove(largest)
            dropped.append(largest)
        else:
            chunks = [_coarsest(ltk, alpha, chunks[0], room)]
    before, after = ({chunk.fourcc: len(chunk.data) for chunk in held} for held in (ltk.chunks, chunks))
    if dropped:
        named = ", ".join(f"{chunk.fourcc.decode()} ({len(chunk.data):,} bytes)" for chunk in dropped)
        say(f"metadata left out to meet the size: {named}")
    if before.get(ALPHA) != after.get(ALPHA):
        say(f"alpha coarsened to meet the size; as it was it takes {before[ALPHA]:,} bytes")
    return ltk if tuple(chunks) == ltk.chunks else ltk.with_chunks(tuple(chunks))


def with_room_again(ltk: Ltk, size: int, say: Say) -> Ltk:
    """The record of a file that is cut to `size` bytes: its metadata and alpha give way as in `with_room`.

    They do where less than half of the bytes of tokens would be left, and before patches: these count as taken room,
    unless alpha has none beside them.
    """
    shows = [chunk for chunk in ltk.chunks if chunk.fourcc in (COLOUR, PATCHES)]
    held = ltk.with_chunks(tuple(chunk for chunk in ltk.chunks if chunk not in shows))
    tokens = sum(len(segment.stream) for segment in ltk.segments)
    if not held.chunks or size - _empty(ltk) - _bytes(list(ltk.chunks)) >= tokens / 2:
        return ltk
    alpha = alpha_of(ltk)
    try:
        held = with_room(held, alpha, max(1, size - _bytes(shows)), say)
    except UsageError:
        if not any(chunk.fourcc == PATCHES for chunk in shows):
            raise
        held = with_room(held, alpha, size, say)
    return ltk.with_chunks((*shows, *held.chunks))


def alpha_of(ltk: Ltk) -> np.ndarray | None:
    """The alpha plane (H, W) uint8 of a file; None: it has none."""
    from ltokc.container.alpha import decode_alpha

    planes = (chunk.data for chunk in ltk.chunks if chunk.fourcc == ALPHA)
    return next((decode_alpha(data, ltk.width, ltk.height) for data in planes), None)


def filled(data: bytes, alpha: np.ndarray | None, size: int) -> bytes:
    """A file of a wanted size, whose alpha gets what all tokens leave of it where that was coarsened."""
    ltk = read(data, limit_pixels=None)
    if not lossy_alpha(ltk) or len(data) >= size:
        return data
    at = [chunk.fourcc for chunk in ltk.chunks].index(ALPHA)
    coarse = ltk.chunks[at]
    better = _coarser(alpha, _bytes([coarse]) + size - len(data))
    if better is None or len(better) <= len(coarse.data):
        return data
    return write(ltk.with_chunks((*ltk.chunks[:at], Chunk(ALPHA, better), *ltk.chunks[at + 1 :])))


def lossy_alpha(ltk: Ltk) -> bool:
    """Whether alpha was coarsened."""
    return any(chunk.fourcc == ALPHA and chunk.data[:1] == bytes((VP8,)) for chunk in ltk.chunks)


def _coarsest(ltk: Ltk, alpha: np.ndarray | None, chunk: Chunk, room: int) -> Chunk:
    """Alpha at its lowest quality, where nothing else is left to give way.  Raises UsageError."""
    data = chunk.data
    if alpha is not None and max(alpha.shape) <= WEBP_MAX_SIDE:
        data = min(data, _encoded(alpha, 0), key=len)
    if _bytes([Chunk(ALPHA, data)]) > MOST * room:
        least = _empty(ltk) + int(_bytes([Chunk(ALPHA, data)]) / MOST) + 1
        raise UsageError(
            f"alpha takes {len(data):,} bytes at its coarsest: the least size of this picture is {least:,} bytes, "
            "and less with alpha dropped or blended"
        )
    return Chunk(ALPHA, data)


def _coarser(alpha: np.ndarray | None, most: int) -> bytes | None:
    """Lossy alpha of the best quality that takes no more than `most` bytes, its chunk included; None: there is none."""
    if alpha is None or max(alpha.shape) > WEBP_MAX_SIDE:
        return None
    best, low, high = None, 0, BEST_ALPHA
    while low <= high:
        quality = (low + high) // 2
        data = _encoded(alpha, quality)
        if _bytes([Chunk(ALPHA, data)]) <= most:
            best, low = data, quality + 1
        else:
            high = quality - 1
    return best


def _encoded(alpha: np.ndarray, quality: int) -> bytes:
    """Pillow is loaded only where alpha has to get smaller: `trim` needs none."""
    from ltokc.container.alpha import encode_alpha

    return encode_alpha(alpha, quality)


def _has_alpha(chunks: list[Chunk]) -> bool:
    return any(chunk.fourcc == ALPHA for chunk in chunks)


def _empty(ltk: Ltk) -> int:
    """Bytes of the file without chunks and tokens."""
    bare = replace(ltk.with_chunks(()), segments=(Segment(0, False, b""),) * segment_count(ltk.header))
    return len(write(bare))


def _bytes(chunks: list[Chunk]) -> int:
    """Bytes that chunks take in a file, at most."""
    return sum(len(chunk.data) + 12 for chunk in chunks) + (5 if chunks else 0)

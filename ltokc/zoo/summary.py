"""What a file says of itself, read without decoding it."""

from __future__ import annotations

from dataclasses import dataclass

from ltokc.container.chunks import PATCHES
from ltokc.container.records import Ltk
from ltokc.errors import ModelError
from ltokc.geometry import Size
from ltokc.zoo import registry
from ltokc.zoo.weights import WEIGHTS, Weights


@dataclass(frozen=True, slots=True)
class Info:
    """What a file says of itself, read without decoding it.

    tokens: in the file, of `tokens_total` possible (None: the model is not here); chunks: (FourCC, bytes) each;
    decoders: names of those that the model has here; patches: share of the picture's cells that patches show.
    """

    version: int
    model: str | None
    model_id: int
    width: int
    height: int
    segments: int
    tokens: int
    tokens_total: int | None
    depth_map: bool
    bytes: int
    bpp: float
    chunks: list[tuple[str, int]]
    truncated: bool
    gray: bool
    decoders: tuple[str, ...] = ()
    patches: float = 0.0

    @property
    def patch_bytes(self) -> int:
        """Data of the chunks of patches."""
        return sum(size for name, size in self.chunks if name == PATCHES.decode())


def _patched(ltk: Ltk) -> float:
    """Share of the cells that patches show."""
    found = [chunk.data for chunk in ltk.chunks if chunk.fourcc == PATCHES]
    if not found:
        return 0.0
    from ltokc.container import patches

    parsed = [patches.parse(data, ltk.header) for data in found]
    shown = sum(r.columns * r.rows for patch in parsed for r in patch.rectangles)
    return shown / Size(ltk.width, ltk.height).grid.cells


def summarize(ltk: Ltk, length: int) -> Info:
    """Of a file's record and its length in bytes; the model need not be here."""
    size = Size(ltk.width, ltk.height)
    try:
        entry = registry.find(ltk.model_id)
        name: str | None = entry.name
        levels = Weights(registry.folder(entry) / WEIGHTS).levels
        total: int | None = size.grid.cells * sum(level.tokens for level in levels)
        decoders = entry.decoders
    except ModelError:
        name = total = None
        decoders = ()
    return Info(
        ltk.version, name, ltk.model_id, *size, len(ltk.segments), sum(s.tokens for s in ltk.segments), total,
        any(s.depth_map for s in ltk.segments), length, 8 * length / size.pixels,
        [(c.fourcc.decode("latin-1"), len(c.data)) for c in ltk.chunks], ltk.truncated, ltk.header.gray, decoders,
        _patched(ltk),
    )  # fmt: skip

"""What patches hide of a file's tokens."""

from __future__ import annotations

from ltokc.container import patches
from ltokc.container.chunks import PATCHES
from ltokc.container.records import Ltk
from ltokc.geometry import Box


def hide_tokens(ltk: Ltk, box: Box) -> bool:
    """Whether a file's patches show every pixel of a region, so that its tokens need not be decoded."""
    found = [patches.parse(chunk.data, ltk.header) for chunk in ltk.chunks if chunk.fourcc == PATCHES]
    return bool(found) and patches.cover(found, ltk.header, box)

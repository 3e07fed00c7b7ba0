"""The patches of a file, and what they hide of its tokens."""

from __future__ import annotations

from ltokc.container import patches
from ltokc.container.chunks import PATCHES
from ltokc.container.records import Ltk
from ltokc.geometry import Box


def patches_of(ltk: Ltk) -> list[patches.Patch]:
    """The patches of a file, in their order."""
    return [patches.parse(chunk.data, ltk.header) for chunk in ltk.chunks if chunk.fourcc == PATCHES]


def hide_tokens(ltk: Ltk, box: Box) -> bool:
    """Whether a file's patches show every pixel of a region, so that its tokens need not be decoded."""
    found = patches_of(ltk)
    return bool(found) and patches.cover(found, ltk.header, box)

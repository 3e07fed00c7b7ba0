"""From the pixels that the tokens give to those that a reader shows: colour grid, patches, gray, alpha, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltokc.container import bitstreams, colour, patches
from ltokc.container.chunks import COLOUR, PATCHES
from ltokc.container.records import ALPHA, Ltk

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]


def compose(image: Image, ltk: Ltk, box: Box) -> Image:
    """Applies header and chunks to an RGB picture of the region `box`: (left, top, width, height) in pixels.

    Gives mode RGB or L, with alpha RGBA or LA.  Of patches only those that lie in the region are decoded.
    Raises FormatError for damage inside a chunk.
    """
    from PIL import Image as Images

    for chunk in ltk.chunks:  # the order of the file is the order of the work
        if chunk.fourcc == COLOUR:
            colour.correct(image, chunk.data, ltk.header, box)
        elif chunk.fourcc == PATCHES:
            patches.lay_over(image, patches.parse(chunk.data, ltk.header), ltk.header, box)
    if ltk.header.gray:
        image = image.convert("L")  # floor((19595 R + 38470 G + 7471 B + 32768) / 65536)
    for chunk in ltk.chunks:
        if chunk.fourcc == ALPHA:
            from ltokc.container.alpha import decode_alpha

            left, top, width, height = box
            alpha = decode_alpha(chunk.data, ltk.width, ltk.height)[top : top + height, left : left + width]
            image.putalpha(Images.fromarray(alpha))
    return image


def check_pictures(ltk: Ltk) -> None:
    """Decodes what the chunks hold of pictures.  Raises FormatError where that fails."""
    for chunk in ltk.chunks:
        if chunk.fourcc == ALPHA:
            from ltokc.container.alpha import decode_alpha

            decode_alpha(chunk.data, ltk.width, ltk.height)
        elif chunk.fourcc == COLOUR:
            colour.decode(chunk.data, ltk.header)
        elif chunk.fourcc == PATCHES:
            patch = patches.parse(chunk.data, ltk.header)
            _, _, width, height = patches.area(patch, ltk.header)
            bitstreams.decode(patch.coding, patch.picture, width, height, "the picture of a patch")

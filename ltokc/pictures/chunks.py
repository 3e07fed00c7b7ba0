"""What of a picture travels in chunks beside the tokens, both ways: alpha, colour grid, patches, metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ltokc.arguments import check_callable
from ltokc.container import (
    ALPHA,
    COLOUR,
    EXIF,
    ICC,
    IPTC,
    MAX_CHUNKS,
    PATCHES,
    RESOLUTION,
    TEXT,
    XMP,
    Chunk,
    Ltk,
    patches,
)
from ltokc.container.alpha import decode_alpha, encode_alpha
from ltokc.container.chunks import resolution, text
from ltokc.entropy import colour
from ltokc.errors import Say, UsageError
from ltokc.geometry import Box
from ltokc.pictures.extras import METRE, shape_of_pixels
from ltokc.pictures.options import ALPHA_MODES, METADATA_KINDS, kinds_of
from ltokc.pictures.planes import STRIP

if TYPE_CHECKING:
    from PIL.Image import Image

    from ltokc.pictures.load import Picture

METADATA = {"exif": EXIF, "icc": ICC, "xmp": XMP, "iptc": IPTC, "dpi": RESOLUTION}  # one chunk each; and texts
PILLOW_NAMES = {"exif": EXIF, "xmp": XMP, "icc_profile": ICC, "iptc": IPTC}  # in `Image.info`
MAX_TEXTS = MAX_CHUNKS - len(METADATA) - 1  # so that with alpha there is room for the others


def chunks_of(picture: Picture, metadata: str | Iterable[str], alpha: str, say: Say) -> tuple[Chunk, ...]:
    """The chunks of a picture; metadata: see `options.kinds_of`; alpha: "keep", "drop" or "blend".  Raises UsageError.

    The picture's losses and what is asked for and cannot be kept are told by `say`.
    """
    if alpha not in ALPHA_MODES:
        raise UsageError(f"alpha is keep, drop or blend, not {alpha!r}")
    check_callable("say", say)
    kinds = kinds_of(metadata)
    for loss in picture.losses:
        say(loss)
    chunks = []
    if picture.alpha is not None and alpha == "keep":
        chunks.append(Chunk(ALPHA, encode_alpha(picture.alpha)))
    chunks += [Chunk(METADATA[kind], picture.metadata[kind]) for kind in kinds if kind in picture.metadata]
    left_out = list(picture.left_out) if set(kinds) == set(METADATA_KINDS) else []
    left_out += ["EXIF thumbnail"] if picture.thumbnail and "exif" in kinds else []
    if "text" in kinds:
        chunks += [Chunk(TEXT, data) for data in picture.texts[:MAX_TEXTS]]
        left_out += [f"{len(picture.texts) - MAX_TEXTS} texts more"] if len(picture.texts) > MAX_TEXTS else []
    if left_out:
        say(f"metadata left out: {', '.join(left_out)}")
    return tuple(chunks)


def tell_of_shape(picture: Picture, kept: Ltk, say: Say) -> None:
    """Says of pixels that are not square, and whether the file, with the chunks that had room in it, says so too."""
    if "dpi" in picture.metadata and (shape := shape_of_pixels(picture.metadata["dpi"])):
        noted = any(chunk.fourcc == RESOLUTION for chunk in kept.chunks)
        how = "as PNG and JPEG made of it will say" if noted else 'metadata="dpi" keeps that, where there is room'
        say(f"pixels are not square ({shape}); {how}")


def pixels_of(picture: Picture, alpha: str) -> np.ndarray:
    """The pixels that are encoded, (H, W, 3) uint8: with alpha "blend" those on a white ground.

    With alpha "keep" what is clear gets the colour of its surroundings, so that nothing hidden costs bytes or bleeds.
    """
    if alpha == "keep" and picture.alpha is not None:
        from ltokc.pictures.hidden import filled

        return filled(picture.rgb, picture.alpha)
    if alpha != "blend" or picture.alpha is None:
        return picture.rgb
    out = np.empty_like(picture.rgb)
    for top in range(0, len(out), STRIP):  # some rows at a time, so that the wider numbers stay small
        rows = slice(top, top + STRIP)
        a = picture.alpha[rows, :, None].astype(np.uint16)
        out[rows] = (picture.rgb[rows] * a + 255 * (255 - a) + 127) // 255
    return out


def is_gray(rgb: np.ndarray) -> bool:
    """Whether red, green and blue are one in every pixel of (H, W, 3) uint8: the picture is decoded as gray."""
    parts = (rgb[top : top + STRIP] for top in range(0, len(rgb), STRIP))
    return all(np.array_equal(part[..., 0], part[..., c]) for part in parts for c in (1, 2))


def compose(image: Image, ltk: Ltk, box: Box) -> Image:
    """From the pixels that the tokens give to those that are shown: colour grid, patches, gray, alpha, in this order.

    image: RGB, the region `box` of the file's picture; it is changed.  Gives mode RGB or L, with alpha RGBA or LA.
    Of patches only those that lie in the region are decoded.  Raises FormatError for damage inside a chunk.
    """
    from PIL import Image as Images

    for chunk in ltk.chunks:  # the order of the file is the order of the work
        if chunk.fourcc == COLOUR:
            colour.decode(chunk.data, ltk.header).add_to(image, box)
        elif chunk.fourcc == PATCHES:
            patches.lay_over(image, patches.parse(chunk.data, ltk.header), ltk.header, box)
    if ltk.header.gray:
        image = image.convert("L")  # floor((19595 R + 38470 G + 7471 B + 32768) / 65536)
    for chunk in ltk.chunks:
        if chunk.fourcc == ALPHA:
            alpha = decode_alpha(chunk.data, ltk.width, ltk.height)[box.slices]
            image.putalpha(Images.fromarray(alpha))
    return image


def check_pictures(ltk: Ltk) -> None:
    """Decodes what chunks hold of pictures: alpha, colour grid, patches.  Raises FormatError where that fails."""
    for chunk in ltk.chunks:
        if chunk.fourcc == ALPHA:
            decode_alpha(chunk.data, ltk.width, ltk.height)
        elif chunk.fourcc == COLOUR:
            colour.decode(chunk.data, ltk.header)
        elif chunk.fourcc == PATCHES:
            patches.decode(patches.parse(chunk.data, ltk.header), ltk.header)


def metadata_of(ltk: Ltk, metadata: str | Iterable[str] = "all") -> dict[str, Any]:
    """What a file carries of some kinds, under Pillow's names and some of our own.

    "exif", "xmp", "icc_profile", "iptc" (IIM records): bytes.  "dpi": two floats, or "aspect": two integers, of which
    only the ratio counts.  "text": pairs of keyword and text.  A profile is handed on where it describes the pixels,
    which are sRGB: another encoder may have kept the source's.
    """
    kinds = kinds_of(metadata)
    wanted = {METADATA[kind] for kind in kinds if kind in METADATA}
    found = {chunk.fourcc: chunk.data for chunk in ltk.chunks if chunk.fourcc in wanted}
    out: dict[str, Any] = {name: found[fourcc] for name, fourcc in PILLOW_NAMES.items() if fourcc in found}
    if "icc_profile" in out:
        from ltokc.pictures.icc import describes_srgb

        if not describes_srgb(out["icc_profile"]):
            del out["icc_profile"]
    if RESOLUTION in found:
        across, down, metres = resolution(found[RESOLUTION])
        out |= {"dpi": (across / METRE, down / METRE)} if metres else {"aspect": (across, down)}
    said = tuple(text(chunk.data) for chunk in ltk.chunks if chunk.fourcc == TEXT) if "text" in kinds else ()
    return out | ({"text": said} if said else {})

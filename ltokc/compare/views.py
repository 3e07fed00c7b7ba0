"""Pictures for the report: files that browsers read as they are, pixels of others as WebP."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from ltokc.compare.records import FileRecord, Rival, View, Views
from ltokc.container import MAGIC
from ltokc.container.bitstreams import WEBP_MAX_SIDE
from ltokc.errors import LtokcError

QUALITY = 88
THUMB = (128, 96)
MIMES = {"jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}  # read by every browser of today


def make_views(
    original: Image.Image, files: Sequence[FileRecord], decoded: Sequence[Image.Image], rivals: Sequence[Rival]
) -> Views:
    """Views of everything in a comparison; `decoded`: the RGB pictures of `files`."""
    heat, bits = next((_heat(file.data) for file in files if file.data.startswith(MAGIC)), (None, 0.0))
    thumb = original.copy()
    thumb.thumbnail(THUMB, Image.Resampling.LANCZOS)
    return Views(
        original=as_webp(original),
        files=tuple(_view_of(file, image) for file, image in zip(files, decoded, strict=True)),
        rivals=tuple(_view_of(rival.same_bytes, None) for rival in rivals),
        thumb=as_webp(thumb, quality=60, note=""),
        heat=heat,
        heat_bits=bits,
    )


def as_webp(image: Image.Image, quality: int = QUALITY, note: str | None = None) -> View:
    """Pixels as a WebP (a JPEG where a side is beyond WebP's limit), with a note that says so."""
    kind = "webp" if max(image.size) <= WEBP_MAX_SIDE else "jpeg"
    buffer = BytesIO()
    image.save(buffer, kind, quality=quality)
    label = {"webp": "WebP", "jpeg": "JPEG"}[kind]
    return View(MIMES[kind], buffer.getvalue(), f"shown as {label} of quality {quality}" if note is None else note)


def _view_of(file: FileRecord, image: Image.Image | None) -> View:
    """The file itself where browsers read it, else its pixels."""
    with_pixels = image if image is not None else _opened(file.data)
    kind = _kind(file.data)
    if kind not in MIMES:
        return as_webp(with_pixels)
    note = f"the file itself, enlarged {file.scale} times by the browser" if file.scale > 1 else "the file itself"
    return View(MIMES[kind], file.data, note)


def _opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "avif" if data[4:12] == b"ftypavif" else ""


def _heat(data: bytes) -> tuple[View | None, float]:
    """The heat map of a .ltk file, and the bits per pixel of its strongest colour; None where there is none."""
    from ltokc import heatmap
    from ltokc.pictures.save import render

    try:
        bits = heatmap.bit_map(data, limit_pixels=None)  # the picture is decoded already
    except LtokcError:
        return None, 0.0
    png = render(Image.fromarray(heatmap.transparent(bits)), "png")
    return View("image/png", png), heatmap.strongest(bits) / heatmap.DEFAULT_CELL**2

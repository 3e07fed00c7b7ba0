"""What a caller may choose about pictures: formats to write, kinds of metadata to keep, what becomes of alpha.

Loads no numpy and no Pillow, so that the help of the command line starts at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ltokc.errors import UsageError

SAVE_FORMATS = ("png", "jpg", "webp", "avif", "ppm", "npy")
FORMAT_ALIASES = {"jpeg": "jpg", "pnm": "ppm"}  # other names and suffixes of these formats
METADATA_KINDS = ("exif", "icc", "xmp", "iptc", "text", "dpi")
ALPHA_MODES = ("keep", "drop", "blend")  # blend: with white


def kinds_of(metadata: str | Iterable[str]) -> tuple[str, ...]:
    """The kinds of metadata that "all", "none", "exif,xmp" or ("exif", "xmp") name.  Raises UsageError."""
    if isinstance(metadata, str):
        asked = metadata.strip().lower()
        metadata = METADATA_KINDS if asked == "all" else () if asked == "none" else asked.split(",")
    try:
        kinds = tuple(dict.fromkeys(str(kind).strip() for kind in metadata))
    except TypeError:
        kinds = (str(metadata)[:40],)
    if unknown := [kind for kind in kinds if kind not in METADATA_KINDS]:
        if unknown[0] in ("all", "none"):
            raise UsageError(f"metadata is none or all by itself, or some of {', '.join(METADATA_KINDS)}")
        raise UsageError(f"metadata is none, all, or some of {', '.join(METADATA_KINDS)}, not {unknown[0]!r}")
    return kinds

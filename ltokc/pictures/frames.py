"""Animations and files of several pages: an .ltk file holds one picture, and it is said which."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from PIL import Image

from ltokc.arguments import shown as given
from ltokc.arguments import whole
from ltokc.errors import UsageError

ONE_PICTURE = ("PSD",)  # formats whose "frames" are layers of the picture that is read
BESIDE = ("MPO",)  # whose further frames are previews or gain maps of the first
ICONS = ("ICO", "ICNS")  # which hold one picture in several sizes, of which Pillow opens the largest
PAGES = ("TIFF", "PDF")  # whose frames are called pages


def count(image: Image.Image) -> int:
    """Frames or pages of an opened picture."""
    if image.format in ONE_PICTURE:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 (counting walks the file: the first frame is whole, a later one may be damaged)
        return 1


def choose(image: Image.Image, frame: int | None) -> list[str]:
    """Goes to a frame, from 1, of an opened file; None: the first.  Gives what there is to say of the others.

    Raises UsageError for a frame that is not there.
    """
    if frame is None:
        return others(image)
    frames = count(image)
    if whole("frame", frame, 1) > frames:
        raise UsageError(f"there is no frame {given(frame)}: the picture has {frames}")
    if frames > 1:
        image.seek(frame - 1)
    return []


def others(image: Image.Image) -> list[str]:
    """What there is to say of the frames, pages or sizes beside the one that an opened file shows by itself.

    Nothing where the caller went to another one: then it was chosen.
    """
    if image.format in ICONS:
        sides = [size[0] * math.prod(size[2:]) for size in image.info.get("sizes", ())]  # of an ICNS: also its scale
        chosen = image.width < max(sides, default=0)
        return [] if chosen or len(sides) < 2 else [f"largest of {len(sides)} sizes taken, the others are not kept"]
    if image.format in BESIDE or image.tell() > 0 or (frames := count(image)) == 1:
        return []
    what = "page" if image.format in PAGES else "frame"
    return [f"first of {frames} {what}s taken, the others are not kept (encode with frame=N takes another)"]


@contextlib.contextmanager
def shown(image: Image.Image, frame: int | None) -> Iterator[Image.Image]:
    """A caller's picture at a frame, None for the one it shows, and afterwards as it was."""
    before = image.tell()
    if frame is not None:
        choose(image, frame)
    try:
        yield image
    finally:
        if frame is not None and image.tell() != before:
            image.seek(before)

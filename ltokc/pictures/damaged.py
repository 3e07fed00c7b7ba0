"""Files that are damaged: what is whole all the same is taken and told, what is not only on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from ltokc.errors import FormatError, one_line
from ltokc.geometry import Size
from ltokc.pictures import jpeg, png
from ltokc.pictures.formats import open_listed

END_OF_CODESTREAM, TAIL = b"\xff\xd9", 64  # of JPEG 2000, and bytes in which it is looked for
ADVICE = "allow_damaged=True takes what there is of it"


@dataclass(slots=True)
class Damage:
    """allowed: pictures of which pixels are missing are taken too.  losses: what was taken nevertheless.

    kind: of an unusual JPEG, see `jpeg.About`, which is the reason where it cannot be decoded.
    """

    allowed: bool = False
    losses: list[str] = field(default_factory=list)
    kind: str = ""


def damaged(why: str, rescue: bool = False) -> FormatError:
    """The error of a picture that is not whole; rescue: whether a part of it can be had."""
    return FormatError(f"truncated or damaged picture ({why})" + f"; {ADVICE}" * rescue)


def without_bad_chunks(file: BinaryIO, damage: Damage) -> BinaryIO:
    """A PNG without ancillary chunks whose checksum is wrong; the file itself where all are right."""
    bad = png.chunks_of(file).damaged
    file.seek(0)
    if not bad:
        return file
    names = ", ".join(dict.fromkeys(name for name, _, _ in bad))
    damage.losses.append(f"PNG chunk {names} left out: its checksum is wrong")
    return png.without(file, bad)


def opened_jpeg(file: BinaryIO, damage: Damage, check: Callable[[Size], None]) -> tuple[BinaryIO, Image.Image]:
    """A JPEG that ends: as it is, with the marker of the end where only that is missing, or where damage is allowed.

    check: raises for a size that is refused, before pixels are decoded.  Raises FormatError.
    """
    found = jpeg.about(file)
    damage.kind = found.kind
    if found.bits != 8 or found.frame in jpeg.JPEG_LS:
        raise _unread(found.kind)
    image = open_listed(file)
    check(Size(*image.size))
    if found.hole:
        if not damage.allowed:
            raise damaged("a part of the JPEG file is zeros", rescue=True)
        damage.losses.append("a part of the JPEG file is zeros: what it held of the picture is wrong or gray")
        return (file, image) if found.end else (closed := jpeg.with_end(file), open_listed(closed))
    if found.end:
        return file, image
    if jpeg.lacks_only_the_end(file, found):
        damage.losses.append("the end of the JPEG file is missing; the picture is whole")
    elif damage.allowed:
        damage.losses.append("the JPEG file is cut: what is missing of the picture is blurred or gray")
    else:
        raise damaged("the JPEG file is cut", rescue=True)
    file = jpeg.with_end(file)
    return file, open_listed(file)


def _unread(kind: str) -> FormatError:
    return FormatError(f"{kind} JPEG is not supported; {jpeg.ADVICE}")


def load_pixels(image: Image.Image, damage: Damage) -> None:
    """`image.load()`; where damage is allowed, what had been decoded before the error is taken.  Raises FormatError."""
    try:
        with _heard_of_cut(image, damage):
            image.load()
    except (OSError, SyntaxError, EOFError, ValueError, IndexError) as error:
        if damage.kind:
            raise _unread(damage.kind) from error
        if not _begun(image):
            raise damaged(one_line(error)) from error
        if not damage.allowed:
            raise damaged(one_line(error), rescue=True) from error
        damage.losses.append(f"the file is damaged ({one_line(error)}): what is missing of the picture is blank")
        image.tile = []  # type: ignore[attr-defined]
        image.load()


class _Ending:
    """A file that remembers whether there was nothing left of it when something was read."""

    def __init__(self, file: Any):
        self.file, self.ended = file, False

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.file.read(size)
        self.ended |= size > 0 and not data
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@contextmanager
def _heard_of_cut(image: Image.Image, damage: Damage) -> Iterator[None]:
    """Tells of a file that is cut where the caller has set Pillow's LOAD_TRUNCATED_IMAGES, which says nothing of it."""
    file = getattr(image, "fp", None)
    if not ImageFile.LOAD_TRUNCATED_IMAGES or file is None or not getattr(image, "tile", None):
        yield
        return
    heard = _Ending(file)
    both: tuple[Any, Any] = image, getattr(image, "png", None)
    readers = [reader for reader in both if getattr(reader, "fp", None) is file]
    for reader in readers:
        reader.fp = heard
    try:
        yield
    finally:
        for reader in readers:
            if reader.fp is heard:
                reader.fp = file
    if _lacks_end(file) if image.format == "JPEG2000" else heard.ended:
        damage.losses.append(
            "the file is cut, as LOAD_TRUNCATED_IMAGES allows: what is missing of the picture is blank"
        )


def _lacks_end(file: BinaryIO) -> bool:
    """Whether a JPEG 2000 file, whose reader always goes on to its end, has no marker of the end there."""
    place = file.tell()
    file.seek(-min(TAIL, file.seek(0, os.SEEK_END)), os.SEEK_END)
    tail = file.read()
    file.seek(place)
    return END_OF_CODESTREAM not in tail


def _begun(image: Image.Image) -> bool:
    """Whether pixels were decoded before an error."""
    try:
        return image.im is not None and bool(getattr(image, "tile", None))
    except Exception:  # noqa: BLE001 (an assertion, or a deferred error of any kind)
        return False

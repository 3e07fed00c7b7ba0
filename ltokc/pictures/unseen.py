"""What a file says of its samples and Pillow does not hand on: bits a sample in AVIF, colour in PNG and AVIF.

Numbers of primaries and transfer are those of ITU-T H.273: 1 BT.709, 9 BT.2020, 12 Display P3; 13 sRGB, 16 PQ, 18 HLG.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

HEAD = 1 << 16  # bytes of an AVIF file in which its properties lie
LIKE_SRGB = {"primaries": (1, 2), "transfer": (1, 2, 6, 13, 14, 15)}  # 2: not said
NAMES = {9: "BT.2020", 11: "DCI P3", 12: "Display P3", 8: "linear", 4: "gamma 2.2", 5: "gamma 2.8", 16: "PQ", 18: "HLG"}
GAMMA = 0.45455  # of sRGB, as PNG says it
NEAR = 0.05  # share by which a gamma may differ and still be taken for it


def unseen(file: BinaryIO, image: Image.Image) -> list[str]:
    """Notes of what is lost without a word otherwise.  The file's position stays."""
    place = file.tell()
    try:
        if image.format == "PNG":
            return list(_of_png(file, image))
        return list(_of_avif(file, image)) if image.format == "AVIF" else []
    except (struct.error, IndexError):
        return []
    finally:
        file.seek(place)


def _of_png(file: BinaryIO, image: Image.Image) -> Iterator[str]:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"cICP":
            yield from _coded(*struct.unpack(">2B", file.read(2)))
            return
        if name == b"iCCP" and not image.info.get("icc_profile"):
            yield "embedded colour profile unreadable, colour taken as sRGB"
        if name == b"IDAT":
            break
        file.seek(length + 4, 1)
    gamma = image.info.get("gamma")
    said = "icc_profile" in image.info or "srgb" in image.info
    if not said and isinstance(gamma, float) and abs(gamma / GAMMA - 1) > NEAR:
        yield f"gamma of {gamma:g} in the file not applied, colour taken as sRGB"


def _of_avif(file: BinaryIO, image: Image.Image) -> Iterator[str]:
    file.seek(0)
    head = file.read(HEAD)
    place = head.find(b"av1C")
    if place >= 0 and head[place + 6] & 0x40:
        yield f"{12 if head[place + 6] & 0x20 else 10} bits per sample reduced to 8"
    place = head.find(b"colrnclx")
    if place >= 0 and "icc_profile" not in image.info:
        yield from _coded(*struct.unpack_from(">2H", head, place + 8))


def _coded(primaries: int, transfer: int) -> Iterator[str]:
    """A note where colour is coded in another way than in sRGB."""
    other = [
        NAMES.get(value, f"number {value}")
        for kind, value in (("primaries", primaries), ("transfer", transfer))
        if value not in LIKE_SRGB[kind]
    ]
    if other:
        yield f"colour coded as {' and '.join(other)} taken as sRGB"

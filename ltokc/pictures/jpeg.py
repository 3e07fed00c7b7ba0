"""The markers of a JPEG file: of what kind it is, where it ends, and whether anything of it is missing (ITU-T T.81)."""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

START, END, SCAN = 0xD8, 0xD9, 0xDA
ALONE = {0x01, *range(0xD0, 0xD8), START}  # markers without a segment
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # which say how the picture is coded
LOSSLESS, JPEG_LS = (0xC3, 0xC7, 0xCB, 0xCF), (0xF7,)
HIERARCHICAL, ARITHMETIC = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), tuple(range(0xC9, 0xD0))
PROGRESSIVE = (0xC2, 0xCA)
ADVICE = "save it again as 8-bit baseline or progressive JPEG, or as PNG"
BLOCK = 1 << 20  # bytes of scans that are searched at a time
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # inside a scan: neither a stuffed byte, a restart nor filling
COEFFICIENTS = 64
TAILS = (b"\xa5" * 96, b"\x5a" * 96)  # bytes that change the pixels where any of a scan is missing
LAST, FILLING = 16, 2  # bytes of the last scan that stand for something, if they are but so many different ones
TABLES, BASELINE = 0xC4, (0xC0, 0xC1)
HOLE = 512  # bytes of a disk's block, which was never written
ZEROS = re.compile(rb"\0{%d,}" % HOLE)
NEVER = 1 << 62  # bytes 0 that no scan has


@dataclass(slots=True)
class About:
    """What the markers of a file say.

    frame: the code of its start of frame, 0 where there is none.  bits: a sample.  components: their numbers.  refined:
    for each component and coefficient the bits that are still missing after the scans.  end: the first byte behind the
    picture, 0 where the marker of the end is missing.  hole: whether a scan has so many bytes 0 as no encoder writes.
    """

    frame: int = 0
    bits: int = 8
    components: tuple[int, ...] = ()
    refined: dict[tuple[int, int], int] = field(default_factory=dict)
    end: int = 0
    hole: bool = False
    blocks: int = 0  # of 8x8 samples, that a component has at most
    zeros: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)  # see `_read_tables`

    @property
    def kind(self) -> str:
        """What is unusual about the file, for a message: "12-bit", "lossless", "arithmetic"; "" for what all read."""
        names = (("lossless", LOSSLESS), ("hierarchical", HIERARCHICAL), ("arithmetic-coded", ARITHMETIC))
        words = [f"{self.bits}-bit"] if self.bits != 8 else []
        words += [name for name, codes in names if self.frame in codes]
        return " ".join(words) if self.frame not in JPEG_LS else "LS"

    @property
    def all_scans(self) -> bool:
        """Whether no scan is missing: each coefficient of each component with all of its bits."""
        if self.frame in LOSSLESS:
            return {component for component, _ in self.refined} >= set(self.components)
        wanted = [(component, k) for component in self.components for k in range(COEFFICIENTS)]
        return bool(wanted) and all(self.refined.get(key) == 0 for key in wanted)


def about(file: BinaryIO) -> About:
    """Reads the markers of a JPEG from the start of the file.  The file's position changes."""
    found = About()
    file.seek(2)
    try:
        while (code := _next(file)) is not None:
            if code == END:
                found.end = file.tell()
                break
            if code in ALONE:
                continue
            (length,) = struct.unpack(">H", file.read(2))
            place = file.tell() + max(0, length - 2)
            if code in FRAMES and not found.frame:
                _read_frame(code, file.read(length - 2), found)
            elif code == TABLES:
                _read_tables(file.read(length - 2), found)
            elif code == SCAN:
                most = _read_scan(file.read(length - 2), found)
                place, zeros = _behind_scan(file, place)
                found.hole |= zeros > most
            file.seek(place)
    except (struct.error, IndexError, ValueError):
        pass
    return found


def _next(file: BinaryIO) -> int | None:
    """The code of the next marker; None at the end of the file."""
    byte = file.read(1)
    while byte and byte != b"\xff":  # junk between segments is passed over, as decoders do
        byte = file.read(1)
    while byte == b"\xff":
        byte = file.read(1)
    return byte[0] if byte else None


def _read_frame(code: int, data: bytes, found: About) -> None:
    found.frame, found.bits = code, data[0]
    height, width = struct.unpack(">HH", data[1:5])
    found.blocks = -(-height // 8) * -(-width // 8) or NEVER  # the height may follow later
    found.components = tuple(data[6 + 3 * i] for i in range(data[5]))


def _read_tables(data: bytes, found: About) -> None:
    """Huffman tables: the first symbol of each is that of the shortest code, whose bits are all 0, and its bits."""
    place = 0
    while place + 17 < len(data):
        counts = data[place + 1 : place + 17]
        shortest = next((i + 1 for i, count in enumerate(counts) if count), 16)
        found.zeros[divmod(data[place], 16)] = data[place + 17], shortest
        place += 17 + sum(counts)


def _read_scan(data: bytes, found: About) -> int:
    """What a scan refines; how many bytes 0 it may have one after the other."""
    first, last, approximation = data[1 + 2 * data[0] :][:3]
    if found.frame not in PROGRESSIVE:
        first, last, approximation = 0, COEFFICIENTS - 1, 0
    zeros = []
    for i in range(data[0]):
        component, each = data[1 + 2 * i], divmod(data[2 + 2 * i], 16)
        zeros.append([found.zeros.get((kind, table), (1, 16)) for kind, table in enumerate(each)])
        for k in range(first, min(last, COEFFICIENTS - 1) + 1):
            found.refined[component, k] = approximation & 15
    if found.frame in BASELINE:
        flat = all(symbol == 0 for pair in zeros for symbol, _ in pair)  # "no difference" and "no coefficient"
        bits = sum(length for pair in zeros for _, length in pair)
        return found.blocks * bits // 8 + HOLE if flat else HOLE - 1
    if found.frame != PROGRESSIVE[0] or not first or approximation >= 16:
        return NEVER
    return max(HOLE - 1, math.ceil(found.blocks * _bits_of_block(*zeros[0][1], last - first + 1) / 8))


def _bits_of_block(symbol: int, length: int, band: int) -> float:
    """Bits 0 of a progressive scan that stand for a block of so many coefficients (T.81, G.1.2.2).

    symbol, length: of the code whose bits are 0.
    """
    run, size = divmod(symbol, 16)
    if size or run == 15:
        return (length + size) * band / (run + 1)  # zeros, then a coefficient
    return (length + run) / (1 << run)  # no coefficients in so many blocks


def _behind_scan(file: BinaryIO, place: int) -> tuple[int, int]:
    """Where the marker behind a scan's data lies, or the end of the file; most bytes 0 in a row before it."""
    most = run = 0
    file.seek(place)
    while block := file.read(BLOCK):
        match = MARKER.search(block)
        data = block[: match.start()] if match else block
        found = [len(each) for each in ZEROS.findall(data)]
        most = max(most, run + len(data) - len(data.lstrip(b"\0")), *found)
        if match:
            return place + match.start(), most
        run = len(data) - len(data.rstrip(b"\0")) + (run if not data.strip(b"\0") else 0)
        step = len(block) - (1 if block.endswith(b"\xff") and len(block) > 1 else 0)  # a marker over two blocks
        place += step
        file.seek(place)
        if len(block) == 1:
            break
    return place, most


def with_end(file: BinaryIO, tail: bytes = b"", left_out: int = 0) -> BinaryIO:
    """A copy of a JPEG in memory that ends with the marker of the end; `tail` comes before it.

    left_out: bytes at the end of the file that are not copied.
    """
    file.seek(0)
    data = file.read()
    return io.BytesIO(data[: len(data) - left_out].removesuffix(b"\xff") + tail + bytes((0xFF, END)))


def lacks_only_the_end(file: BinaryIO, found: About) -> bool:
    """Whether of a JPEG without its end nothing else is missing.

    Then bytes behind the last scan change no pixel, and the last ones of the scan do, if they may be a filling in place
    of lost data: that reaches further than what is decoded of it.  Decodes the picture three times or four.  Its size
    has to be checked before.
    """
    if found.end or found.hole or not found.all_scans:
        return False
    try:
        whole = _digest(with_end(file))
        if any(_digest(with_end(file, tail)) != whole for tail in TAILS):
            return False
    except (OSError, SyntaxError, ValueError):
        return False
    file.seek(0)
    if len(set(file.read()[-LAST:])) > FILLING:
        return True
    try:
        return _digest(with_end(file, left_out=LAST)) != whole
    except (OSError, SyntaxError, ValueError):
        return True


def _digest(file: BinaryIO) -> bytes:
    from PIL import JpegImagePlugin

    found = hashlib.sha256()
    with JpegImagePlugin.JpegImageFile(file) as image:
        image.load()
        for top in range(0, image.height, 256):
            strip: Image.Image = image.crop((0, top, image.width, min(image.height, top + 256)))
            found.update(strip.tobytes())
    return found.digest()

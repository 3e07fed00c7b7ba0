"""The chunks of an .ltk file: names, their order, how often each occurs, and what can be checked without a decode.

Specification: `formats/LTK.md`, "Chunks".  Nothing here loads numpy or Pillow; what reads patches and colour grids is
loaded where a file has any.
"""

from __future__ import annotations

from ltokc.container.records import ALPHA, MAX_CHUNK_SIZE, MAX_CHUNKS, Chunk, Header
from ltokc.errors import FormatError, LimitError

COLOUR, PATCHES = b"cOLr", b"pTCH"
ICC, EXIF, XMP, IPTC, RESOLUTION, TEXT, NOTE = b"iCCP", b"eXIf", b"xMPt", b"iPTC", b"pHYs", b"tEXt", b"nOTE"
STAGES = {COLOUR: 0, PATCHES: 1, ALPHA: 2} | dict.fromkeys((ICC, EXIF, XMP, IPTC, RESOLUTION, TEXT, NOTE), 3)
REPEATED = (PATCHES, TEXT)

RESOLUTION_BYTES = 9
MAX_RESOLUTION = (1 << 31) - 1  # PNG's
MAX_KEYWORD = 79  # characters, PNG's


def most_chunks(segments: int) -> int:
    """Chunks that a file of so many segments may have: one of patches a segment, and MAX_CHUNKS others."""
    return MAX_CHUNKS + segments


class ChunkRules:
    """Follows the chunks of one file: `name`, `length`, `data` for each.  They raise FormatError for a broken rule."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.seen: set[bytes] = set()
        self.stage = 0
        self.segment = -1  # of the last chunk of patches

    def name(self, fourcc: bytes) -> None:
        """Checks the spelling, whether this program knows it, how often it occurs and what came before."""
        if len(fourcc) != 4 or not (fourcc.isalpha() and fourcc.isascii()):
            raise FormatError(f"{fourcc!r} is not the name of a chunk")
        name = fourcc.decode()
        if fourcc not in STAGES:
            if fourcc[:1].isupper():
                raise FormatError(f"chunk {name} is unknown to this program and needed to read the file")
            return
        if fourcc in self.seen and fourcc not in REPEATED:
            raise FormatError(f"a second chunk {name}")
        if STAGES[fourcc] < self.stage:
            raise FormatError(f"chunk {name} comes too late: cOLr, pTCH, ALPH, metadata is the order")
        self.stage = STAGES[fourcc]
        self.seen.add(fourcc)

    def length(self, length: int) -> None:
        """Raises LimitError for data of more bytes than allowed."""
        if length > MAX_CHUNK_SIZE:
            raise LimitError(f"a chunk of {length} bytes is above the limit of {MAX_CHUNK_SIZE >> 20} MiB")

    def data(self, chunk: Chunk) -> None:
        """Checks the data, as far as it goes without decoding pictures."""
        if chunk.fourcc == PATCHES:
            from ltokc.container import patches

            patch = patches.parse(chunk.data, self.header)
            if patch.segment <= self.segment:
                raise FormatError(f"patches of segment {patch.segment} come twice or too late")
            self.segment = patch.segment
        elif chunk.fourcc == COLOUR:
            from ltokc.container import colour

            colour.check(chunk.data, self.header)
        elif chunk.fourcc == RESOLUTION:
            resolution(chunk.data)
        elif chunk.fourcc == TEXT:
            text(chunk.data)


def resolution(data: bytes) -> tuple[int, int, bool]:
    """Of pHYs: pixels per unit to the right and down; whether the unit is the metre, else only their ratio counts."""
    if len(data) != RESOLUTION_BYTES or data[8] > 1:
        raise FormatError("the resolution is not PNG's 9 bytes")
    across, down = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    if not (1 <= across <= MAX_RESOLUTION and 1 <= down <= MAX_RESOLUTION):
        raise FormatError(f"a resolution of {across}x{down} pixels per unit")
    return across, down, data[8] == 1


def text(data: bytes) -> tuple[str, str]:
    """Of tEXt: keyword and text."""
    keyword, zero, said = data.partition(b"\0")
    try:
        name, words = keyword.decode("utf-8"), said.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("a text is not UTF-8") from None
    if not zero or "\0" in words:
        raise FormatError("a text is not keyword, 0, text")
    if not 1 <= len(name) <= MAX_KEYWORD or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in name):
        raise FormatError(f"a keyword of a text is 1 to {MAX_KEYWORD} characters, none of them for control")
    return name, words

"""Changes of the chunks of a file: of patches, colour grids, alpha and metadata, near to good ones; see `mutate`.

Each takes the chunks, (name, data) in order, the header that they belong to, and a generator, and returns others.
Numbers are spelled here a second time: what is tested must not test itself.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from ltokc.container import Header, bitstreams, colour
from ltokc.container.patches import Patch, area
from ltokc.container.records import segment_box, segment_count
from ltokc.geometry import CellBox

Chunks = list[tuple[bytes, bytes]]
ORDER = (b"cOLr", b"pTCH", b"ALPH")
METADATA = (b"iCCP", b"eXIf", b"xMPt", b"iPTC", b"pHYs", b"tEXt", b"nOTE")
NAMES = (*ORDER, *METADATA, b"zzZz", b"ZZZZ", b"no\x7fe", b"1234")
BYTES = (0x00, 0x01, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
LARGEST = 1 << 16  # pixels of a picture that is made for a file


def varint(value: int) -> bytes:
    groups = [value & 127]
    while value := value >> 7:
        groups.append(128 | value & 127)
    return bytes(reversed(groups))


def changed_bytes(data: bytes, rng: random.Random, times: int | None = None) -> bytes:
    """Bits flipped, bytes set, inserted, left out, doubled, moved; a few times."""
    out = bytearray(data)
    for _ in range(times or rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice(BYTES) if rng.random() < 0.5 else rng.randrange(256)
        elif kind == 2:
            out[at:at] = rng.randbytes(rng.choice((1, 1, 2, 4, 30)))
        elif kind == 3:
            del out[at : at + rng.choice((1, 1, 2, 4, 30))]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randrange(1, 40)]
        else:
            size = rng.randrange(1, 8)
            piece = out[at : at + size]
            del out[at : at + size]
            at = rng.randrange(len(out) + 1)
            out[at:at] = piece
    return bytes(out)


def near(value: int, known: Sequence[int], rng: random.Random) -> int:
    """A number beside the old one, one from the list, or any."""
    kind = rng.randrange(3)
    if kind == 0:
        return max(0, value + rng.choice((-2, -1, 1, 2)))
    return rng.choice(known) if kind == 1 else rng.getrandbits(rng.choice((3, 8, 14, 28)))


@lru_cache(maxsize=2000)
def bitstream(coding: int, width: int, height: int, kind: int) -> bytes:
    """A picture of this size: plain, a slope or a pattern; gray, or for kinds from 3 on coloured."""
    from PIL import Image

    image = Image.linear_gradient("L") if kind % 3 == 1 else Image.effect_mandelbrot((99, 99), (-2, -1, 1, 1), 40)
    image = Image.new("L", (9, 9), 77) if kind % 3 == 0 else image
    image = image.resize((width, height))
    if kind >= 3:
        image = Image.merge("RGB", (image, image.transpose(Image.Transpose.ROTATE_180), image.point(lambda v: v // 2)))
    return bitstreams.encode(coding, image, 30, 0)


def placed(chunks: Chunks, name: bytes, data: bytes, rng: random.Random) -> Chunks:
    """The chunk where it belongs in the order, now and then anywhere."""
    after = {later for at, earlier in enumerate(ORDER) if earlier == name for later in (*ORDER[at + 1 :], *METADATA)}
    at = next((i for i, (other, _) in enumerate(chunks) if other in after), len(chunks))
    if rng.random() < 0.05:
        at = rng.randrange(len(chunks) + 1)
    return [*chunks[:at], (name, data), *chunks[at:]]


def without(chunks: Chunks, name: bytes) -> Chunks:
    return [(other, data) for other, data in chunks if other != name]


def some_bitstream(coding: int, width: int, height: int, rng: random.Random) -> bytes:
    """Of the size, beside it, damaged, or no picture at all."""
    if width * height > LARGEST or max(width, height) > bitstreams.WEBP_MAX_SIDE:
        return rng.randbytes(20)
    kind = rng.randrange(8)
    if kind == 0:
        width, height = max(1, width + rng.choice((-1, 0, 1))), max(1, height + rng.choice((-1, 0, 1)))
    body = bitstream(coding, width, height, rng.randrange(6))
    if kind == 1:
        return body[: rng.randrange(len(body) + 1)]
    return changed_bytes(body, rng) if kind <= 4 else body


def change_alpha(chunks: Chunks, header: Header, rng: random.Random) -> Chunks:
    """Another alpha plane: of any coding, too much or too little of it, or a damaged one."""
    size, kind = min(header.width * header.height, 1 << 20), rng.randrange(5)
    if kind == 0:
        data = bytes((0, rng.randrange(256)))
    elif kind == 1:
        excess = rng.choice((-1, 0, 0, 1, 1000, 1 << 22))
        data = b"\1" + zlib.compress(bytes(max(0, size + excess)), rng.choice((0, 1, 9)))
    elif kind <= 3:
        coding = rng.choice((2, 3, 3, 4))
        data = bytes((coding,)) + some_bitstream(coding, header.width, header.height, rng)
    else:
        old = [data for name, data in chunks if name == b"ALPH"]
        data = changed_bytes(old[0] if old else b"\2\x2f" + rng.randbytes(20), rng)
    return placed(without(chunks, b"ALPH"), b"ALPH", data, rng)


def change_patches(chunks: Chunks, header: Header, rng: random.Random) -> Chunks:
    """Patches of one segment: good numbers with any picture, numbers that are nearly good, or damaged bytes."""
    if rng.random() < 0.2:
        old = [data for name, data in chunks if name == b"pTCH"]
        damaged = changed_bytes(rng.choice(old), rng) if old else rng.randbytes(20)
        return placed(without(chunks, b"pTCH"), b"pTCH", damaged, rng)
    segments = segment_count(header)
    numbers = [rng.randrange(segments)] if rng.random() < 0.8 else sorted({rng.randrange(segments) for _ in range(3)})
    out = chunks if rng.random() < 0.3 else without(chunks, b"pTCH")
    for number in numbers:
        out = placed(out, b"pTCH", patch_of(number, header, rng), rng)
    return out


def patch_of(segment: int, header: Header, rng: random.Random) -> bytes:
    _, _, columns, rows = segment_box(header, segment)
    rectangles: list[CellBox] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        x, y = rng.randrange(columns), rng.randrange(rows)
        rectangles.append(CellBox(x, y, rng.randint(1, columns - x), rng.randint(1, rows - y)))
    rectangles.sort(key=lambda r: (r.top, r.left))
    if rng.random() < 0.7:  # mostly without overlap
        rectangles = rectangles[:1]
    coding, feather = rng.choice((2, 3, 4)), rng.choice((0, 0, 1, 4, 31, 32))
    _, _, width, height = area(Patch(segment, coding, feather, tuple(rectangles), b""), header)
    body = some_bitstream(coding, width, height, rng)
    count = len(rectangles)
    kind = rng.randrange(10)
    if kind == 0:
        segment = near(segment, (0, 1, 2**28, 2**35 - 1), rng)
    elif kind == 1:
        coding = rng.choice((0, 1, 2, 3, 4, 5, 255))
    elif kind == 2:
        feather = rng.choice((33, 64, 255))
    elif kind == 3:
        count = near(count, (0, 1, columns * rows, columns * rows + 1, 2**35 - 1), rng)
    numbers = [v for x, y, w, h in rectangles for v in (x, y, w - 1, h - 1)]
    if kind == 4:
        at = rng.randrange(len(numbers))
        numbers[at] = near(numbers[at], (0, 1, columns, rows, 31, 32, 1023, 2**35 - 1), rng)
    out = varint(segment) + bytes((coding, feather)) + varint(count) + b"".join(map(varint, numbers)) + body
    return out[: rng.randrange(len(out) + 1)] if kind == 5 else out


def change_colour(chunks: Chunks, header: Header, rng: random.Random) -> Chunks:
    """A colour grid of any coding, with too many or too few values, or a damaged one."""
    rows, columns = colour.cells(header)
    planes = rng.choice((1, 3, 3)) if rng.random() < 0.2 else 1 if header.gray else 3
    count = min(planes * rows * columns, 1 << 16)
    kind = rng.randrange(6)
    if kind == 0:
        count = max(0, count + rng.choice((-1, 1, 1000, 1 << 22)))
    values = bytes(count) if rng.random() < 0.3 or count > LARGEST else rng.randbytes(count)
    data = b"\0" + values if rng.random() < 0.5 else b"\1" + zlib.compress(values, rng.choice((0, 1, 9)))
    if rng.random() < 0.5:  # by the range coder: any stream, a few of which are damaged or out of range
        symbols = rng.choice((0, 128)) + rng.choice((0, 1, 3, 127))
        points = rng.randrange(4) * 64 + rng.choice((0, 1, 6, 63))
        data = bytes((2, points, symbols)) + rng.randbytes(planes) + rng.randbytes(rng.choice((0, 4, 30, 900)))
    if kind == 1:
        data = changed_bytes(data, rng)
    if kind == 2:
        data += rng.randbytes(rng.choice((1, 4)))
    return placed(without(chunks, b"cOLr"), b"cOLr", data, rng)


def change_metadata(chunks: Chunks, header: Header, rng: random.Random) -> Chunks:
    """Resolution and texts, good and nearly good; several texts."""
    out = list(chunks)
    if rng.random() < 0.4:
        sides = [rng.choice((0, 1, 2835, 11811, 2**31 - 1, 2**31, 2**32 - 1)) for _ in range(2)]
        data = b"".join(v.to_bytes(4, "big") for v in sides) + bytes((rng.choice((0, 1, 1, 2, 255)),))
        data = data[: rng.choice((9, 9, 9, 8, 0))] + bytes(rng.choice((0, 0, 0, 1)))
        return [*without(out, b"pHYs"), (b"pHYs", data)]
    for _ in range(rng.choice((1, 2, 5, 70))):
        keyword = rng.choice(
            (b"parameters", "Größe".encode(), b"k" * 79, b"k" * 80, b"", b"a\nb", b"\xff", b"\xc2\x85")
        )
        text = rng.choice((b"", b"a cat", "😀".encode(), b"a\0b", b"\xff\xfe", rng.randbytes(8)))
        out.append((b"tEXt", keyword + (b"\0" if rng.random() < 0.95 else b"") + text))
    return out


def change_order(chunks: Chunks, header: Header, rng: random.Random) -> Chunks:
    """The same chunks in another order, or one of them twice."""
    out = list(chunks)
    if out and rng.random() < 0.5:
        out.append(rng.choice(out))
    elif out:
        rng.shuffle(out)
    return out


CHUNK_CHANGES: tuple[Callable[[Chunks, Header, random.Random], Chunks], ...] = (
    change_alpha, change_patches, change_patches, change_colour, change_metadata, change_order,
)  # fmt: skip

"""What a reader shows beside the tokens, written from formats/LTK.md alone: alpha, patches, colour grid, gray.

Imports nothing of the codec.  Pillow decodes VP8L, VP8 and AV1, which other texts specify.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.independent_container import Bytes, Header, Refused, boxes
from tests.support.independent_range import RangeDecoder


# --- section 2, "Pictures in chunks" ---------------------------------------------------------------------------------
class Bits:
    """Bits of AV1, the most significant first."""

    def __init__(self, data: bytes):
        self.text = "".join(f"{byte:08b}" for byte in data)

    def f(self, n: int) -> int:
        if len(self.text) < n:
            raise Refused("sequence header cut")
        value, self.text = int(self.text[:n], 2), self.text[n:]
        return value


def little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def obus(data: bytes) -> list[tuple[int, bytes]]:
    out = []
    while data:
        head, data = data[0], data[1:]
        if head & 0b10000111 != 0b10:  # no extension, with a size
            raise Refused("OBU")
        size = 0
        for i in range(4):
            if not data:
                raise Refused("OBU cut")
            byte, data = data[0], data[1:]
            size += byte % 128 << 7 * i
            if byte < 128:
                break
        else:
            raise Refused("size of an OBU")
        if size > len(data):
            raise Refused("OBU cut")
        out.append((head >> 3, data[:size]))
        data = data[size:]
    return out


def av1(data: bytes) -> tuple[int, int, bytes]:
    """Width, height, and the AVIF file."""
    units = obus(data)
    if [kind for kind, _ in units] != [1, 6]:
        raise Refused("OBUs")
    b = Bits(units[0][1])
    profile, still, reduced, level = b.f(3), b.f(1), b.f(1), b.f(5)
    n, m = b.f(4) + 1, b.f(4) + 1
    width, height = b.f(n) + 1, b.f(m) + 1
    b.f(6)
    high = b.f(1)
    mono = b.f(1) if profile == 0 else 0
    if not (profile < 2 and still and reduced and not high and b.f(1)):
        raise Refused("kind of AV1")
    if (b.f(8), b.f(8), b.f(8)) != (1, 13, 6) or not b.f(1):
        raise Refused("colour of AV1")
    place = b.f(2) if profile == 0 and not mono else 0
    if not mono:
        b.f(1)
    if b.f(1):
        raise Refused("film grain")

    def box(name: bytes, data: bytes, full: int | None = None) -> bytes:
        data = (b"" if full is None else struct.pack(">I", full)) + data
        return struct.pack(">I", len(data) + 8) + name + data

    half = 3 if profile == 0 else 0
    channels = 1 if mono else 3
    av1c = bytes([0x81, profile << 5 | level, mono << 4 | half << 2 | place, 0])
    ipco = box(b"ispe", struct.pack(">II", width, height), 0) + box(b"av1C", av1c)
    ipco += box(b"pixi", bytes([channels] + [8] * channels), 0) + box(b"colr", b"nclx\0\x01\0\x0d\0\x06\x80")
    ipma = box(b"ipma", b"\0\0\0\x01" + b"\0\x01" + bytes([4, 1, 0x82, 3, 4]), 0)
    infe = box(b"infe", b"\0\x01\0\0av01\0", 2 << 24)
    front = box(b"ftyp", b"avif" + bytes(4) + b"avifmif1")
    for _ in range(2):  # the second time with the place known
        iloc = b"\x44\0" + struct.pack(">HHHHII", 1, 1, 0, 1, len(front) + 8, len(data))
        front = box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + box(b"meta", (
            box(b"hdlr", bytes(4) + b"pict" + bytes(13), 0) + box(b"pitm", b"\0\x01", 0) + box(b"iloc", iloc, 0)
            + box(b"iinf", b"\0\x01" + infe, 0) + box(b"iprp", box(b"ipco", ipco) + ipma)), 0)  # fmt: skip
    return width, height, front + box(b"mdat", data)


def webp(name: bytes, data: bytes) -> bytes:
    riff = b"WEBP" + name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def read_picture(coding: int, data: bytes, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8."""
    if coding == 2 and len(data) >= 5 and data[0] == 0x2F:
        bits = little(data[1:5])
        size, rest = (bits % 2**14 + 1, bits // 2**14 % 2**14 + 1), bits // 2**28
        if rest:
            raise Refused("VP8L")
        whole = webp(b"VP8L", data)
    elif coding == 3 and len(data) >= 10 and data[3:6] == b"\x9d\x01\x2a":
        tag, size = little(data[:3]), (little(data[6:8]), little(data[8:10]))
        if tag % 2 or tag // 2 % 8 > 3 or not tag // 16 % 2 or tag // 32 > len(data) - 10:
            raise Refused("VP8")
        whole = webp(b"VP8 ", data)
    elif coding == 4:
        *sides, whole = av1(data)
        size = (sides[0], sides[1])
    else:
        raise Refused("coding of a picture")
    if size != (width, height):
        raise Refused("size of a picture")
    try:
        with Image.open(io.BytesIO(whole)) as image:
            if image.size != size or "A" in image.getbands():
                raise Refused("picture")
            return np.asarray(image.convert("RGB"))
    except Exception as error:
        raise Refused("picture") from error


def inflate(data: bytes, count: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, count + 1)
    except zlib.error as error:
        raise Refused("zlib") from error
    if not stream.eof or stream.unused_data or len(out) != count:
        raise Refused("zlib")
    return out


# --- section 2, "Alpha", "Patches", "Colour grid" --------------------------------------------------------------------
def read_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """(height, width) uint8."""
    coding, body = data[:1], data[1:]
    if coding == b"\0" and len(body) == 1:
        return np.full((height, width), body[0], np.uint8)
    if coding == b"\1":
        return np.frombuffer(inflate(body, width * height), np.uint8).reshape(height, width)
    if coding in (b"\2", b"\3"):
        rgb = read_picture(coding[0], body, width, height).astype(int)
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        less = (0, 1) if coding == b"\3" else (0,)
        if (red == blue).all() and np.isin(red - green, less).all():
            return red.astype(np.uint8)
    raise Refused("alpha")


def patches_of(header: Header) -> list[tuple[np.ndarray, np.ndarray, int, np.ndarray]]:
    """Of each `pTCH`: over the whole picture the pixels, where they are seen, the feather, and its segment's pixels."""
    out, last = [], -1
    for name, data in header.chunks:
        if name != b"pTCH":
            continue
        f = Bytes(data)
        segment, coding, feather, count = f.varint(), f.number(1), f.number(1), f.varint()
        if not last < segment < len(boxes(header)) or feather > 32:
            raise Refused("patch")
        last = segment
        top, left, rows, columns = boxes(header)[segment]
        if not 1 <= count <= rows * columns:
            raise Refused("number of rectangles")
        covered = np.zeros((rows, columns), bool)
        corners = []
        for _ in range(count):
            x, y, w, h = f.varint(), f.varint(), f.varint() + 1, f.varint() + 1
            if x + w > columns or y + h > rows or covered[y : y + h, x : x + w].any():
                raise Refused("rectangle")
            covered[y : y + h, x : x + w] = True
            corners.append((y, x))
        if corners != sorted(set(corners)):
            raise Refused("order of rectangles")
        ys, xs = np.nonzero(covered)
        y0, y1 = 64 * (top + ys.min()), min(header.height, 64 * (top + ys.max() + 1))
        x0, x1 = 64 * (left + xs.min()), min(header.width, 64 * (left + xs.max() + 1))
        picture = read_picture(coding, data[f.at :], int(x1 - x0), int(y1 - y0))
        pixels = np.zeros((header.height, header.width, 3), int)
        pixels[y0:y1, x0:x1] = picture
        seen, inside = (np.zeros((header.height, header.width), bool) for _ in range(2))
        area = np.s_[64 * top : 64 * (top + rows), 64 * left : 64 * (left + columns)]
        inside[area] = True
        seen[area] = np.kron(covered, np.ones((64, 64), bool))[: seen[area].shape[0], : seen[area].shape[1]]
        out.append((pixels, seen, feather, inside))
    return out


FIRST = (256, 181, 128, 90, 64, 45, 32, 22, 16, 11, 8, 5, 4, 2, 2, 1)


def counts_of(shape: int, largest: int) -> list[int]:
    w = [2**24, 2**24 * FIRST[shape // 16] // 256]
    while len(w) <= largest:
        w.append(w[-1] * (16 * (shape % 16) + 8) // 256)
    every = [w[abs(v)] for v in range(-largest, largest + 1)]
    counts = [1 + each * (65536 - 2 * largest - 1) // sum(every) for each in every]
    counts[largest] += 65536 - sum(counts)
    return counts


def coded_colours(header: Header, data: bytes) -> tuple[np.ndarray, int]:
    """Coding 2: the corrections of the points, (3, rows, columns), and pixels between them."""
    planes = 1 if header.gray else 3
    if len(data) < 3 + planes:
        raise Refused("head of the colour grid")
    n, q, d, m = data[1] // 64, data[1] % 64, data[2] // 128, data[2] % 128
    if q == 0 or m == 0:
        raise Refused("head of the colour grid")
    rows, columns = -(-header.height // 64) * 2**n, -(-header.width // 64) * 2**n
    if n == 3:
        rows, columns = 1, 1
    decoder, found = RangeDecoder(data[3 + planes :], 0), []
    for shape in data[3 : 3 + planes]:
        counts, plane = counts_of(shape, m), np.zeros((rows, columns), object)
        for y in range(rows):
            for x in range(columns):
                k = decoder.symbol(counts)
                if k is None:
                    raise Refused("stream of the colour grid")
                before = plane[y, x - 1] if x else plane[y - 1, 0] if y else 0
                plane[y, x] = k - m + d * before
        found.append(plane * q)
    if max(abs(v) for plane in found for v in plane.flat) > 1023:
        raise Refused("range of the colour grid")
    if header.gray:
        rgb = [found[0]] * 3
    else:
        y, u, v = found
        rgb = [y + v, y - (50 * u + 130 * v + 128) // 256, y + u]
    return np.stack(rgb).astype(int), 64 if n == 3 else 64 // 2**n


def colours_of(header: Header) -> tuple[np.ndarray, int] | None:
    """The corrections of the colour grid, (3, rows, columns), and pixels from one to the next."""
    for name, data in header.chunks:
        if name == b"cOLr":
            rows, columns, planes = -(-header.height // 64), -(-header.width // 64), 1 if header.gray else 3
            if data[:1] == b"\2":
                return coded_colours(header, data)
            if data[:1] not in (b"\0", b"\1"):
                raise Refused("coding of the colour grid")
            values = data[1:] if data[0] == 0 else inflate(data[1:], planes * rows * columns)
            if len(values) != planes * rows * columns:
                raise Refused("size of the colour grid")
            signed = np.array([v - 256 if v > 127 else v for v in values]).reshape(planes, rows, columns)
            return np.broadcast_to(signed, (3, rows, columns)), 64
    return None


def picture_of(header: Header, learned: np.ndarray) -> np.ndarray:
    """The picture that a reader shows, without its alpha: (height, width, 3) or, if it is gray, (height, width).

    learned: (height, width, 3) uint8, what the networks made of the tokens.
    """
    rgb = learned.astype(int)
    colours = colours_of(header)
    if colours is not None:
        grid, s = colours
        at_y, at_x = (2 * np.arange(side) + 1 - s for side in rgb.shape[:2])
        last_y, last_x = grid.shape[1] - 1, grid.shape[2] - 1
        (j, b), (i, a) = ((at // (2 * s), at - 2 * s * (at // (2 * s))) for at in (at_y, at_x))
        j, i = j.clip(-1, last_y), i.clip(-1, last_x)  # beyond, both are the last one
        c = np.pad(grid, ((0, 0), (1, 1), (1, 1)), "edge")  # one more on every side
        a, b = a[None, :], b[:, None]
        for colour in range(3):
            up, down = c[colour][j + 1], c[colour][j + 2]
            upper, lower = ((2 * s - a) * row[:, i + 1] + a * row[:, i + 2] for row in (up, down))
            rgb[..., colour] += ((2 * s - b) * upper + b * lower + 8 * s * s) // (16 * s * s)
        rgb = rgb.clip(0, 255)
    for pixels, seen, f, inside in patches_of(header):
        d = np.full(seen.shape, f)
        reached = inside & ~seen  # within so many pixels of a cell that is in no rectangle
        for steps in range(f):
            wide = np.pad(reached, 1)
            reached = np.any(
                [wide[y : y + seen.shape[0], x : x + seen.shape[1]] for y in range(3) for x in range(3)], 0
            )
            d = np.where(reached & (d == f), steps, d)
        mixed = (pixels * (2 * d + 1)[..., None] + rgb * (2 * f - 2 * d - 1)[..., None] + f) // max(1, 2 * f)
        rgb = np.where(seen[..., None], np.where((d < f)[..., None], mixed, pixels), rgb)
    if header.gray:
        rgb = (19595 * rgb[..., 0] + 38470 * rgb[..., 1] + 7471 * rgb[..., 2] + 32768) // 65536
    return rgb.astype(np.uint8)

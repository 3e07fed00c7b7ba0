"""The golden files: what each is there for, and how it is made.  Pictures are pieces of the examples, or drawn."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

import ltokc
from ltokc import container
from ltokc.container import Chunk, Header, Ltk, Segment, bitstreams, colour, patches, segment_boxes
from ltokc.container.alpha import DEFLATE, encode_alpha
from ltokc.container.patches import Patch
from ltokc.entropy.colour import encode as encode_steps
from ltokc.entropy.segment import SegmentWriter
from ltokc.geometry import CellBox
from ltokc.token_grid import full_masks
from ltokc.zoo.model import Model

ROOT = Path(__file__).resolve().parents[2]
Build = Callable[[Model], bytes]
Depths = np.ndarray | None


# --- pictures ------------------------------------------------------------------------------------------------------
def photo(width: int, height: int, x: int = 0, y: int = 0, name: str = "chelsea.png") -> np.ndarray:
    """A piece of one of the example photographs, (height, width, 3) uint8; what exceeds it is mirrored."""
    with Image.open(ROOT / "examples" / name) as image:
        rgb = np.asarray(image.convert("RGB"))[y : y + height, x : x + width]
    return np.pad(rgb, ((0, height - rgb.shape[0]), (0, width - rgb.shape[1]), (0, 0)), "symmetric")


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(width: int, height: int, *colour: int) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))


def gray(width: int, height: int) -> Image.Image:
    return Image.fromarray(photo(width, height, 150, 60)).convert("L")


def ramp(width: int, height: int) -> np.ndarray:
    """An alpha plane, (height, width) uint8: a soft disc."""
    y, x = np.mgrid[:height, :width].astype(float)
    return (255 - 4 * np.hypot(y - height / 2, x - width / 2)).clip(0, 255).astype(np.uint8)


# --- files of every feature ------------------------------------------------------------------------------------------
def quality(rgb: np.ndarray | Image.Image, q: float) -> Build:
    return lambda model: ltokc.encode(rgb, q, model=model.entry.id)


def counted(rgb: np.ndarray, tokens: int) -> Build:
    return lambda model: ltokc.encode(rgb, tokens=tokens, model=model.entry.id)


def with_chunks(
    rgb: np.ndarray, *chunks: Chunk, tokens: int = 60, gray: bool = False, segment_cells: int = 0
) -> Build:  # fmt: skip
    return lambda model: written(model, rgb, tokens=[tokens], chunks=chunks, gray=gray, segment_cells=segment_cells)


def written(
    model: Model, rgb: np.ndarray, *, tokens: Sequence[int | float] = (1.0,), depths: Sequence[Depths] = (None,),
    segment_cells: int = 0, chunks: Sequence[Chunk] = (), gray: bool = False,
) -> bytes:  # fmt: skip
    """A file by the writer itself.

    tokens: of each segment, a number of tokens, or a float, the share of what its depths keep; depths: of each
    segment, (rows, columns) or None; both are repeated for as long as there are segments.
    """
    height, width = rgb.shape[:2]
    boxes = segment_boxes(width, height, segment_cells)
    whole = np.full((-(-height // 64), -(-width // 64)), len(model.levels))
    parts = [depths[i % len(depths)] for i in range(len(boxes))]
    for box, part in zip(boxes, parts, strict=True):
        if part is not None:
            whole[box.at(1)] = part
    masks = full_masks(model.levels, *whole.shape, whole)
    found = model.networks("onnx", "cpu").tokenize(rgb, masks)
    segments = []
    for i, (box, part) in enumerate(zip(boxes, parts, strict=True)):
        grid = None if part is None else np.broadcast_to(part, box.grid).astype(np.int64)
        writer = SegmentWriter(model.prior, found.cut(box).digits, grid)
        wanted = tokens[i % len(tokens)]
        count = round(wanted * writer.total) if isinstance(wanted, float) else min(wanted, writer.total)
        segments.append(Segment(count, part is not None, writer.stream(count)))
    header = Header(model.entry.id, model.entry.bitstream_hash, width, height, segment_cells, gray)
    return container.write(Ltk(header, tuple(segments)).with_chunks(tuple(chunks)))


def steps(rows: int, columns: int, depth: int = 11) -> np.ndarray:
    """Depths from 0 to `depth`, not in order."""
    return (np.arange(rows * columns).reshape(rows, columns) * 5) % (depth + 1)


def exif() -> bytes:
    data = Image.Exif()
    data[0x010E] = "a golden file"
    data[0x0112] = 1
    return data.tobytes().removeprefix(b"Exif\0\0")


def lettering(width: int, height: int) -> Image.Image:
    """Dark bars of several lengths on a pale ground: (height, width) in colour."""
    y, x = np.mgrid[:height, :width]
    ink = (y % 12 < 7) & (x % 7 < 4) & ((x // 7 * 5 + y // 12 * 3) % 11 < 8)
    return Image.fromarray(np.where(ink[..., None], (20, 30, 90), (250, 246, 230)).astype(np.uint8))


def patched(
    size: tuple[int, int], *rectangles: tuple[int, int, int, int], coding: int = bitstreams.VP8L, feather: int = 0,
    segment: int = 0, segment_cells: int = 0, gray: bool = False,
) -> Chunk:  # fmt: skip
    """Lettering over some cells of a picture of this size."""
    boxes = tuple(CellBox(*rectangle) for rectangle in rectangles)
    header, empty = Header(0, 0, *size, segment_cells), Patch(segment, coding, feather, boxes, b"")
    _, _, width, height = patches.area(empty, header)
    picture = lettering(width, height).convert("L" if gray else "RGB")
    return Chunk(container.PATCHES, patches.spell(replace(empty, picture=bitstreams.encode(coding, picture, 70))))


def tinted(rows: int, columns: int, planes: int = 3) -> np.ndarray:
    """Corrections of up to 16 of 255 either way: (planes, rows, columns) int8."""
    return (np.arange(planes * rows * columns).reshape(planes, rows, columns) * 37 % 129 - 64).astype(np.int8)


def coded(
    rows: int, columns: int, planes: int = 3, fineness: int = 1, differences: bool = False, largest: int = 3
) -> bytes:  # fmt: skip
    """A colour grid by the range coder, in steps of 1.5 of 255: values of up to `largest` steps, and of 60 at most."""
    most = min(largest, 60)
    values = np.arange(planes * rows * columns).reshape(planes, rows, columns) * 37 % (2 * most + 1) - most
    head = colour.Head(fineness, 6, differences, largest, ((4, 3), (2, 9), (0, 15))[:planes])
    return encode_steps(values, head)


def text(keyword: str, words: str) -> Chunk:
    return Chunk(container.TEXT, f"{keyword}\0{words}".encode())


RESOLUTION = Chunk(container.RESOLUTION, bytes.fromhex("00002e23 00002e23 01"))  # 300 dpi
CAPTION = Chunk(container.IPTC, b"\x1c\x02\x78\x00\x05a cat")
ALPHA_DEFLATE = bytes((DEFLATE,)) + zlib.compress(ramp(50, 40).tobytes(), 9)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
NOTE = json.dumps({"made": "by hand", "sprache": "Grüße"}, ensure_ascii=False).encode()
SMALL = photo(50, 40, 190, 80)
GRAY = np.asarray(gray(80, 60).convert("RGB"))

CASES: dict[str, tuple[str, Build]] = {
    "size-1x1": ("one pixel", quality(flat(1, 1, 200, 40, 90), 0.6)),
    "size-1x97": ("one column", quality(photo(1, 97, 200), 0.6)),
    "size-97x1": ("one row", quality(photo(97, 1, 150, 90), 0.6)),
    "size-2x3": ("two columns, three rows", quality(photo(2, 3, 230, 110), 1)),
    "size-64x64": ("one cell exactly", quality(photo(64, 64, 160, 60), 0.6)),
    "size-63x65": ("a pixel less and a pixel more than a cell", quality(photo(63, 65, 120, 30), 0.5)),
    "size-128x64": ("a multiple of cells", quality(photo(128, 64, 100, 100), 0.6)),
    "size-129x33": ("odd sides", quality(photo(129, 33, 160, 70, "astronaut.jpg"), 0.7)),
    "size-200x3": ("width of more than one byte", quality(photo(200, 3, 200, 120, "coffee.jpg"), 0.8)),
    "quality-0": ("-q 0", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 0)),
    "quality-0.2": ("-q 0.2", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 0.2)),
    "quality-0.4": ("-q 0.4", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 0.4)),
    "quality-0.6": ("-q 0.6", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 0.6)),
    "quality-0.8": ("-q 0.8", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 0.8)),
    "quality-1": ("-q 1, every token", quality(photo(96, 80, 180, 80, "astronaut.jpg"), 1)),
    "tokens-0": ("no token", counted(photo(70, 70), 0)),
    "tokens-1": ("one token", counted(photo(70, 70, 200, 50), 1)),
    "tokens-7": ("ends in the second level", counted(photo(70, 70, 200, 50), 7)),
    "tokens-333": ("ends inside a level", counted(photo(70, 70, 200, 50), 333)),
    "tokens-all-but-one": ("ends one token before the end", counted(photo(60, 50, 200, 50), 376)),
    "flat-black": ("the darkest picture, every token", quality(flat(64, 64, 0, 0, 0), 1)),
    "flat-white": ("the brightest picture, every token", quality(flat(64, 64, 255, 255, 255), 1)),
    "noise": ("noise, every token", quality(noise(64, 64), 1)),
    "gray": ("from a gray picture", quality(gray(80, 60), 0.6)),
    "alpha-constant": ("alpha of one value", with_chunks(SMALL, Chunk(container.ALPHA, bytes((0, 77))))),
    "alpha-deflate": ("alpha by deflate", with_chunks(SMALL, Chunk(container.ALPHA, ALPHA_DEFLATE))),
    "alpha-vp8l": ("alpha by WebP", with_chunks(SMALL, Chunk(container.ALPHA, encode_alpha(ramp(50, 40))))),
    "alpha-vp8": (
        "alpha by lossy WebP", with_chunks(SMALL, Chunk(container.ALPHA, encode_alpha(ramp(50, 40), 60))),
    ),
    "gray-flag": ("the flag GRAY", with_chunks(GRAY, gray=True)),
    "gray-flag-alpha": (
        "GRAY and alpha", with_chunks(GRAY, Chunk(container.ALPHA, encode_alpha(ramp(80, 60))), gray=True),
    ),
    "gray-flag-all": (
        "GRAY, colour grid of one plane, a patch", with_chunks(
            GRAY, Chunk(container.COLOUR, colour.encode(tinted(1, 2, 1))), patched((80, 60), (1, 0, 1, 1), gray=True),
            gray=True),
    ),
    "colour-plain": (
        "a colour grid", with_chunks(photo(150, 140, 100, 60), Chunk(container.COLOUR, colour.encode(tinted(3, 3)))),
    ),
    "colour-deflate": (
        "a colour grid by deflate", with_chunks(
            photo(520, 70, 0, 100, "coffee.jpg"), Chunk(container.COLOUR, colour.encode(tinted(2, 9) // 30 * 12)),
            segment_cells=8),
    ),
    "colour-coded": (
        "a colour grid by the range coder, points 32 pixels apart", with_chunks(
            photo(150, 140, 100, 60), Chunk(container.COLOUR, coded(6, 6))),
    ),
    "colour-coded-fine": (
        "a colour grid told by differences, points 16 pixels apart, symbols up to 127", with_chunks(
            photo(100, 60, 30, 40), Chunk(container.COLOUR, coded(4, 8, fineness=2, differences=True, largest=127))),
    ),
    "colour-coded-whole": (
        "one colour for the whole picture", with_chunks(
            photo(150, 140, 100, 60), Chunk(container.COLOUR, coded(1, 1, fineness=colour.WHOLE))),
    ),
    "colour-coded-gray": (
        "GRAY, a colour grid of luma alone by the range coder", with_chunks(
            GRAY, Chunk(container.COLOUR, coded(1, 2, planes=1, fineness=0)), gray=True),
    ),
    "patch-vp8l": ("a patch by VP8L", with_chunks(photo(150, 140), patched((150, 140), (1, 0, 2, 1), (0, 2, 1, 1)))),
    "patch-vp8": (
        "a patch by VP8", with_chunks(photo(150, 140), patched((150, 140), (1, 1, 2, 2), coding=bitstreams.VP8)),
    ),
    "patch-av1": (
        "a patch by AV1", with_chunks(photo(150, 140), patched((150, 140), (1, 1, 2, 2), coding=bitstreams.AV1)),
    ),
    "patch-av1-gray": (
        "a patch by AV1 without chroma", with_chunks(
            photo(150, 140), patched((150, 140), (1, 1, 2, 2), coding=bitstreams.AV1, gray=True)),
    ),
    "patch-feather": (
        "a patch with a hole that fades", with_chunks(
            photo(190, 150), patched((190, 150), (0, 0, 2, 1), (2, 1, 1, 1), (0, 2, 3, 1), feather=20)),
    ),
    "patch-whole": ("all is a patch, no token", with_chunks(photo(70, 70), patched((70, 70), (0, 0, 2, 2)), tokens=0)),
    "patch-segments": (
        "patches of two of three segments", with_chunks(
            photo(1100, 20, 0, 150, "coffee.jpg"), patched((1100, 20), (1, 0, 2, 1), segment_cells=8, feather=3),
            patched((1100, 20), (0, 0, 2, 1), segment=2, segment_cells=8), segment_cells=8, tokens=9),
    ),
    "chunk-iptc": ("captions", with_chunks(SMALL, CAPTION)),
    "chunk-resolution": ("300 dpi", with_chunks(SMALL, RESOLUTION)),
    "chunk-text": (
        "texts, one keyword twice, one text empty", with_chunks(
            SMALL, text("parameters", "a cat, 20 steps"), text("Größe", "übel\nzwei"), text("parameters", ""),
            tokens=9),
    ),
    "chunk-most": ("as many chunks as fit", with_chunks(SMALL, *[text("k", str(i)) for i in range(65)], tokens=1)),
    "chunk-icc": ("an ICC profile", with_chunks(SMALL, Chunk(container.ICC, ICC))),
    "chunk-exif": ("EXIF", with_chunks(SMALL, Chunk(container.EXIF, exif()))),
    "chunk-xmp": ("XMP", with_chunks(SMALL, Chunk(container.XMP, XMP))),
    "chunk-note": ("a note", with_chunks(SMALL, Chunk(container.NOTE, NOTE))),
    "chunk-unknown": (
        "ancillary chunks that no reader knows, one name twice, one empty",
        with_chunks(SMALL, Chunk(b"zzZz", b"private"), Chunk(b"zzZz", b"again"), Chunk(b"abCD", b"")),
    ),
    "chunk-all": (
        "every chunk",
        with_chunks(
            SMALL, Chunk(container.COLOUR, colour.encode(tinted(1, 1))), patched((50, 40), (0, 0, 1, 1)),
            Chunk(container.ALPHA, ALPHA_DEFLATE), Chunk(container.NOTE, NOTE), Chunk(container.EXIF, exif()),
            Chunk(container.XMP, XMP), Chunk(container.ICC, b"not a profile, but nobody asks"), CAPTION, RESOLUTION,
            text("Title", "all"),
        ),
    ),
    "depths-mixed": (
        "a depth map of all depths", lambda m: written(m, photo(240, 130, 100, 60), depths=[steps(3, 4)]),
    ),
    "depths-cut": (
        "a depth map, part of its tokens", lambda m: written(m, photo(130, 130, 100, 60), depths=[steps(3, 3, 9)],
                                                             tokens=[0.6]),
    ),
    "depths-zero": ("a depth map that keeps nothing", lambda m: written(m, photo(90, 40), depths=[np.zeros((1, 2))])),
    "depths-full": (
        "a depth map that keeps all", lambda m: written(m, photo(90, 40, 200, 90), depths=[np.full((1, 2), 11)],
                                                        tokens=[150]),
    ),
    "depths-no-tokens": (
        "a depth map and no tokens", lambda m: written(m, photo(70, 70), depths=[steps(2, 2)], tokens=[0]),
    ),
    "segments-2": (
        "two segments, of 8 cells and of one", lambda m: written(m, photo(520, 40, 0, 220, "coffee.jpg"),
                                                                 segment_cells=8, tokens=[0.25, 0.5]),
    ),
    "segments-4": (
        "four segments, one without tokens", lambda m: written(m, photo(514, 514, 30, 0, "coffee.jpg"),
                                                               segment_cells=8, tokens=[0.02, 5, 0, 40]),
    ),
    "segments-one": (
        "divided into one segment", lambda m: written(m, photo(70, 50, 200, 50), segment_cells=32, tokens=[90]),
    ),
    "segments-16": (
        "segments of 16 cells", lambda m: written(m, photo(1025, 2, 0, 150, "coffee.jpg"), segment_cells=16,
                                                  tokens=[0.1, 0.2]),
    ),
    "segments-32": (
        "segments of 32 cells", lambda m: written(m, photo(3, 2049, 300, 0, "coffee.jpg"), segment_cells=32,
                                                  tokens=[0.1, 377]),
    ),
    "segments-depths": (
        "segments with and without a depth map", lambda m: written(
            m, photo(520, 20, 0, 190, "coffee.jpg"), segment_cells=8, depths=[steps(1, 8), None], tokens=[0.9, 30]),
    ),
    "segments-chunks": (
        "segments, a depth map, alpha and a note", lambda m: written(
            m, photo(10, 600, 300, 0, "coffee.jpg"), segment_cells=8, depths=[None, steps(2, 1)], tokens=[0.2, 1.0],
            chunks=[Chunk(container.ALPHA, encode_alpha(ramp(10, 600))), Chunk(container.NOTE, NOTE)]),
    ),
}  # fmt: skip

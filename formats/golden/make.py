"""Makes golden files, formats/golden/v1, and what is known of them, manifest.json: see README.md beside this file.

Files that exist are never written again, whatever this program would make today; new cases and new models add to them.

    python formats/golden/make.py                    the default model's files that do not exist yet
    python formats/golden/make.py --model NAME       those of another model
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageCms

import ltokc
from ltokc import container
from ltokc.container import Chunk, Ltk, Segment, segment_boxes
from ltokc.container.alpha import DEFLATE, encode_alpha
from ltokc.entropy.segment import SegmentWriter
from ltokc.token_grid import full_masks
from ltokc.zoo.model import WEIGHTS, Model, open_model

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MANIFEST = "manifest.json"
REGION = (128, 64)  # references of larger pictures show their lower right corner, so that all stays small
MAX_DIFFERENCE, MIN_PSNR = 2, 55  # of 255 and in dB: how far another runtime's pixels may be from the reference
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


def with_chunks(rgb: np.ndarray, *chunks: Chunk, tokens: int = 60) -> Build:
    return lambda model: written(model, rgb, tokens=[tokens], chunks=chunks)


def written(
    model: Model, rgb: np.ndarray, *, tokens: Sequence[int | float] = (1.0,), depths: Sequence[Depths] = (None,),
    segment_cells: int = 0, chunks: Sequence[Chunk] = (),
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
    ltk = Ltk(model.entry.id, model.entry.bitstream_hash, width, height, tuple(segments), segment_cells, tuple(chunks))
    return container.write(ltk)


def steps(rows: int, columns: int, depth: int = 11) -> np.ndarray:
    """Depths from 0 to `depth`, not in order."""
    return (np.arange(rows * columns).reshape(rows, columns) * 5) % (depth + 1)


def exif() -> bytes:
    data = Image.Exif()
    data[0x010E] = "a golden file"
    data[0x0112] = 1
    return data.tobytes().removeprefix(b"Exif\0\0")


ALPHA_DEFLATE = bytes((DEFLATE,)) + zlib.compress(ramp(50, 40).tobytes(), 9)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
NOTE = json.dumps({"made": "by hand", "sprache": "Grüße"}, ensure_ascii=False).encode()
SMALL = photo(50, 40, 190, 80)

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
            SMALL, Chunk(container.NOTE, NOTE), Chunk(container.ALPHA, ALPHA_DEFLATE), Chunk(container.EXIF, exif()),
            Chunk(container.XMP, XMP), Chunk(container.ICC, b"not a profile, but nobody asks"),
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


# --- what is known of them -------------------------------------------------------------------------------------------
def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cuts(data: bytes) -> list[dict[str, int | str]]:
    """What is left of the file at some lengths."""
    out: list[dict[str, int | str]] = []
    for length in sorted({len(data) - 1, len(data) * 3 // 4, len(data) // 2, len(data) // 3}):
        try:
            tokens = ltokc.tokens(data[:length], allow_truncated=True)
        except ltokc.LtokcError:
            out.append({"bytes": length, "error": "cut inside the header"})
            continue
        out.append({"bytes": length, "tokens": tokens.count, "tokens_sha256": tokens.sha256()})
    return out


def facts(data: bytes, feature: str, pixels: Path) -> dict[str, object]:
    """The manifest's entry; writes the reference pixels."""
    about, image = ltokc.info(data), ltokc.decode(data, backend="onnx", device="cpu")
    left, top = (max(0, side - most) for side, most in zip(image.size, REGION, strict=True))
    rgb, webp = image.convert("RGB").crop((left, top, *image.size)), io.BytesIO()
    rgb.save(webp, "WEBP", lossless=True, quality=100, method=6)
    with Image.open(io.BytesIO(webp.getvalue())) as back:
        if (np.asarray(back.convert("RGB")) != np.asarray(rgb)).any():
            raise AssertionError("the reference is not lossless")
    with pixels.open("xb") as file:
        file.write(webp.getvalue())
    found: dict[str, object] = {
        "feature": feature, "model": about.model_id, "width": about.width, "height": about.height,
        "segments": about.segments, "bytes": len(data), "sha256": sha256(data), "tokens": about.tokens,
        "tokens_sha256": ltokc.tokens(data).sha256(), "pixels_from": [left, top],
    }  # fmt: skip
    if image.mode == "RGBA":
        found["alpha_sha256"] = sha256(image.getchannel("A").tobytes())
    if chunks := container.read(data).chunks:
        found["chunks"] = [{"name": c.fourcc.decode(), "bytes": len(c.data), "sha256": sha256(c.data)} for c in chunks]
    return found | {"cut": cuts(data)}


@click.command()
@click.option("--model", help="Model, by name or id.")
def main(model: str | None) -> None:
    """Makes the golden files that do not exist yet, and their entries in the manifest."""
    opened, folder = open_model(model), HERE / "v1"
    (folder / "pixels").mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8")) if path.exists() else {"format": 1, "models": {}, "files": {}}
    bound = {"max_difference": MAX_DIFFERENCE, "min_psnr": MIN_PSNR}
    weights = next(file.sha256 for file in opened.entry.files if file.name == WEIGHTS)
    about = {"name": opened.entry.name, "weights_sha256": weights, "pixels": bound}
    if manifest["models"].setdefault(str(opened.entry.id), about) != about:
        raise click.ClickException(f"model {opened.entry.id} is not the one whose golden files these are")
    for case, (feature, build) in CASES.items():
        name = f"{opened.entry.id}-{case}"
        target = folder / f"{name}.ltk"
        if target.exists() or f"{name}.ltk" in manifest["files"]:
            click.echo(f"{target.name} is there and stays")
            continue
        data = build(opened)
        with target.open("xb") as file:
            file.write(data)
        manifest["files"][target.name] = facts(data, feature, folder / "pixels" / f"{name}.webp")
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
        click.echo(f"{target.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()

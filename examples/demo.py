"""The example photographs through ltokc at three qualities, beside JPEG, WebP and AVIF files of at least that size.

    python examples/demo.py

Every rival gets the smallest of its files that is not smaller than ltokc's; where even its worst quality is larger,
it may halve the picture first and enlarge it again after decoding ("half").  Sizes are those of whole files.
Writes examples/out/side-by-side.png.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ltokc
from ltokc.metrics.fidelity import ms_ssim, psnr

HERE = Path(__file__).resolve().parent
QUALITIES = (0.2, 0.5, 0.8)
CROPS = {"astronaut.jpg": (110, 0), "chelsea.png": (90, 20), "coffee.jpg": (170, 60)}  # left, top of what is shown
CROP = (280, 260)
COLUMNS = ("original", "ltokc", "WebP", "AVIF")
LABEL, GAP = 38, 6


@dataclass(frozen=True, slots=True)
class Result:
    """One file: its size in bytes, the picture that came back, and how it was made."""

    codec: str
    bytes: int
    image: Image.Image
    how: str


def jpeg(image: Image.Image, quality: int) -> bytes:
    return _saved(image, "JPEG", quality=quality, optimize=True, progressive=True)


def webp(image: Image.Image, quality: int) -> bytes:
    return _saved(image, "WEBP", quality=quality, method=6)


def avif(image: Image.Image, quality: int) -> bytes:
    return _saved(image, "AVIF", quality=quality, speed=5, max_threads=2)


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


RIVALS: dict[str, tuple[Callable[[Image.Image, int], bytes], range]] = {
    "JPEG": (jpeg, range(1, 96)),
    "WebP": (webp, range(101)),
    "AVIF": (avif, range(101)),
}


def nearest(name: str, image: Image.Image, size: int) -> Result:
    """The rival's smallest file of `size` bytes or more; of a half-size picture where all full-size ones are larger."""
    encode, qualities = RIVALS[name]
    smallest = encode(image, qualities[0])
    if len(smallest) > size:
        half = image.resize((max(image.width // 2, 1), max(image.height // 2, 1)), Image.Resampling.LANCZOS)
        data, quality = _search(lambda quality: encode(half, quality), qualities, size)
        if len(data) < len(smallest):
            back = Image.open(io.BytesIO(data)).convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
            return Result(name, len(data), back, f"quality {quality}, half")
    data, quality = _search(lambda quality: encode(image, quality), qualities, size)
    return Result(name, len(data), Image.open(io.BytesIO(data)).convert("RGB"), f"quality {quality}")


def _search(encode: Callable[[int], bytes], qualities: range, size: int) -> tuple[bytes, int]:
    """Bisection for the lowest quality whose file has at least `size` bytes; the highest where none has."""
    low, high = 0, len(qualities) - 1
    best = encode(qualities[high]), qualities[high]
    while low < high:
        middle = (low + high) // 2
        data = encode(qualities[middle])
        if len(data) >= size:
            best, high = (data, qualities[middle]), middle
        else:
            low = middle + 1
    return best


def ours(image: Image.Image, quality: float) -> tuple[Result, float, float]:
    """ltokc's file of one quality; also the seconds that encoding and decoding took."""
    start = time.perf_counter()
    data = ltokc.encode(image, quality=quality)
    middle = time.perf_counter()
    back = ltokc.decode(data).convert("RGB")
    return Result("ltokc", len(data), back, f"quality {quality}"), middle - start, time.perf_counter() - middle


def row(reference: np.ndarray, result: Result) -> str:
    decoded = np.asarray(result.image)
    bpp = result.bytes * 8 / (reference.shape[0] * reference.shape[1])
    return (
        f"  {result.codec:6}{result.bytes:9,}{bpp:9.3f}{psnr(reference, decoded):9.2f}"
        f"{ms_ssim(reference, decoded):10.4f}   {result.how}"
    )


def strip(name: str, image: Image.Image, results: dict[str, Result]) -> Image.Image:
    """One row of the side-by-side picture: the same crop of the original and of three files, labelled."""
    left, top = CROPS.get(name, (0, 0))
    width, height = min(CROP[0], image.width), min(CROP[1], image.height)
    left, top = min(left, image.width - width), min(top, image.height - height)
    sheet = Image.new("RGB", (len(COLUMNS) * (CROP[0] + GAP) - GAP, CROP[1] + LABEL), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, column in enumerate(COLUMNS):
        x = index * (CROP[0] + GAP)
        result = results.get(column)
        text = f"{result.codec}, {result.bytes:,} bytes\n{result.how}" if result else f"{name}\noriginal"
        draw.multiline_text((x + 2, 3), text, fill="black", font=font, spacing=2)
        shown = result.image if result else image
        sheet.paste(shown.crop((left, top, left + width, top + height)), (x, LABEL))
    return sheet


def main() -> int:
    strips = []
    for path in sorted(HERE.glob("*.jpg")) + sorted(HERE.glob("*.png")):
        image = Image.open(path).convert("RGB")
        reference = np.asarray(image)
        print(f"\n{path.name}  {image.width}x{image.height}, {path.stat().st_size:,} bytes")
        print(f"  {'codec':6}{'bytes':>9}{'bpp':>9}{'PSNR dB':>9}{'MS-SSIM':>10}   how")
        for quality in QUALITIES:
            result, encoding, decoding = ours(image, quality)
            results = {"ltokc": result} | {name: nearest(name, image, result.bytes) for name in RIVALS}
            for each in results.values():
                seconds = f"  (encode {encoding:.2f} s, decode {decoding:.2f} s)" if each is result else ""
                print(row(reference, each) + seconds)
            strips.append(strip(path.name, image, results))
            print()
    sheet = Image.new("RGB", (strips[0].width, sum(shown.height for shown in strips)), "white")
    y = 0
    for shown in strips:
        sheet.paste(shown, (0, y))
        y += shown.height
    out = HERE / "out" / "side-by-side.png"
    out.parent.mkdir(exist_ok=True)
    sheet.save(out, optimize=True)
    print(f"Side by side: {out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Is lettering legible, and for how many bytes?  Errors of tesseract, SSIMULACRA2 and PSNR beside AVIF and WebP.

python -m bench sharp --pages 6 --images SCREENS --out sharp.json

Pages of known text are rendered with Pillow's font: dark on light, light on dark, red on blue, 8 to 24 px.  Screens and
drawings are pictures of a folder, without text to compare with.  Beside every .ltk file: the best AVIF of at
most its bytes (of half the size where even the smallest is larger), the smallest AVIF that looks as good, and lossless
WebP.  Errors: edit distance of what tesseract reads from the text, spaces aside.
"""

from __future__ import annotations

import io
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.compare.codecs import Avif, fit
from ltokc.metrics.fidelity import psnr
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.spawn import find_program

INKS = (("black", "white"), ("#e0e0e0", "#14181c"), ("red", "blue"), ("#205080", "#f4f0e0"))
FONT_SIZES = (8, 10, 12, 14, 16, 20, 24)
PAGE = (480, 320)
ENLARGED = 3  # times, before tesseract reads
WORDS = ("sphinx", "quartz", "judge", "rate", "picture", "vow", "letters", "black", "cost", "token", "level", "cell")


@dataclass(frozen=True, slots=True)
class Page:
    """A picture and the text on it, "" where it is not known."""

    name: str
    image: Image.Image
    text: str


def rendered(number: int) -> Page:
    """A page of words and numbers by Pillow's own font."""
    rng = random.Random(number)
    size, (ink, paper) = FONT_SIZES[number % len(FONT_SIZES)], INKS[number % len(INKS)]
    image = Image.new("RGB", PAGE, paper)
    draw, font, lines = ImageDraw.Draw(image), ImageFont.load_default(size), []
    for top in range(8, PAGE[1] - 2 * size, round(1.5 * size)):
        line = ""
        while draw.textlength(line + " 0000000", font) < PAGE[0] - 16:
            line += (" " if line else "") + (rng.choice(WORDS) if rng.random() < 0.6 else str(rng.randrange(10**5)))
        draw.text((8, top), line, ink, font)
        lines.append(line)
    return Page(f"page-{number}-{size}px-{ink}-{paper}", image, "\n".join(lines))


def read(image: Image.Image) -> str:
    """What tesseract reads of a picture, without spaces."""
    program = find_program("tesseract")
    if program is None:
        raise click.UsageError("the program tesseract is not on the path")
    big = image.convert("RGB").resize((image.width * ENLARGED, image.height * ENLARGED), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    big.save(out, "PNG", compress_level=1)
    done = subprocess.run([program, "-", "-", "--psm", "6"], input=out.getvalue(), capture_output=True, check=True)
    return "".join(done.stdout.decode("utf-8", "replace").split())


def edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = np.arange(len(other) + 1)
    codes, steps = np.array([ord(c) for c in other]), np.arange(len(other) + 1)
    for i, letter in enumerate(one, 1):
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (codes != ord(letter)))])
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def measured(page: Page, shown: Image.Image, size: int, reference: Reference) -> dict[str, Any]:
    """One decoded picture of `size` bytes."""
    rgb, original = np.asarray(shown.convert("RGB")), np.asarray(page.image)
    row: dict[str, Any] = {"bytes": size, "ssimulacra2": round(reference.score(rgb), 2)}
    row["psnr"] = None if np.array_equal(rgb, original) else round(psnr(original, rgb), 2)
    if page.text:
        row["wrong"] = edits(read(shown), "".join(page.text.split()))
    return row


def as_good(page: Page, reference: Reference, look: float) -> int | None:
    """Bytes of the smallest AVIF file that looks at least so good; None: no quality does."""
    avif, low, high = Avif(), 0, 101
    best = None
    while low < high:
        middle = (low + high) // 2
        if middle > 100:
            break
        data = avif.encode(page.image, middle)
        if reference.score(np.asarray(avif.decode(data))) >= look:
            best, high = len(data), middle
        else:
            low = middle + 1
    return best


def compared(page: Page, quality: float, reference: Reference) -> dict[str, Any]:
    """A page at a quality, and its rivals."""
    data = codec.encode(page.image, quality)
    about = codec.info(data)
    ours = measured(page, codec.decode(data), len(data), reference)
    plain = codec.encode(page.image, quality, patches="off")
    rival, file = fit("avif", page.image, len(data))
    lossless = io.BytesIO()
    page.image.save(lossless, "WEBP", lossless=True, quality=100, method=6)
    return {
        "name": page.name, "quality": quality, "patches": round(about.patches, 4), "ltokc": ours,
        "tokens alone": measured(page, codec.decode(plain), len(plain), reference),
        rival.name: measured(page, rival.decode(file.data), len(file.data), reference),
        "avif as good": as_good(page, reference, ours["ssimulacra2"]), "webp lossless": len(lossless.getvalue()),
        "characters": len("".join(page.text.split())) or None,
        "wrong in the original": edits(read(page.image), "".join(page.text.split())) if page.text else None,
    }  # fmt: skip


@options.command()
@click.option("--pages", default=20, show_default=True, help="Rendered pages.")
@options.images(required=False, text="Pictures beside them; NAME.txt has the text of NAME.png.")
@options.qualities("0.4,0.6,0.8")
@options.out()
def main(pages: int, images: Path | None, qualities: tuple[float, ...], out: Path | None) -> None:
    """Measure legibility and bytes of lettering, screens and drawings."""
    wanted = [rendered(number) for number in range(pages)]
    for path in pictures(images) if images else []:
        known = path.with_suffix(".txt")
        text = known.read_text("utf-8") if known.exists() else ""
        wanted.append(Page(path.stem, load_rgb(path), text))
    rows = []
    for page in wanted:
        reference = Reference(np.asarray(page.image))
        for quality in qualities:
            rows.append(compared(page, quality, reference))
            click.echo(str(rows[-1]), err=True)
            write_report(model_name(None), {"rows": rows}, out)


if __name__ == "__main__":
    main()

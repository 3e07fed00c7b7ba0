"""Can text still be read after decoding?  Tesseract's character error rate, by decoder, quality and size of letters.

    python -m bench legibility --out legibility.json

Pages of known words in Pillow's own font, dark on light and light on dark, are encoded and read by the program
tesseract.  The character error rate is the edit distance to the words, divided by their length, at most 1 a page: 0 is
read without a mistake, 1 is nothing read.  Files are tokens alone: patches would show the page as it is.
`--pages FOLDER` writes the decoded pages, to be looked at.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.common import options
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.errors import UsageError
from ltokc.spawn import find_program
from ltokc.tokenizer.generative import DECODERS

TEXT = (
    "river stone window garden letter market silver number yellow mountain paper quiet engine forest bridge corner "
    "simple winter public island summer planet middle school kitchen station travel doctor picture morning"
)
WORDS = TEXT.split()
INKS = {"dark on light": ((25, 28, 40), (238, 236, 228)), "light on dark": ((235, 235, 230), (30, 40, 60))}
PAGE = (512, 256)  # px, width and height
MARGIN = 16  # px
LEAST = 24  # px, below which letters are enlarged to twice the size before they are read
SEGMENTATION = "6"  # tesseract's mode for one block of text


def page(side: int, ink: str, seed: int) -> tuple[Image.Image, str]:
    """A page of words in letters of `side` px, and what it says: single spaces for breaks of lines."""
    colour, paper = INKS[ink]
    image = Image.new("RGB", PAGE, paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(side)
    rng, said, y = np.random.default_rng(seed), [], MARGIN
    while y + side < PAGE[1] - MARGIN:
        line = ""
        while True:
            longer = f"{line} {rng.choice(WORDS)}".strip()
            if draw.textlength(longer, font) > PAGE[0] - 2 * MARGIN:
                break
            line = longer
        draw.text((MARGIN, y), line, colour, font)
        said.append(line)
        y += round(1.5 * side)
    return image, " ".join(said)


def read_by_tesseract(image: Image.Image, side: int) -> str:
    """What the program reads on a page of letters of `side` px, single spaces between words.

    Raises UsageError if it is not there or fails.
    """
    program = find_program("tesseract")
    if program is None:
        raise UsageError("the program tesseract is not on the path")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.png")
        if side < LEAST:
            image = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
        image.save(path)
        done = subprocess.run(
            [program, str(path), "-", "--psm", SEGMENTATION],
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        )
    if done.returncode:
        raise UsageError("tesseract failed: " + " ".join(done.stderr.split())[:200])
    return " ".join(done.stdout.split())


def error_rate(found: str, said: str) -> float:
    """Edit distance of two texts divided by the length of the second, at most 1."""
    row = np.arange(len(found) + 1)
    letters = np.array(list(found))
    for i, letter in enumerate(said, 1):
        costs = np.minimum(row[1:] + 1, row[:-1] + (letters != letter))
        steps = np.concatenate([[i], costs]) - np.arange(len(found) + 1)
        row = np.minimum.accumulate(steps) + np.arange(len(found) + 1)  # a letter too much costs 1 more each
    return min(1.0, float(row[-1]) / max(1, len(said)))


@options.command()
@options.qualities("0.2,0.4,0.6,0.8,1")
@click.option("--sides", default="14,20,32,48", show_default=True, type=options.Numbers(int), help="Letters, in px.")
@options.count(2, "Pages of each kind.")
@options.effort(1)
@options.model()
@click.option("--pages", type=options.NEW_FOLDER, help="Folder for the decoded pages.")
@options.out()
def main(
    qualities: tuple[float, ...], sides: tuple[int, ...], count: int, effort: int, model: str | None,
    pages: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure how well decoded text can be read."""
    name = model_name(model)
    rows: list[dict[str, float]] = []
    for side in sides:
        rates: dict[tuple[float, str], list[float]] = {}
        for ink in INKS:
            for seed in range(count):
                image, said = page(side, ink, seed)
                rates.setdefault((-1, "original"), []).append(error_rate(read_by_tesseract(image, side), said))
                for quality in qualities:
                    data = codec.encode(image, quality, effort=effort, model=name, patches="off")
                    for decoder in DECODERS:
                        made = codec.decode(data, decoder=decoder).convert("RGB")
                        rates.setdefault((quality, decoder), []).append(error_rate(read_by_tesseract(made, side), said))
                        if pages:
                            pages.mkdir(parents=True, exist_ok=True)
                            made.save(pages / f"{side}-{ink.split()[0]}-{seed}-{quality:g}-{decoder}.png")
        original = float(np.mean(rates[-1, "original"]))
        for quality in qualities:
            row = {decoder: float(np.mean(rates[quality, decoder])) for decoder in DECODERS}
            rows.append({"side": side, "quality": quality, "original": original} | row)
            click.echo(f"{side} px, -q {quality:g}: {row}", err=True)
    write_report(name, {"pages": count * len(INKS), "error_rates": rows}, out)


if __name__ == "__main__":
    main()

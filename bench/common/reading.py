"""What the program tesseract reads on pictures, and how far that is from what they say."""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections import Counter

import click
import numpy as np
from PIL import Image

from ltokc.spawn import find_program

ENLARGED, ENLARGED_LARGE = 3, 2  # times, before tesseract reads
LARGE = 400_000  # px, from which on the second counts
BLOCK, SPARSE = "6", "11"  # tesseract's modes for one block of text, and for words anywhere
WORD = re.compile(r"\w{2,}")


def read(image: Image.Image, mode: str) -> str:
    """What tesseract reads of a picture.  Raises UsageError where the program is not there."""
    program = find_program("tesseract")
    if program is None:
        raise click.UsageError("the program tesseract is not on the path")
    times = ENLARGED if image.width * image.height < LARGE else ENLARGED_LARGE
    big, out = (image.width * times, image.height * times), io.BytesIO()
    image.convert("RGB").resize(big, Image.Resampling.BICUBIC).save(out, "PNG", compress_level=1)
    done = subprocess.run([program, "-", "-", "--psm", mode], input=out.getvalue(), capture_output=True, check=True,
                          env=os.environ | {"OMP_THREAD_LIMIT": "1"})  # fmt: skip
    return done.stdout.decode("utf-8", "replace")


def edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = np.arange(len(other) + 1)
    codes, steps = np.array([ord(c) for c in other]), np.arange(len(other) + 1)
    for i, letter in enumerate(one, 1):
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (codes != ord(letter)))])
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def wrong_characters(image: Image.Image, text: str) -> int:
    """Edit distance of what is read from the text, spaces aside."""
    return edits("".join(read(image, BLOCK).split()), "".join(text.split()))


def words_of(image: Image.Image) -> Counter[str]:
    """The words that are read anywhere on a picture."""
    return Counter(WORD.findall(read(image, SPARSE)))


def lost_words(image: Image.Image, words: Counter[str]) -> int:
    """Words of the original (`words_of`) that are not read on a picture."""
    return (words - words_of(image)).total()

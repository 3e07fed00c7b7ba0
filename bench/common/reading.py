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

ENLARGED = (2, 3)  # times, before tesseract reads: two readings, since a single one is off by chance
LARGE = 400_000  # px, from which on the first enlargement alone is read
BLOCK, SPARSE = "6", "11"  # tesseract's modes for one block of text, and for words anywhere
WORD = re.compile(r"\w{2,}")


def readings(image: Image.Image, mode: str) -> list[str]:
    """What tesseract reads of a picture, by enlargement.  Raises UsageError where the program is not there."""
    program = find_program("tesseract")
    if program is None:
        raise click.UsageError("the program tesseract is not on the path")
    image, found = image.convert("RGB"), []
    for times in ENLARGED if image.width * image.height < LARGE else ENLARGED[:1]:
        out = io.BytesIO()
        image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC).save(
            out, "PNG", compress_level=1
        )
        done = subprocess.run([program, "-", "-", "--psm", mode], input=out.getvalue(), capture_output=True,
                              check=True, env=os.environ | {"OMP_THREAD_LIMIT": "1"})  # fmt: skip
        found.append(done.stdout.decode("utf-8", "replace"))
    return found


def edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = np.arange(len(other) + 1)
    codes, steps = np.array([ord(c) for c in other]), np.arange(len(other) + 1)
    for i, letter in enumerate(one, 1):
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (codes != ord(letter)))])
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def wrong_characters(image: Image.Image, text: str) -> float:
    """Edit distance of what is read from the text, spaces aside: mean of the readings."""
    text = "".join(text.split())
    return float(np.mean([edits("".join(each.split()), text) for each in readings(image, BLOCK)]))


def words_of(image: Image.Image) -> list[Counter[str]]:
    """The words that are read anywhere on a picture, by reading."""
    return [Counter(WORD.findall(each)) for each in readings(image, SPARSE)]


def lost_words(image: Image.Image, words: list[Counter[str]]) -> float:
    """Words of the original (`words_of`) that are not read on a picture: mean of the readings."""
    pairs = zip(words, words_of(image), strict=True)
    return float(np.mean([(wanted - found).total() for wanted, found in pairs]))

"""Is lettering legible, and for how many bytes?  Errors of tesseract, SSIMULACRA2 and PSNR beside AVIF and WebP.

    python -m bench sharp --images FOLDER --out sharp.json

Pictures are named KIND-NAME.png; `python -m bench rendered` makes some.  Where NAME.txt is beside one, what tesseract
reads is compared with it: `wrong` is the edit distance, spaces aside.  Else `lost` counts the words that are read on
the original and not on the decoded picture.  Beside every .ltk file: the best AVIF of at most its bytes (of half the
size where even the smallest is larger), the smallest AVIF that looks as good by SSIMULACRA2, and lossless WebP.  A run
that was stopped, or ended by `--most`, goes on.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options, reading
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, commit, model_name, write_report
from bench.common.resume import Unfinished
from bench.common.rival import Rival
from ltokc import codec
from ltokc.metrics.fidelity import psnr
from ltokc.metrics.ssimulacra2 import Reference

Row = dict[str, Any]


class Judge:
    """What is measured of decoded pictures of one original.

    text: what is on it, "" where that is not known.
    """

    def __init__(self, image: Image.Image, text: str, reference: Reference):
        self.image, self.text, self.reference = image, text, reference
        self._words = None if text else reading.words_of(image)

    def original(self) -> Row:
        """Characters and errors, or words, in the original."""
        if self._words is None:
            characters = len("".join(self.text.split()))
            return {"characters": characters, "wrong": reading.wrong_characters(self.image, self.text)}
        return {"words": self._words.total()}

    def measured(self, shown: Image.Image, size: int) -> Row:
        """A decoded picture of `size` bytes."""
        rgb, original = np.asarray(shown.convert("RGB")), np.asarray(self.image)
        row: Row = {"bytes": size, "ssimulacra2": round(self.reference.score(rgb), 2)}
        row["psnr"] = None if np.array_equal(rgb, original) else round(psnr(original, rgb), 2)
        if self._words is None:
            return row | {"wrong": reading.wrong_characters(shown, self.text)}
        return row | {"lost": reading.lost_words(shown, self._words)}


def compared(path: Path, qualities: tuple[float, ...]) -> list[Row]:
    """A picture at each quality, and its rivals."""
    image, known = load_rgb(path), path.with_suffix(".txt")
    reference = Reference(np.asarray(image))
    judge = Judge(image, known.read_text("utf-8") if known.exists() else "", reference)
    rival, lossless = Rival(image, reference), io.BytesIO()
    image.save(lossless, "WEBP", lossless=True, quality=100, method=6)
    rows, original = [], judge.original()
    for quality in qualities:
        data = codec.encode(image, quality)
        ours = judge.measured(codec.decode(data), len(data))
        shown, size, name = rival.of_size(len(data))
        rows.append({
            "name": path.stem, "quality": quality, "patches": round(codec.info(data).patches, 4), "ltokc": ours,
            name: judge.measured(shown, size), "avif as good": rival.as_good(ours["ssimulacra2"]),
            "webp lossless": len(lossless.getvalue()), "original": original,
        })  # fmt: skip
    return rows


@options.command()
@options.images(text="Pictures KIND-NAME.png; NAME.txt has the text of NAME.png.")
@options.qualities("0.4,0.6,0.8")
@click.option("--kind", "kinds", multiple=True, help="Only pictures whose names start so.")
@click.option("--most", type=click.IntRange(1), help="Pictures to measure before this run ends.")
@options.out(required=True)
def main(images: Path, qualities: tuple[float, ...], kinds: tuple[str, ...], most: int | None, out: Path) -> None:
    """Measure legibility and bytes of lettering, screens and drawings."""
    unfinished = Unfinished(out, {"commit": commit(), "changes": changes(), "qualities": qualities, "kinds": kinds})
    found = unfinished.resume()
    left_over = [path for path in pictures(images) if path.name.startswith(kinds or "")][len(found) :]
    for path in left_over[:most]:
        found.append(compared(path, qualities))
        unfinished.add(found[-1])
        for row in found[-1]:
            click.echo(str(row), err=True)
    if len(left_over[:most]) == len(left_over):
        write_report(model_name(None), {"rows": [row for rows in found for row in rows]}, out)
        unfinished.finish()


if __name__ == "__main__":
    main()

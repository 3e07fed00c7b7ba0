"""Can text be read at equal bytes, without patches?  Tesseract's errors, beside AVIF, WebP and an older encoder.

    git worktree add ../before 38dbfce
    python -m bench text-at-bytes --images FOLDER --before ../before --out text-at-bytes.json

Pictures with NAME.txt beside NAME.png (`python -m bench rendered` makes some) say what is on them: `wrong` is the edit
distance to it, spaces aside, and the error rate that over its characters, at most 1 a picture.  Of others, as
screenshots, `wrong` counts words that are read on the original alone, and the rate is over its words.  Each codec gives
its best file of at most so many bits per pixel; where AVIF or WebP have none, of half or a quarter of the size, or
their smallest.  A run that was stopped goes on.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options, reading
from bench.common.earlier import Earlier, commit_of
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, commit, model_name, write_report
from bench.common.resume import Unfinished
from ltokc import codec
from ltokc.compare.codecs import fit

Row = dict[str, Any]
RIVALS = ("avif", "webp")


class Reader:
    """Counts what of a picture's text is not read any more.

    text: what is on it, "" where that is not known.
    """

    def __init__(self, image: Image.Image, text: str):
        self.text = "".join(text.split())
        self.words = None if text else reading.words_of(image)
        self.of = len(self.text) if self.words is None else self.words.total()

    def wrong(self, shown: Image.Image) -> int:
        """Characters wrong, missing or too many, at most all; or words that are not read."""
        if self.words is not None:
            return reading.lost_words(shown, self.words)
        return min(self.of, reading.wrong_characters(shown, self.text))


def measured(path: Path, bpp: tuple[float, ...], before: Earlier | None) -> list[Row]:
    """One row of a picture for each rate: what every codec took, and what could not be read."""
    image, known = load_rgb(path), path.with_suffix(".txt")
    reader = Reader(image, known.read_text("utf-8") if known.exists() else "")
    about: Row = {"image": path.name, "unit": "words" if reader.words is not None else "characters", "of": reader.of}
    about["original"] = reader.wrong(image)
    rows = []
    for rate in bpp:
        row: Row = about | {"bpp": rate}
        data = codec.encode(image, target_bpp=rate, patches="off")
        row["ltokc"] = {"bytes": len(data), "wrong": reader.wrong(codec.decode(data))}
        if before:
            data, shown = before.coded(path, target_bpp=rate)
            row["before"] = {"bytes": len(data), "wrong": reader.wrong(shown)}
        for name in RIVALS:
            rival, found = fit(name, image, int(rate * image.width * image.height / 8))
            row[name] = {"bytes": len(found.data), "wrong": reader.wrong(rival.decode(found.data)), "as": rival.name}
        rows.append(row)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """Mean error rates over the pictures of a unit, at each rate, and how many pictures each codec read best."""
    out = []
    for unit, bpp in dict.fromkeys((row["unit"], row["bpp"]) for row in rows):
        group = [row for row in rows if (row["unit"], row["bpp"]) == (unit, bpp) and row["of"]]
        names = [name for name in ("ltokc", "before", *RIVALS) if name in group[0]] if group else []
        rates = {name: float(np.mean([row[name]["wrong"] / row["of"] for row in group])) for name in names}
        sizes = {name: round(float(np.mean([row[name]["bytes"] for row in group]))) for name in names}
        original = float(np.mean([row["original"] / row["of"] for row in group])) if group else None
        out.append({"unit": unit, "bpp": bpp, "pictures": len(group), "original": original, "error_rates": rates,
                    "bytes": sizes})  # fmt: skip
    return out


@options.command()
@options.images(text="Pictures; NAME.txt has the text of NAME.png.")
@click.option("--bpp", default="0.1,0.2,0.4", show_default=True, type=options.Numbers(), help="Bits per pixel.")
@click.option("--before", type=options.FOLDER, help="Checkout of an encoder that was before.")
@click.option("--kind", "kinds", multiple=True, help="Only pictures whose names have this in them.")
@options.out(required=True)
def main(images: Path, bpp: tuple[float, ...], before: Path | None, kinds: tuple[str, ...], out: Path) -> None:
    """Measure what of text can be read at equal bytes."""
    about = {"before": commit_of(before) if before else None, "kinds": kinds}
    unfinished = Unfinished(out, {"commit": commit(), "changes": changes(), "bpp": bpp} | about)
    found = unfinished.resume()
    paths = [path for path in pictures(images) if not kinds or any(kind in path.name for kind in kinds)]
    with Earlier(before) if before else nullcontext() as earlier:
        for path in paths[len(found) :]:
            found.append(measured(path, bpp, earlier))
            unfinished.add(found[-1])
            click.echo(str(found[-1]), err=True)
    rows = [row for each in found for row in each]
    write_report(model_name(None), about | {"summary": summary(rows), "rows": rows}, out)
    unfinished.finish()


if __name__ == "__main__":
    main()

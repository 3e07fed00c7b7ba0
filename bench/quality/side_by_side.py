"""One picture through every codec at equal bytes, side by side in a PNG, labelled with bytes and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from PIL import Image, ImageDraw, ImageFont

import ltokc
from bench.common import options
from bench.common.pictures import load_rgb
from ltokc.compare.codecs import fit
from ltokc.compare.scores import DIGITS, METRICS, SHORT, Lpips, Scorer
from ltokc.errors import UsageError
from ltokc.tokenizer.generative import GENERATIVE

MARGIN, LINE, LINES, FONT_SIZE = 8, 18, 2, 14
LEAST_PANEL_WIDTH = 330  # the labels must fit
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture and the lines of text under it."""

    image: Image.Image
    lines: tuple[str, ...]


def make_panels(
    image: Image.Image, names: list[str], limit: int, lpips: Lpips | None = None, generated: bool = False,
    **ltokc_options: Any,
) -> list[Panel]:  # fmt: skip
    """The original and each codec's best file of at most `limit` bytes; a codec that cannot go so low says so.

    generated: the file of ltokc also by the generative decoder.
    """
    scorer = Scorer(image, lpips)
    panels = [Panel(image, ("original", f"{image.width}x{image.height}, 24 bits per pixel"))]
    for name in names:
        codec, file = fit(name, image, limit, **ltokc_options)
        made = {"": codec.decode(file.data)}
        if generated and name == "ltokc":
            made[", generative"] = ltokc.decode(file.data, decoder=GENERATIVE).convert("RGB")
        for which, decoded in made.items():
            scores = scorer.score(decoded, len(file.data))
            quality = f", q {file.quality:g}" if file.quality >= 0 else ""
            excess = " (its smallest, over the limit)" if len(file.data) > limit else ""
            size = f"{len(file.data)} bytes, {scores['bpp']:.3f} bpp{excess}"
            panels.append(Panel(decoded, (f"{codec.label}{which}{quality}: {size}", caption(scores))))
    return panels


def caption(scores: dict[str, float | int | None]) -> str:
    """The metrics that are there, in one line."""
    there = ((metric, scores[metric]) for metric in METRICS)
    return "  ".join(f"{SHORT[metric]} {value:.{DIGITS[metric]}f}" for metric, value in there if value is not None)


def close_up(image: Image.Image, crop: Box | None, zoom: int) -> Image.Image:
    """The part x, y, width, height, every pixel enlarged `zoom` times to a square."""
    if crop:
        x, y, width, height = crop
        if min(x, y) < 0 or min(width, height) < 1 or x + width > image.width or y + height > image.height:
            raise UsageError(f"--crop {x},{y},{width},{height} does not lie in {image.width}x{image.height}")
        image = image.crop((x, y, x + width, y + height))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST) if zoom > 1 else image


def sheet(panels: list[Panel], columns: int) -> Image.Image:
    """All panels, equal in size, on one white picture, row by row."""
    columns = min(columns, len(panels))
    width, height = panels[0].image.size
    cell = (max(width, LEAST_PANEL_WIDTH) + MARGIN, height + LINE * LINES + MARGIN)
    out = Image.new("RGB", (cell[0] * columns + MARGIN, cell[1] * -(-len(panels) // columns) + MARGIN), "white")
    draw = ImageDraw.Draw(out)
    for index, panel in enumerate(panels):
        x, y = MARGIN + cell[0] * (index % columns), MARGIN + cell[1] * (index // columns)
        out.paste(panel.image, (x, y))
        for row, text in enumerate(panel.lines):
            size = FONT_SIZE
            while size > 8 and draw.textlength(text, ImageFont.load_default(size)) > cell[0] - MARGIN:
                size -= 1
            draw.text((x, y + height + LINE * row), text, "black", ImageFont.load_default(size))
    return out


def parse_crop(text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        x, y, width, height = (int(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"--crop {text}: expected x,y,width,height") from None
    return x, y, width, height


@options.command()
@options.image(text="Original.")
@click.option("--bytes", "limit", required=True, type=click.IntRange(1), help="Size that no file may exceed.")
@options.out(required=True, text="PNG to write.")
@options.codecs("ltokc,webp,avif,jpeg", "Codecs beside it, in order.")
@click.option("--crop", metavar="X,Y,W,H", help="Show only this part; the metrics stay those of the whole picture.")
@click.option("--zoom", default=1, show_default=True, type=click.IntRange(1, 16), help="Enlarge every pixel.")
@click.option("--columns", default=3, show_default=True, type=click.IntRange(1), help="Pictures in a row.")
@click.option("--generated", is_flag=True, help="Also as the generative decoder of ltokc draws it.")
@options.lpips()
@options.model()
def main(
    image: Path, limit: int, out: Path, codecs: str, crop: str | None, zoom: int, columns: int, generated: bool,
    lpips: Path | None, model: str | None,
) -> None:  # fmt: skip
    """Show a picture as every codec keeps it in the same number of bytes.

    A rival whose smallest file is too big is shown at half or quarter size, enlarged again.

    \b
    Examples:
      python -m bench side-by-side --image photo.png --bytes 2000 --out photo-2000.png
      python -m bench side-by-side --image photo.png --bytes 2000 --crop 300,100,128,128 --zoom 3 --out eye.png
    """
    box = parse_crop(crop)
    picture = load_rgb(image)
    close_up(picture, box, 1)
    given = {"encode_options": {"model": model} if model else {}}
    panels = make_panels(picture, codecs.split(","), limit, Lpips(lpips) if lpips else None, generated, **given)
    sheet([Panel(close_up(p.image, box, zoom), p.lines) for p in panels], columns).save(out, format="PNG")
    for panel in panels[1:]:
        click.echo("; ".join(panel.lines))


if __name__ == "__main__":
    main()

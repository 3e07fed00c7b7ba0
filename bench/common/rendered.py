"""Pages, screens and drawings for `sharp`, rendered into a folder by Pillow and Chromium.

    python -m bench rendered --photos PHOTOS --out FOLDER

Pages are lines of words and numbers in Pillow's own font: dark on light, light on dark, red on blue, 8 to 24 px; their
text is beside them as NAME.txt.  Screens are the web pages of bench/common/screens, some with photographs; drawings are
the SVG files of bench/common/drawings.
"""

from __future__ import annotations

import random
import re
import subprocess
import tempfile
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from bench.common import options
from bench.common.pictures import pictures
from ltokc.spawn import find_program

INKS = (("black", "white"), ("#e0e0e0", "#14181c"), ("red", "blue"), ("#205080", "#f4f0e0"))
FONT_SIZES = (8, 10, 12, 14, 16, 20, 24)
PAGE = (480, 320)
WORDS = ("sphinx", "quartz", "judge", "rate", "picture", "vow", "letters", "black", "cost", "token", "level", "cell")
SCREEN = (960, 640)
HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")


def page(number: int) -> tuple[str, Image.Image, str]:
    """Name, picture and text of a page of words and numbers by Pillow's own font."""
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
    return f"page-{number:02d}-{size}px-{ink}-on-{paper}".replace("#", ""), image, "\n".join(lines)


def shot(source: Path, out: Path, size: tuple[int, int]) -> None:
    """Writes a file as Chromium shows it in a window of this size.  Raises UsageError where there is no Chromium."""
    program = next(filter(None, map(find_program, BROWSERS)), None)
    if program is None:
        raise click.UsageError("no Chromium is on the path")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [program, *SWITCHES, f"--user-data-dir={profile}", "--window-size={},{}".format(*size),
             f"--screenshot={out.absolute()}", source.absolute().as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def size_of_drawing(svg: str) -> tuple[int, int]:
    """Width and height that the view box of an SVG file names."""
    found = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    if found is None:
        raise click.UsageError("a drawing has no view box that starts at 0 0")
    return int(found[1]), int(found[2])


@options.command()
@click.option("--pages", default=20, show_default=True, help="Pages of text.")
@click.option("--photos", type=options.FOLDER, required=True, help="Photographs for the web pages.")
@click.option("--out", type=options.NEW_FOLDER, required=True, help="Folder of the pictures to be drawn.")
def main(pages: int, photos: Path, out: Path) -> None:
    """Write pages, screens and drawings as PNG files."""
    out.mkdir(parents=True, exist_ok=True)
    for name, image, text in map(page, range(pages)):
        image.save(out / f"{name}.png")
        (out / f"{name}.txt").write_text(text, "utf-8")
    shown = iter(pictures(photos) * 2)
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((HERE / "screens").glob("*.html")):
            source, mixed = path.read_text("utf-8"), "photo-" in path.read_text("utf-8")
            for place in sorted(set(re.findall(r"photo-\d", source))):
                source = source.replace(f'"{place}"', f'"{next(shown).absolute().as_uri()}"')
            web = Path(folder, path.name)
            web.write_text(source, "utf-8")
            shot(web, out / f"{'mixed' if mixed else 'screen'}-{path.stem}.png", SCREEN)
    for path in sorted((HERE / "drawings").glob("*.svg")):
        shot(path, out / f"drawing-{path.stem}.png", size_of_drawing(path.read_text("utf-8")))


if __name__ == "__main__":
    main()

"""Which decoder do people prefer?  Sheets for a blind comparison, and the count of what was chosen.

    python -m bench blind-sheets make --images KODAK --rates 0.03,0.06,0.1,0.15 --out SHEETS
    python -m bench blind-sheets tally --key SHEETS/key.json ANSWERS ...

A sheet shows the original, named as such, and A, B and C: the faithful picture, the generative one and a rival at equal
bytes (its best file of at most as many, at half or quarter size where a whole one does not get so small), in an order
that only `key.json` tells.  An answer is a text file with a line a sheet, best first: `07 BAC`, `08 BA`.
"""

from __future__ import annotations

import json
import secrets
from itertools import combinations, cycle
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, rendered, write_report
from ltokc import codec
from ltokc.atomic import write_atomic
from ltokc.compare.codecs import fit
from ltokc.errors import UsageError
from ltokc.tokenizer.generative import DECODERS, GENERATIVE

LETTERS = "ABC"
MARGIN, LABEL = 8, 26  # px
KEY = "key.json"
Answers = dict[str, str]  # letters, best first, by number of a sheet


def sheet(panels: dict[str, Image.Image]) -> Image.Image:
    """Pictures of one size with their labels, two in a row."""
    width, height = next(iter(panels.values())).size
    across, down = width + MARGIN, height + LABEL + MARGIN
    out = Image.new("RGB", (2 * across + MARGIN, -(-len(panels) // 2) * down + MARGIN), "white")
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(20)
    for i, (label, image) in enumerate(panels.items()):
        x, y = MARGIN + across * (i % 2), MARGIN + down * (i // 2)
        draw.text((x, y), label, "black", font)
        out.paste(image, (x, y + LABEL))
    return out


def read_answers(path: Path, key: dict[str, Any]) -> Answers:
    """What a person chose.  Raises UsageError, naming the line, for what is no answer to a sheet of the key."""
    out: Answers = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        chosen = words[1].upper() if len(words) == 2 else ""
        known = words[0] in key and chosen and len(set(chosen)) == len(chosen) and set(chosen) <= set(LETTERS)
        if not known or words[0] in out:
            raise UsageError(f"{path.name}, line {number}: expected a sheet's number and letters such as '07 BAC'")
        out[words[0]] = chosen
    return out


def preferred(answer: str, letters: dict[str, str], one: str, two: str) -> bool:
    """Whether an answer has decoder `one` before `two`; who is not named comes after all that are."""
    place = {name: answer.find(letter) % (len(LETTERS) + 1) for letter, name in letters.items()}
    return place[one] < place[two]


def tally(key: dict[str, Any], answers: dict[str, Answers]) -> dict[str, Any]:
    """By person and rival: on how many sheets the generative picture was preferred, on which not; and agreement."""
    rivals = [name for name in next(iter(key.values()))["letters"].values() if name != GENERATIVE]
    votes = {
        person: {r: {s: preferred(a, key[s]["letters"], GENERATIVE, r) for s, a in given.items()} for r in rivals}
        for person, given in answers.items()
    }
    people: dict[str, Any] = {
        person: {
            r: {"sheets": len(v), "preferred": sum(v.values()), "not": [s for s, won in v.items() if not won]}
            for r, v in of.items()
        }
        for person, of in votes.items()
    }
    agreement = {}
    for one, two in combinations(answers, 2):
        both = sorted(set(answers[one]) & set(answers[two]))
        same = {r: [votes[one][r][s] == votes[two][r][s] for s in both] for r in rivals}
        best = [answers[one][s][0] == answers[two][s][0] for s in both]
        shares = {r: float(np.mean(v)) for r, v in same.items()} | {"best": float(np.mean(best))} if both else {}
        agreement[f"{one} and {two}"] = shares
    return {"people": people, "agreement": agreement}


@click.group(cls=options.Group)
def main() -> None:
    """Make sheets for a blind comparison of decoders, and count the answers."""


@main.command()
@options.images()
@click.option("--rates", default="0.03,0.06,0.1,0.15", show_default=True, type=options.Numbers(),
              help="Bits per pixel.")  # fmt: skip
@options.effort(1)
@options.limit()
@options.model()
@click.option("--rival", default="avif", show_default=True, help="The codec at equal bytes.")
@click.option("--out", type=options.NEW_FOLDER, required=True, help="Folder for the sheets and their key.")
def make(
    images: Path, rates: tuple[float, ...], effort: int, limit: int | None, model: str | None, rival: str, out: Path
) -> None:
    """Write a sheet for every picture, at the rates in turn, and key.json."""
    name = model_name(model)
    key: dict[str, Any] = {}
    out.mkdir(parents=True, exist_ok=True)
    for number, (path, rate) in enumerate(zip(pictures(images)[:limit], cycle(rates), strict=False), 1):
        original = load_rgb(path)
        data = codec.encode(original, target_bpp=rate, effort=effort, model=name, patches="off")
        made = {decoder: codec.decode(data, decoder=decoder).convert("RGB") for decoder in DECODERS}
        other, file = fit(rival, original, len(data))
        made[rival] = other.decode(file.data)
        order = list(made)
        secrets.SystemRandom().shuffle(order)
        letters = dict(zip(LETTERS, order, strict=True))
        panels = {f"{number:02d}: original": original} | {letter: made[which] for letter, which in letters.items()}
        sheet(panels).save(out / f"{number:02d}.png")
        sizes = {"bytes": len(data), "rival_bytes": len(file.data), "rival": other.label}
        bits = round(8 * len(data) / (original.width * original.height), 4)
        key[f"{number:02d}"] = {"picture": path.name, "bpp": bits} | sizes | {"letters": letters}
        click.echo(f"{number:02d}", err=True)
    write_report(name, {"sheets": key}, out / KEY)


@main.command("tally")
@click.option("--key", "key_file", type=options.FILE, required=True, help="key.json of the sheets.")
@click.argument("answers", nargs=-1, required=True, type=options.FILE)
@options.out()
def tally_command(key_file: Path, answers: tuple[Path, ...], out: Path | None) -> None:
    """Count how often the generative picture was preferred, a file of ANSWERS a person."""
    key = json.loads(key_file.read_text())["sheets"]
    text = rendered(tally(key, {path.stem: read_answers(path, key) for path in answers}))
    if out:
        write_atomic(out, text.encode())
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main()

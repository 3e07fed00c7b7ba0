"""Does a decoder's picture look like a photograph?  Generative against faithful decoder, and AVIF at equal bytes.

python -m bench realism --images KODAK --work FOLDER --out realism.json

For every quality the same .ltk files go through every decoder.  `judge`: distance of features by a network that is in
no loss (`bench.common.judge`), with the paired bootstrap.  Guard-rails: SSIMULACRA2, MS-SSIM and PSNR; energy of the
finest band against the original's; deviation in squares that are flat in the original; share of the residual that is
the seed's, and difference of 8x8 means between two seeds; share of the residual that is one fixed 16x16 pattern.
`constants`: pictures of one colour, whose deviation inside 16x16 squares should stay that of the faithful decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options, texture
from bench.common.judge import PATCH, Patches, open_judge, verdicts
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.compare.codecs import fit
from ltokc.compare.scores import Scorer

COLOURS = {"green": (60, 140, 70), "gray": (128, 128, 128), "sky": (110, 160, 215), "dark": (24, 22, 30)}
CONSTANT_SIZE = (256, 384)


def encoded(path: Path, quality: float, work: Path, how: dict[str, Any]) -> bytes:
    """The picture's .ltk file, which is kept as WORK/<quality>/<name>.ltk and taken from there if it is there."""
    place = work / f"{quality:g}" / f"{path.stem}.ltk"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(codec.encode(load_rgb(path), quality, **how))
    return place.read_bytes()


def decoders(data: bytes, original: Image.Image, detail: float, rival: str | None) -> Iterator[tuple[str, Image.Image]]:
    """(name, picture) by the faithful and the generative decoder, by that with another seed, and by a rival."""
    yield "faithful", codec.decode(data)
    for name, seed in (("generative", 0), ("other seed", 1)):
        yield name, codec.decode(data, decoder="generative", seed=seed, detail=detail)
    if rival:
        other, file = fit(rival, original, len(data))
        yield rival, other.decode(file.data)


def measured(found: dict[str, np.ndarray], original: np.ndarray) -> dict[str, dict[str, float]]:
    """Guard-rails of one picture, by decoder."""
    reference, out = Scorer(Image.fromarray(original)), {}
    for name, rgb in found.items():
        scores = reference.score(Image.fromarray(rgb), 0)
        row = {k: float(v) for k in ("ssimulacra2", "ms_ssim", "psnr") if (v := scores.get(k)) is not None}
        row["fine_energy"] = texture.fine_energy(rgb, original)
        if flat := texture.flat_deviation(rgb, original):
            row["flat_deviation"], row["flat_original"] = flat
        out[name] = row
    residual = found["generative"].astype(float) - found["faithful"]
    out["generative"] |= {
        "seed_share": texture.seed_share(found["generative"], found["other seed"], found["faithful"]),
        "seed_difference_8x8": texture.mean_difference(found["generative"], found["other seed"]),
        "fixed_pattern": texture.fixed_pattern(residual),
    }
    return out


def constants(quality: float, detail: float, how: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Pictures of one colour: deviation inside 16x16 squares by decoder, and the fixed pattern of what is drawn."""
    out = {}
    for name, colour in COLOURS.items():
        picture = np.broadcast_to(np.array(colour, np.uint8), (*CONSTANT_SIZE, 3))
        data = codec.encode(np.ascontiguousarray(picture), quality, **how)
        plain, drawn = (np.asarray(codec.decode(data, decoder=d, detail=detail)) for d in ("faithful", "generative"))
        deviations = [float(texture.squares(texture.luma(rgb)).std((1, 2)).mean()) for rgb in (plain, drawn)]
        pattern = texture.fixed_pattern(drawn.astype(float) - plain)
        shift = float(np.abs(drawn.astype(float).mean((0, 1)) - plain.mean((0, 1))).max())
        out[name] = {"faithful": deviations[0], "generative": deviations[1], "fixed_pattern": pattern, "shift": shift}
    return out


def means(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of every measure over the pictures that have it, by decoder."""
    out: dict[str, dict[str, float]] = {}
    for name in rows[0]:
        keys = list(dict.fromkeys(key for row in rows for key in row[name]))
        out[name] = {k: round(float(np.mean([row[name][k] for row in rows if k in row[name]])), 5) for k in keys}
    return out


@options.command()
@options.images()
@click.option("--work", type=options.NEW_FOLDER, required=True, help="Folder for the .ltk files.")
@click.option("--qualities", default="0.2,0.4,0.6", show_default=True, type=options.Numbers(), help="Values of -q.")
@click.option("--effort", default=1, show_default=True, help="Effort of the encoder.")
@options.model()
@click.option("--detail", default=1.0, show_default=True, help="Share of the drawn detail.")
@click.option("--rival", default=None, help="A codec at equal bytes, such as avif.")
@click.option("--draws", default=1000, show_default=True, help="Draws of the bootstrap.")
@options.out()
def main(
    images: Path, work: Path, qualities: tuple[float, ...], effort: int, model: str | None, detail: float,
    rival: str | None, draws: int, out: Path | None,
) -> None:  # fmt: skip
    """Measure realism and its guard-rails."""
    name = model_name(model)
    how = {"effort": effort, "model": name, "patches": "off"}
    judge = open_judge()
    paths = [p for p in pictures(images) if min(load_rgb(p).size) >= PATCH]
    report: dict[str, Any] = {"detail": detail, "pictures": len(paths)}
    for quality in qualities:
        rows: list[dict[str, dict[str, float]]] = []
        originals: list[Patches] = []
        decoded: dict[str, list[Patches]] = {}
        for path in paths:
            original = load_rgb(path)
            data = encoded(path, quality, work, how)
            found = {d: np.asarray(image) for d, image in decoders(data, original, detail, rival)}
            rows.append(measured(found, np.asarray(original)))
            originals.append(judge(np.asarray(original)))
            for d, rgb in found.items():
                decoded.setdefault(d, []).append(judge(rgb))
            click.echo(f"{quality:g} {path.name}", err=True)
        verdict = {d: asdict(v) for d, v in verdicts(originals, decoded, draws).items()}
        report[f"{quality:g}"] = {
            "judge": verdict, "means": means(rows), "constants": constants(quality, detail, how),
        }  # fmt: skip
    write_report(name, report, out)


if __name__ == "__main__":
    main()

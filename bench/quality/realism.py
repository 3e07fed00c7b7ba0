"""Does a decoder's picture look like a photograph?  Generative against faithful decoder, and AVIF at equal bytes.

python -m bench realism --images KODAK --work FOLDER --out realism.json

For every quality the same .ltk files go through every decoder.  `judge`: distance of features by a network that is in
no loss (`bench.common.judge`), with the paired bootstrap.  Guard-rails: SSIMULACRA2, MS-SSIM and PSNR; energy of the
finest band against the original's; deviation in squares that are flat in the original; share of the residual that is
the seed's, and difference of 8x8 means between two seeds; share of the residual that is one fixed 16x16 pattern.
`bytes`: of the file that the decoder reads.  A rival's is its best of at most as many bytes, at half or quarter size
where a whole one does not get so small.
`synthetic`: pictures of one colour, a slope and noise, whose deviation inside 16x16 squares should stay near the
original's.  A run that was stopped goes on at the next quality when the same command is given again.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options, texture
from bench.common.judge import PATCH, Patches, open_judge, verdicts
from bench.common.pictures import load_rgb, pictures
from bench.common.record import environment, model_name, write_report
from bench.common.resume import Unfinished
from ltokc import codec
from ltokc.compare.codecs import fit
from ltokc.compare.scores import Scorer

COLOURS = {"green": (60, 140, 70), "gray": (128, 128, 128), "sky": (110, 160, 215), "dark": (24, 22, 30)}
SYNTHETIC_SIZE = (256, 384)  # rows, columns
Found = dict[str, tuple[np.ndarray, int]]  # picture and bytes, by decoder


def encoded(path: Path, quality: float, work: Path, how: dict[str, Any]) -> bytes:
    """The picture's .ltk file, which is kept as WORK/<quality>/<name>.ltk and taken from there if it is there."""
    place = work / f"{quality:g}" / f"{path.stem}.ltk"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(codec.encode(load_rgb(path), quality, **how))
    return place.read_bytes()


def decoded(data: bytes, original: Image.Image, detail: float, rival: str | None) -> Found:
    """Pictures by the faithful and the generative decoder, by that with another seed, and by a rival: with bytes."""
    out = {"faithful": (np.asarray(codec.decode(data).convert("RGB")), len(data))}
    for name, seed in (("generative", 0), ("other seed", 1)):
        drawn = codec.decode(data, decoder="generative", seed=seed, detail=detail).convert("RGB")
        out[name] = np.asarray(drawn), len(data)
    if rival:
        other, file = fit(rival, original, len(data))
        out[rival] = np.asarray(other.decode(file.data)), len(file.data)
    return out


def measured(found: Found, original: np.ndarray) -> dict[str, dict[str, float]]:
    """Guard-rails of one picture, by decoder."""
    reference, out = Scorer(Image.fromarray(original)), {}
    for name, (rgb, size) in found.items():
        scores = reference.score(Image.fromarray(rgb), size)
        row = {"bytes": float(size)} | {
            k: float(v) for k in ("ssimulacra2", "ms_ssim", "psnr") if (v := scores.get(k)) is not None
        }
        row["fine_energy"] = texture.fine_energy(rgb, original)
        if flat := texture.flat_deviation(rgb, original):
            row["flat_deviation"], row["flat_original"] = flat
        out[name] = row
    plain, one, two = (found[name][0] for name in ("faithful", "generative", "other seed"))
    out["generative"] |= {
        "seed_share": texture.seed_share(one, two, plain),
        "seed_difference_8x8": texture.mean_difference(one, two),
        "fixed_pattern": texture.fixed_pattern(one.astype(float) - plain),
    }
    return out


def synthetic_pictures() -> dict[str, np.ndarray]:
    """One colour each, a slope of gray from left to right, and noise around gray: uint8 (256, 384, 3)."""
    rows, columns = SYNTHETIC_SIZE
    out = {name: np.broadcast_to(np.array(colour, np.uint8), (rows, columns, 3)) for name, colour in COLOURS.items()}
    slope = np.linspace(40, 215, columns).round().astype(np.uint8)
    out["slope"] = np.broadcast_to(slope[None, :, None], (rows, columns, 3))
    grain = np.random.default_rng(0).normal(128, 20, (rows, columns, 1))
    out["noise"] = np.broadcast_to(np.clip(grain.round(), 0, 255).astype(np.uint8), (rows, columns, 3))
    return {name: np.ascontiguousarray(picture) for name, picture in out.items()}


def synthetic(quality: float, detail: float, how: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By picture: deviation of luma inside 16x16 squares, fixed pattern of what is drawn, and its shift of the mean."""
    out = {}
    for name, picture in synthetic_pictures().items():
        data = codec.encode(picture, quality, **how)
        plain, drawn = (
            np.asarray(codec.decode(data, decoder=d, detail=detail).convert("RGB")) for d in ("faithful", "generative")
        )
        kinds = {"original": picture, "faithful": plain, "generative": drawn}
        row = {kind: float(texture.squares(texture.luma(rgb)).std((1, 2)).mean()) for kind, rgb in kinds.items()}
        row["fixed_pattern"] = texture.fixed_pattern(drawn.astype(float) - plain)
        row["shift"] = float(np.abs(drawn.astype(float).mean((0, 1)) - plain.mean((0, 1))).max())
        out[name] = row
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
@options.qualities("0.2,0.4,0.6")
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
    paths = [p for p in pictures(images) if min(load_rgb(p).size) >= PATCH]
    options_ = {"qualities": list(qualities), "detail": detail, "rival": rival, "pictures": [p.name for p in paths]}
    unfinished = Unfinished(out, environment(name) | how | options_) if out else None
    done = {key: row[key] for rows in (unfinished.resume() if unfinished else []) for row in rows for key in row}
    judge = open_judge()
    for quality in qualities:
        if f"{quality:g}" in done:
            continue
        rows: list[dict[str, dict[str, float]]] = []
        originals: list[Patches] = []
        patches: dict[str, list[Patches]] = {}
        for path in paths:
            original = load_rgb(path)
            found = decoded(encoded(path, quality, work, how), original, detail, rival)
            rows.append(measured(found, np.asarray(original)))
            originals.append(judge(np.asarray(original)))
            for decoder, (rgb, _) in found.items():
                patches.setdefault(decoder, []).append(judge(rgb))
            click.echo(f"{quality:g} {path.name}", err=True)
        verdict = {d: asdict(v) for d, v in verdicts(originals, patches, draws).items()}
        found_here = {"judge": verdict, "means": means(rows), "synthetic": synthetic(quality, detail, how)}
        done[f"{quality:g}"] = found_here
        if unfinished:
            unfinished.add([{f"{quality:g}": found_here}])
    report = {f"{quality:g}": done[f"{quality:g}"] for quality in qualities}
    write_report(name, {"detail": detail, "rival": rival, "pictures": len(paths)} | report, out)
    if unfinished:
        unfinished.finish()


if __name__ == "__main__":
    main()

"""How much of a picture is left when digits of its tokens are wrong: faithful and generative decoder.

    python -m bench robustness --images KODAK --out robustness.json

A share of the digits of every level is replaced by random ones, the same for all decoders, and the tokens are decoded.
Measured are SSIMULACRA2, MS-SSIM and PSNR, and the judge's distance to the originals (`bench.common.judge`).  A file
with a wrong byte is refused or cut, so that this is no damage that a file can have; it is what an editor of tokens, or
a model that predicts them, does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.judge import PATCH, Patches, open_judge, verdicts
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from ltokc import codec
from ltokc.compare.scores import Scorer
from ltokc.geometry import Box, Size
from ltokc.token_grid import Tokens
from ltokc.tokenizer.generative import DECODERS, sampling_of
from ltokc.zoo.model import Model, open_model

METRICS = ("ssimulacra2", "ms_ssim", "psnr")


def damaged(tokens: Tokens, share: float, rng: np.random.Generator) -> Tokens:
    """The same tokens with a share of the digits, of each level alike, replaced by uniformly random ones."""
    digits = []
    for level, grid, mask in zip(tokens.levels, tokens.digits, tokens.masks, strict=True):
        hit = (rng.random(grid.shape) < share) & mask[..., None]
        other = rng.integers(-level.half, level.half + 1, grid.shape).astype(np.int8)
        digits.append(np.where(hit, other, grid))
    return Tokens(tokens.levels, digits, tokens.masks, tokens.origin)


def picture_of(model: Model, tokens: Tokens, size: Size, decoder: str) -> np.ndarray:
    """What a decoder makes of tokens: uint8 (height, width, 3).  Seed 0."""
    out = np.zeros((size.height, size.width, 3), np.uint8)
    networks = model.networks(sampling=sampling_of(decoder))
    for left, top, part in networks.parts(tokens, size, Box(0, 0, size.width, size.height)):
        out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out


@options.command()
@options.images()
@options.quality(0.4)
@click.option("--shares", default="0,0.002,0.005,0.01,0.02,0.05", show_default=True, type=options.Numbers(),
              help="Shares of the digits that are changed.")  # fmt: skip
@options.effort(1)
@options.every()
@options.seed("Of what is changed.")
@options.model()
@options.out()
def main(
    images: Path, quality: float, shares: tuple[float, ...], effort: int, every: int, seed: int, model: str | None,
    out: Path | None,
) -> None:  # fmt: skip
    """Measure decoders on tokens of which some digits are wrong."""
    opened = open_model(model)
    judge = open_judge()
    originals: list[Patches] = []
    patches: dict[str, list[Patches]] = {}
    scores: dict[str, list[list[float]]] = {}
    paths = [p for p in pictures(images) if min(load_rgb(p).size) >= PATCH][::every]
    for number, path in enumerate(paths):
        original = load_rgb(path)
        tokens = codec.tokens(codec.encode(original, quality, effort=effort, model=opened.entry.id, patches="off"))
        scorer = Scorer(original)
        originals.append(judge(np.asarray(original)))
        for share in shares:
            changed = damaged(tokens, share, np.random.default_rng((seed, number)))
            for decoder in DECODERS:
                rgb = picture_of(opened, changed, Size(*original.size), decoder)
                found = scorer.score(Image.fromarray(rgb), 0)
                key = f"{decoder} {share:g}"
                scores.setdefault(key, []).append([float(found[metric] or 0) for metric in METRICS])
                patches.setdefault(key, []).append(judge(rgb))
        click.echo(path.name, err=True)
    distances = verdicts(originals, patches, draws=2)
    rows: list[dict[str, Any]] = []
    for key, values in scores.items():
        decoder, share_text = key.split()
        means = dict(zip(METRICS, (float(v) for v in np.mean(values, 0)), strict=True))
        verdict = distances[key]
        judged = {"distance": verdict.mean} | verdict.stages
        rows.append({"decoder": decoder, "share": float(share_text)} | means | judged)
    write_report(model_name(model), {"quality": quality, "pictures": len(paths), "rows": rows}, out)


if __name__ == "__main__":
    main()

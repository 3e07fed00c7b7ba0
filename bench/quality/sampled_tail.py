"""Tokens that were not sent, drawn from the prior: does a picture of few tokens look more like a photograph?

    python -m bench sampled-tail --images KODAK --out sampled-tail.json

Pictures are cut to their first levels.  What is missing is left to the decoder (`fill`), or drawn level by level from
the integer prior given what is there, at a temperature and down to a stride, finer levels left to the decoder.  The
judge (`bench.common.judge`) compares every way with the originals, through both decoders.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from bench.common import options
from bench.common.judge import PATCH, Patches, open_judge, verdicts
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from bench.quality.robustness import picture_of
from ltokc import codec
from ltokc.entropy.prior import Prior
from ltokc.geometry import Size
from ltokc.token_grid import Tokens
from ltokc.tokenizer.generative import DECODERS
from ltokc.zoo.model import open_model

FILL = "fill"


def first_levels(tokens: Tokens, count: int) -> Tokens:
    """The tokens of the first levels."""
    return tokens.only([mask & (k < count) for k, mask in enumerate(tokens.masks)])


def with_drawn_tail(prior: Prior, tokens: Tokens, stride: int, temperature: float, seed: int) -> Tokens:
    """Tokens with every position down to a stride filled: those that are missing are drawn from the prior.

    The counts of the prior to the power 1 / temperature are the probabilities.  Tokens of finer strides stay missing.
    """
    rng = np.random.default_rng(seed)
    digits = [grid.copy() for grid in tokens.digits]
    masks = [mask.copy() for mask in tokens.masks]
    state = prior.state(*tokens.grid)
    for level, grid, mask, held in zip(tokens.levels, digits, masks, tokens.masks, strict=True):
        if level.stride < stride:
            break
        state.enter()
        flat, known = grid.reshape(-1, level.digits), held.ravel()
        mask[:] = True
        for positions, counts in state.passes(grid, mask):
            weights = np.cumsum((counts / counts.sum(1, keepdims=True)) ** (1 / temperature), 1)
            symbols = (rng.random((len(counts), 1)) * weights[:, -1:] > weights).sum(1)
            drawn = symbols.reshape(-1, level.digits) - level.half
            missing = ~known[positions]
            flat[positions[missing]] = drawn[missing]
        state.absorb(grid, mask)
    return Tokens(tokens.levels, digits, masks, tokens.origin)


@options.command()
@options.images()
@click.option("--levels", default="1,2,3,4", show_default=True, type=options.Numbers(int), help="Levels that are kept.")
@click.option("--temperatures", default="0.7,1", show_default=True, type=options.Numbers(), help="Of the drawing.")
@click.option("--strides", default="16", show_default=True, type=options.Numbers(int), help="Finest ones drawn.")
@options.every()
@options.seed("Of the drawing.")
@options.model()
@click.option("--pictures", "written", type=options.NEW_FOLDER, help="Folder for the decoded pictures.")
@options.out()
def main(
    images: Path, levels: tuple[int, ...], temperatures: tuple[float, ...], strides: tuple[int, ...], every: int,
    seed: int, model: str | None, written: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure pictures of few tokens with the missing ones drawn from the prior."""
    opened, judge = open_model(model), open_judge()
    ways = {FILL: None} | {f"{stride}, T {t:g}": (stride, t) for stride in strides for t in temperatures}
    originals: list[Patches] = []
    patches: dict[int, dict[str, list[Patches]]] = {count: {} for count in levels}
    paths = [p for p in pictures(images) if min(load_rgb(p).size) >= PATCH][::every]
    for number, path in enumerate(paths):
        original = load_rgb(path)
        whole = codec.tokens(codec.encode(original, 0.6, effort=0, model=opened.entry.id))
        originals.append(judge(np.asarray(original)))
        for count in levels:
            cut = first_levels(whole, count)
            for way, how in ways.items():
                tokens = cut if how is None else with_drawn_tail(opened.prior, cut, *how, seed + number)
                for decoder in DECODERS:
                    rgb = picture_of(opened, tokens, Size(*original.size), decoder)
                    patches[count].setdefault(f"{decoder}, {way}", []).append(judge(rgb))
                    if written:
                        written.mkdir(parents=True, exist_ok=True)
                        name = f"{path.stem}-{count}-{decoder}-{way.replace(', ', '-').replace(' ', '')}.png"
                        Image.fromarray(rgb).save(written / name)
        click.echo(path.name, err=True)
    rows = []
    for count in levels:
        for key, verdict in verdicts(originals, patches[count]).items():
            decoder, _, way = key.partition(", ")
            base = {"levels": count, "decoder": decoder, "tail": way, "distance": verdict.mean}
            rows.append(base | verdict.stages | {"change": verdict.change, "interval": list(verdict.interval)})
    write_report(model_name(model), {"pictures": len(paths), "rows": rows}, out)


if __name__ == "__main__":
    main()

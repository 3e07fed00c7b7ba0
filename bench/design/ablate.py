"""One choice of the design against another: small networks that differ in it alone, trained alike and then compared.

    python -m bench ablate train NAME ... --shards SHARDS --lpips LPIPS --cache CACHE --images KODAK --runs RUNS
    python -m bench ablate table --runs RUNS --out ablations.json

Every network has the ladder's shape with half its channels and sees the same number of crops ("samples"), drawn alike.
Rate is what the network's own prior says; measured are the middles of every `--every`th picture.  BD-rates are against
`base` picture by picture, then averaged.  Small networks after few crops rank choices that help early; what helps late
they cannot show.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F

from bench.common import options
from bench.common.pictures import load_rgb, middle, pictures
from bench.common.record import write_report
from bench.design.ablation_variants import BASE, VARIANTS, trainer_of
from bench.design.latents_1d import Latents
from bench.quality.bd_rate import bd_rate
from ltokc.losses.lpips import LPIPS
from ltokc.metrics.fidelity import ms_ssim, psnr
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.tokenizer.nn.ladder import Ladder, sent_mask
from ltokc.train.data.pictures import Pictures

KEEPS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 11.0)
METRICS = ("ssimulacra2", "ms_ssim", "psnr", "lpips")
TILE = 128
SIDES = (384, 512)  # height and width of what is measured of a picture, multiples of TILE


def coded(net: Ladder | Latents, x: torch.Tensor, keep: float) -> tuple[torch.Tensor, float]:
    """The decoded pictures and the bits of all when every cell keeps so many levels."""
    cells = torch.full((len(x), 1, x.shape[2] // 64, x.shape[3] // 64), keep)
    if isinstance(net, Latents):
        shown, bits = net.coded(x, cells)
        return shown, float(bits.sum())
    masks = [sent_mask(cells, k, level.stride) for k, level in enumerate(net.config.levels)]
    digits = net.tokenize(x, masks)
    return net.detokenize(digits, masks), float(net.bits(digits, net.prior(digits, masks), masks).sum())


@torch.no_grad()
def curve(net: Ladder | Latents, rgb: np.ndarray, lpips: LPIPS, tiles: bool) -> list[list[float]]:
    """Rows of bpp and the metrics, one for each length; rgb: (H, W, 3) uint8 of multiples of 128."""
    height, width = rgb.shape[:2]
    whole = torch.tensor(rgb).permute(2, 0, 1)[None].float().div(127.5).sub(1)
    reference, rows = Reference(rgb), []
    for keep in KEEPS:
        keep *= len(net.config.levels) / KEEPS[-1]
        x = whole
        if tiles:
            x = F.unfold(whole, TILE, stride=TILE)[0].T.reshape(-1, 3, TILE, TILE)
        shown, bits = coded(net, x, keep)
        if tiles:
            shown = F.fold(shown.reshape(len(x), -1).T[None], (height, width), TILE, stride=TILE)
        eight = ((shown + 1) * 127.5).round().clamp(0, 255)
        near = lpips(eight / 127.5 - 1, whole).item()
        out = eight[0].permute(1, 2, 0).numpy().astype(np.uint8)
        rows.append([bits / height / width, reference.score(out), ms_ssim(rgb, out), psnr(rgb, out), near])
    return rows


def whole_tiles(rgb: np.ndarray) -> np.ndarray:
    """The middle of a picture in whole tiles: 512x384 pixels, or 384x512 of one that stands."""
    return middle(rgb, *(SIDES if rgb.shape[1] >= rgb.shape[0] else SIDES[::-1]))


@click.group(cls=options.Group)
def main() -> None:
    """Train small networks that differ in one choice, and compare them."""


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(list(VARIANTS)), required=True)
@options.shards()
@options.lpips(required=True)
@options.cache()
@options.images(text="Folder of pictures to measure on.")
@options.every(2)
@click.option("--steps", default=BASE.steps, show_default=True, help="Steps of 16 crops.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
@click.option("--runs", type=options.NEW_FOLDER, required=True, help="Folder for runs and their curves.")
def train(
    names: tuple[str, ...], shards: Path, lpips: Path, cache: Path, images: Path, every: int, steps: int,
    threads: int, runs: Path,
) -> None:  # fmt: skip
    """Train variants, and write their curves to RUNS/NAME.json."""
    torch.set_num_threads(threads)
    found = Pictures(sorted(shards.glob("*.tar")), cache, BASE.held_out)
    for name in names:
        variant = VARIANTS[name]
        trainer = trainer_of(variant, steps, lpips)
        folder = runs / name.removesuffix("-tiles")
        trainer.resume(folder)
        trainer.run(found, folder)
        net = trainer.ema.eval()
        judge = LPIPS(lpips)
        chosen = list(pictures(images))[::every]
        rows = {p.name: curve(net, whole_tiles(np.asarray(load_rgb(p))), judge, variant.tiles) for p in chosen}
        report = {
            "variant": name, "what": variant.what, "samples": trainer.samples,
            "crop": trainer.recipe.crop, "seconds": round(trainer.seconds), "tiles": variant.tiles,
            "parameters": sum(p.numel() for p in net.parameters()), "rows": rows,
        }  # fmt: skip
        write_report(None, report, runs / f"{name}.json")
        click.echo(f"{name}: {trainer.samples} crops in {trainer.seconds / 60:.1f} minutes")


def against(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Mean over pictures of the BD-rates of every metric, with the number of pictures that have one."""
    out: dict[str, Any] = {}
    for j, metric in enumerate(METRICS, 1):
        rates = [
            found.rate
            for name, rows in other["rows"].items()
            if (found := bd_rate(
                [[(r[0], r[j]) for r in base["rows"][name]]], [(r[0], r[j]) for r in rows], metric == "lpips"
            ))
        ]  # fmt: skip
        out[metric] = {"rate": float(np.mean(rates)) if rates else None, "pictures": len(rates)}
    return out


@main.command()
@click.option("--runs", type=options.FOLDER, required=True, help="Folder of the curves.")
@options.out()
def table(runs: Path, out: Path | None) -> None:
    """Compare all curves of RUNS with `base` (those in tiles with `base-tiles`)."""
    read = {path.stem: json.loads(path.read_text()) for path in sorted(runs.glob("*.json"))}
    rows = []
    for name, run in read.items():
        base = read["base-tiles" if run["tiles"] else "base"]
        means = np.mean(list(run["rows"].values()), 0)
        fields = {k: run[k] for k in ("what", "samples", "crop", "seconds", "parameters")}
        row = {"variant": name, **fields, "against_base": against(base, run), "mean": means.round(5).tolist()}
        rows.append(row)
        rates = (v["rate"] for v in row["against_base"].values())
        click.echo(f"{name:14s}" + "".join("        -" if r is None else f"{100 * r:+9.1f}" for r in rates), err=True)
    write_report(None, {"keeps": KEEPS, "columns": ["bpp", *METRICS], "variants": rows}, out)


if __name__ == "__main__":
    main()

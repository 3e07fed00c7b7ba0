"""What halting keeps of its promises: calibration, its worth, its order, its monotony and its time.

    python -m bench halting --images KODAK [--shards SHARDS --cache CACHE] --out halting.json

Every picture is tokenized once; then for each quality and effort the file that `ltokc encode` would write is made,
decoded and compared.  Curves of the same depth for all cells, after every half level, are what it is measured against;
between these bytes and errors are interpolated as logarithms.  `error` is SSIMULACRA2's sum (ltokc.metrics.by_cell).
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.common import options
from bench.common.held_out import held_out
from bench.common.pictures import load_rgb, pictures
from bench.common.record import write_report
from bench.quality.halting_summary import STEP, TARGETS, calibration, monotone, worth_of_cells, worth_of_pictures
from ltokc.container import Header, Ltk
from ltokc.geometry import Size
from ltokc.metrics.fidelity import ms_ssim
from ltokc.metrics.ssimulacra2 import points
from ltokc.rate.control import choose_plan, measure_curves, predict_curves
from ltokc.rate.curves import RDCurves
from ltokc.rate.effort import EFFORTS
from ltokc.rate.plan import Plan, uniform
from ltokc.rate.size import counts_of, writer_of
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import TokenizedPicture, tokenized
from ltokc.zoo.model import Model, open_model

Array = np.ndarray[Any, Any]


class Bench:
    """One picture, tokenized, by a told tokenizer for every plan: `show(plan)` gives bytes and what a decoder shows."""

    def __init__(self, model: Model, rgb: Array):
        self.model, self.rgb = model, rgb
        self.picture = self.tokenized(0.6)
        self.ltk = Ltk(Header(model.entry.id, model.entry.bitstream_hash, *self.picture.size), ())

    def tokenized(self, quality: float) -> TokenizedPicture:
        return tokenized(self.model, self.model.networks(), self.rgb, EFFORTS[0], RateTarget(quality=quality))

    def plan(self, quality: float, effort: int) -> tuple[Plan, TokenizedPicture]:
        """The plan, and the picture with the digits that are written for it."""
        target, level = RateTarget(quality=quality), EFFORTS[effort]
        picture = self.tokenized(quality) if self.model.told else self.picture
        plan = choose_plan(picture, target, level, predict_curves(picture, target, level))
        return plan, self.told(plan, picture) if level.measures else picture

    def told(self, plan: Plan, picture: TokenizedPicture | None = None) -> TokenizedPicture:
        picture = picture or self.picture
        return picture.told(plan) if self.model.told else picture

    def show(self, plan: Plan, picture: TokenizedPicture) -> dict[str, Any]:
        file = writer_of(picture, plan, self.ltk)
        counts = counts_of(file, plan)
        data = file.write(self.ltk, counts)
        found = picture.measure(plan)
        return {"bytes": len(data), "tokens": counts[0], "error": found.error(), "points": points(found.error())}


def measure(model: Model, rgb: Array, efforts: tuple[int, ...], steps: Array) -> dict[str, Any]:
    """Curve of whole levels, and for each effort and quality what the plan shows."""
    bench = Bench(model, rgb)
    shape = tuple(Size.of(rgb).grid)
    curve = []
    for keep in np.arange(1, len(model.levels) + STEP / 2, STEP):
        plan = uniform(float(keep), shape)
        picture = bench.told(plan)
        curve.append(bench.show(plan, picture) | {"ms_ssim": _similarity(bench, plan, picture)})
    rows = []
    for effort in efforts:
        for quality in np.unique(np.round(np.concatenate([steps, TARGETS]), 4)):
            plan, picture = bench.plan(float(quality), effort)
            row = {"effort": effort, "q": float(quality)} | bench.show(plan, picture)
            if quality in TARGETS:
                row |= {"ms_ssim": _similarity(bench, plan, picture), "mixed": plan.keep is None}
                row["cells"] = _cells(bench, plan, effort, picture)
            rows.append(row)
    return {"pixels": rgb.shape[0] * rgb.shape[1], "curve": curve, "rows": rows}


def _similarity(bench: Bench, plan: Plan, picture: TokenizedPicture) -> float:
    kept = picture.tokens.only(plan.masks(bench.model.levels))
    shown = picture.networks.detokenize(kept, picture.size)
    return float(ms_ssim(bench.rgb, shown))


def _cells(bench: Bench, plan: Plan, effort: int, picture: TokenizedPicture) -> dict[str, float]:
    """Share of the cells whose distortion is over the expected one by more than 10 and 50 %."""
    head = bench.model.halting
    assert head is not None
    curves = RDCurves(*head.predict(picture.tokens.digits, bench.rgb))
    if effort:
        keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
        curves = measure_curves(picture, curves, EFFORTS[effort], lambda _: keep)
    expected = np.take_along_axis(curves.distortion, plan.depths[None] - 1, 0)[0]
    ratio = picture.measure(plan).distortion(head.sensitivity) / expected
    return {"over_10": float((ratio > 1.1).mean()), "over_50": float((ratio > 1.5).mean())}


def _short(each: dict[str, Any]) -> dict[str, Any]:
    """A picture's rows as one line for each effort: q, bytes, points."""
    out: dict[str, Any] = {}
    for row in each["rows"]:
        line = f"{row['q']:g}: {row['bytes']} bytes, {row['points']:.1f}"
        out.setdefault(f"effort {row['effort']}", []).append(line)
    return {effort: "; ".join(lines) for effort, lines in out.items()}


def time_of(model: Model, rgb: Array, repeats: int) -> dict[str, float]:
    """Encoding at efforts 0 and 1 against one depth from the model's table, alternating: ratios of medians."""
    without = Model(model.entry, model.folder)
    without.__dict__["halting"] = None
    seconds: dict[str, list[float]] = {"without": [], "0": [], "1": []}
    plan, _ = Bench(model, rgb).plan(0.6, 0)
    assert plan.keep is not None
    for i in range(repeats + 1):
        for name in seconds:
            start = time.perf_counter()
            bench = Bench(without if name == "without" else model, rgb)
            chosen, picture = uniform(plan.keep, plan.depths.shape), bench.picture
            if name != "without":
                chosen, picture = bench.plan(0.6, int(name))
            file = writer_of(picture, chosen, bench.ltk)
            file.write(bench.ltk, counts_of(file, chosen))
            if i:
                seconds[name].append(time.perf_counter() - start)
    base = float(np.median(seconds["without"]))
    ratios = {f"ratio_effort_{effort}": float(np.median(seconds[effort])) / base for effort in ("0", "1")}
    return {"seconds_without": base} | ratios


def ordered(model: Model, named: Iterator[tuple[str, Array]], efforts: tuple[int, ...]) -> dict[str, Any]:
    """Tokens per megapixel at -q 0.6 against bytes of WebP (quality 75) per megapixel, and their rank correlation."""
    rows = []
    for name, rgb in named:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "WEBP", quality=75)
        mega, bench = rgb.shape[0] * rgb.shape[1] / 1e6, Bench(model, rgb)
        tokens = {str(e): bench.show(*bench.plan(0.6, e))["tokens"] / mega for e in efforts}
        rows.append({"picture": name, "webp": buffer.tell() / mega, "tokens": tokens})
    ranks = {e: spearman([r["webp"] for r in rows], [r["tokens"][e] for r in rows]) for e in rows[0]["tokens"]}
    return {"spearman": ranks, "pictures": sorted(rows, key=lambda r: r["webp"])}


def spearman(a: list[float], b: list[float]) -> float:
    ranks = [np.array([np.mean(np.flatnonzero(np.sort(v) == x)) for x in v]) for v in (np.array(a), np.array(b))]
    return float(np.corrcoef(ranks)[0, 1])


def made_up() -> Iterator[tuple[str, Array]]:
    """A gray field, a smooth slope, a page of text, noise: (512, 512, 3) uint8."""
    rng = np.random.default_rng(0)
    yield "gray field", np.full((512, 512, 3), 128, np.uint8)
    slope = np.linspace(60, 200, 512)[:, None, None] * np.ones((1, 512, 3))
    yield "slope", slope.astype(np.uint8)
    page = Image.new("RGB", (512, 512), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    words = ("quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "boxing", "wizards", "watch", "it")
    for y in range(8, 500, 22):
        draw.text((10, y), " ".join(rng.choice(words, 9)), fill="black", font=font)
    yield "page of text", np.asarray(page)
    yield "noise", rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)


@options.command()
@options.images()
@options.shards(required=False, text="Use held-out pictures of these shards too.")
@options.cache(required=False)
@options.held_out()
@options.count(50, "How many of these to use.")
@options.efforts("0,1")
@options.repeats(7)
@options.model()
@options.out()
def main(
    images: Path, shards: Path | None, cache: Path | None, kept: int, count: int, efforts: tuple[int, ...],
    repeats: int, model: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure calibration, worth, order, monotony and time of halting."""
    opened = open_model(model)
    assert opened.halting is not None
    sets = {images.name: {path.stem: np.asarray(load_rgb(path)) for path in pictures(images)}}
    if shards and cache:
        sets["held-out"] = held_out(shards, cache, kept, count)
    report: dict[str, Any] = {"looks": opened.entry.looks, "sets": {}}
    for i, (title, members) in enumerate(sets.items()):
        found = {}
        for name, rgb in members.items():
            found[name] = measure(opened, rgb, efforts, np.array([]) if i else np.arange(21) / 20)
            click.echo(f"{title}: {name}", err=True)
        report["sets"][title] = {
            f"effort {effort}": {
                "calibration": calibration(found, opened.entry.looks, effort),
                "per_picture": worth_of_pictures(found, effort), "per_cell": worth_of_cells(found, effort),
            } | ({} if i else {"monotone": monotone(found, effort)})
            for effort in efforts
        }  # fmt: skip
        report["sets"][title]["pictures"] = {name: _short(each) for name, each in found.items()}
    first = sets[images.name]
    report["time"] = time_of(opened, next(iter(first.values())), repeats)
    report["order"] = ordered(opened, iter([*made_up(), *first.items()]), efforts)
    write_report(opened.entry.name, report, out)


if __name__ == "__main__":
    main()

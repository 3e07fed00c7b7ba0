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

from bench.common.held_out import held_out
from bench.common.record import environment, write_report
from bench.quality.rate_distortion import load_rgb, pictures
from ltokc.container import Ltk
from ltokc.geometry import Size
from ltokc.metrics.fidelity import ms_ssim
from ltokc.metrics.ssimulacra2 import points
from ltokc.rate.control import choose_plan, measure_curves, predict_curves
from ltokc.rate.curves import RDCurves
from ltokc.rate.effort import EFFORTS
from ltokc.rate.plan import Plan, error_of_quality, uniform
from ltokc.rate.size import counts_of, writer_of
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import tokenized
from ltokc.zoo.model import Model, open_model

TARGETS = (0.2, 0.35, 0.5, 0.6, 0.8)
STEP = 0.5  # levels between points of a curve
MISS = 0.1  # of the distance to 100 points
Array = np.ndarray[Any, Any]


class Bench:
    """One picture, tokenized: `show(plan)` gives bytes and what a decoder shows."""

    def __init__(self, model: Model, rgb: Array):
        self.model, self.rgb = model, rgb
        self.picture = tokenized(model, model.networks(), rgb, EFFORTS[0])
        self.ltk = Ltk(model.entry.id, model.entry.bitstream_hash, *self.picture.size, ())

    def plan(self, quality: float, effort: int) -> Plan:
        target, level = RateTarget(quality=quality), EFFORTS[effort]
        return choose_plan(self.picture, target, level, predict_curves(self.picture, target, level))

    def show(self, plan: Plan) -> dict[str, Any]:
        file = writer_of(self.picture, plan, self.ltk)
        counts = counts_of(file, plan)
        data = file.write(self.ltk, counts)
        found = self.picture.measure(plan)
        return {"bytes": len(data), "tokens": counts[0], "error": found.error(), "points": points(found.error())}


def measure(model: Model, rgb: Array, efforts: tuple[int, ...], steps: Array) -> dict[str, Any]:
    """Curve of whole levels, and for each effort and quality what the plan shows."""
    bench = Bench(model, rgb)
    shape = tuple(Size.of(rgb).grid)
    curve = []
    for keep in np.arange(1, len(model.levels) + STEP / 2, STEP):
        plan = uniform(float(keep), shape)
        curve.append(bench.show(plan) | {"ms_ssim": _similarity(bench, plan)})
    rows = []
    for effort in efforts:
        for quality in np.unique(np.round(np.concatenate([steps, TARGETS]), 4)):
            plan = bench.plan(float(quality), effort)
            row = {"effort": effort, "q": float(quality)} | bench.show(plan)
            if quality in TARGETS:
                row |= {"ms_ssim": _similarity(bench, plan), "mixed": plan.keep is None}
                row["cells"] = _cells(bench, plan, effort)
            rows.append(row)
    return {"pixels": rgb.shape[0] * rgb.shape[1], "curve": curve, "rows": rows}


def _similarity(bench: Bench, plan: Plan) -> float:
    picture = bench.picture
    kept = picture.tokens.only(plan.masks(bench.model.levels))
    shown = picture.networks.detokenize(kept, picture.size)
    return float(ms_ssim(bench.rgb, shown))


def _cells(bench: Bench, plan: Plan, effort: int) -> dict[str, float]:
    """Share of the cells whose distortion is over the expected one by more than 10 and 50 %."""
    head = bench.model.halting
    assert head is not None
    curves = RDCurves(*head.predict(bench.picture.tokens.digits, bench.rgb))
    if effort:
        keep = plan.keep if plan.keep is not None else float(plan.depths.mean())
        curves = measure_curves(bench.picture, curves, EFFORTS[effort], lambda _: keep)
    expected = np.take_along_axis(curves.distortion, plan.depths[None] - 1, 0)[0]
    ratio = bench.picture.measure(plan).distortion(head.sensitivity) / expected
    return {"over_10": float((ratio > 1.1).mean()), "over_50": float((ratio > 1.5).mean())}


def _short(each: dict[str, Any]) -> dict[str, Any]:
    """A picture's rows as one line for each effort: q, bytes, points."""
    out: dict[str, Any] = {}
    for row in each["rows"]:
        line = f"{row['q']:g}: {row['bytes']} bytes, {row['points']:.1f}"
        out.setdefault(f"effort {row['effort']}", []).append(line)
    return {effort: "; ".join(lines) for effort, lines in out.items()}


# -- summaries -------------------------------------------------------------------------------------------------------
def at_equal(curve: list[dict[str, Any]], name: str, value: float) -> float:
    """Bytes of the same depth for all at a value of `error` (falling) or `ms_ssim` (rising)."""
    values = np.array([row[name] for row in curve])
    rising = np.maximum.accumulate(-np.log(values) if name == "error" else values)
    return float(np.exp(np.interp(-np.log(value) if name == "error" else value, rising, np.log(_sizes(curve)))))


def _between(curve: list[dict[str, Any]], place: float, name: str) -> float:
    """`bytes` or `error` at a place of the curve, a fraction for a place between two."""
    return float(np.exp(np.interp(place, range(len(curve)), np.log([row[name] for row in curve]))))


def _sizes(curve: list[dict[str, Any]]) -> Array:
    return np.array([row["bytes"] for row in curve], float)


def calibration(found: dict[str, Any], table: Any, effort: int) -> list[dict[str, float]]:
    """Of each target: share of pictures whose distance to 100 points is over the wanted one by a tenth, by how much."""
    out = []
    for quality in TARGETS:
        wanted = error_of_quality(quality, table)
        rows = [(each, _row(each, effort, quality)) for each in found.values()]
        bound = [r for each, r in rows if each["curve"][-1]["error"] < wanted]  # all levels are enough
        over = np.array([(100 - r["points"]) / (100 - points(wanted)) - 1 for r in bound])
        out.append(
            {
                "q": quality, "wanted": points(wanted), "mean": float(np.mean([r["points"] for r in bound])),
                "pictures": len(bound), "out_of_reach": len(rows) - len(bound), "miss": float((over > MISS).mean()),
                "worst": float(over.max()), "cells_over_10": float(np.mean([r["cells"]["over_10"] for r in bound])),
                "cells_over_50": float(np.mean([r["cells"]["over_50"] for r in bound])),
            }
        )  # fmt: skip
    return out


def _row(each: dict[str, Any], effort: int, quality: float) -> dict[str, Any]:
    return next(r for r in each["rows"] if r["effort"] == effort and abs(r["q"] - quality) < 1e-6)


def worth_of_pictures(found: dict[str, Any], effort: int) -> list[dict[str, float]]:
    """A depth for each picture against the same for all, at the same bytes in all: points, spread and worst tenth."""
    out = []
    for quality in TARGETS:
        rows = [_row(each, effort, quality) for each in found.values()]
        total, low, high = sum(r["bytes"] for r in rows), 0.0, float(len(next(iter(found.values()))["curve"]) - 1)
        for _ in range(40):
            middle = (low + high) / 2
            size = sum(_between(e["curve"], middle, "bytes") for e in found.values())
            low, high = (middle, high) if size < total else (low, middle)
        same = [points(_between(e["curve"], high, "error")) for e in found.values()]
        ours = [r["points"] for r in rows]
        tenth = max(1, len(rows) // 10)
        out.append(
            {
                "q": quality, "bytes": total / len(rows), "levels_of_all": 1 + STEP * high,
                "spread": float(np.std(ours)), "spread_same_depth": float(np.std(same)),
                "worst_tenth": float(np.mean(np.sort(ours)[:tenth])),
                "worst_tenth_same_depth": float(np.mean(np.sort(same)[:tenth])),
                "mean": float(np.mean(ours)), "mean_same_depth": float(np.mean(same)),
            }
        )  # fmt: skip
    return out


def worth_of_cells(found: dict[str, Any], effort: int) -> list[dict[str, float]]:
    """Bytes of depths per cell against one depth for the picture, at its own look and at its own MS-SSIM."""
    out = []
    for quality in TARGETS:
        pairs = [(each["curve"], _row(each, effort, quality)) for each in found.values()]
        record: dict[str, float] = {"q": quality, "mixed": float(np.mean([r["mixed"] for _, r in pairs]))}
        for name in ("error", "ms_ssim"):
            gains = np.array([r["bytes"] / at_equal(curve, name, r[name]) - 1 for curve, r in pairs])
            record |= {name: float(gains.mean()), f"{name}_best": float(gains.min())}
            record[f"{name}_worst"] = float(gains.max())
        out.append(record)
    return out


def monotone(found: dict[str, Any], effort: int) -> dict[str, Any]:
    """Falls of the bytes of any picture, and of the mean points, from one quality to the next."""
    rows = {
        name: [r for r in each["rows"] if r["effort"] == effort and abs(r["q"] * 20 - round(r["q"] * 20)) < 1e-6]
        for name, each in found.items()
    }
    falls = [
        f"{name} {a['q']:.2f} to {b['q']:.2f}: {a['bytes']} to {b['bytes']}"
        for name, each in rows.items()
        for a, b in zip(each, each[1:], strict=False)
        if b["bytes"] < a["bytes"]
    ]
    qualities = [r["q"] for r in next(iter(rows.values()))]
    mean = [float(np.mean([each[i]["points"] for each in rows.values()])) for i in range(len(qualities))]
    bpp = [
        float(np.mean([8 * each[i]["bytes"] / found[name]["pixels"] for name, each in rows.items()]))
        for i in range(len(qualities))
    ]
    falling = [q for q, a, b in zip(qualities[1:], mean, mean[1:], strict=False) if b < a]
    return {"q": qualities, "points": mean, "bpp": bpp, "bytes_fall": falls, "mean_points_fall_at": falling}


def time_of(model: Model, rgb: Array, repeats: int) -> dict[str, float]:
    """Encoding at effort 0 with the head against the model's table in its place, alternating: ratio of medians."""
    without = Model(model.entry, model.folder)
    without.__dict__["halting"] = None
    seconds: dict[str, list[float]] = {"without": [], "0": [], "1": [], "2": []}
    plan = Bench(model, rgb).plan(0.6, 0)
    assert plan.keep is not None
    for i in range(repeats + 1):
        for name in seconds:
            start = time.perf_counter()
            bench = Bench(without if name == "without" else model, rgb)
            chosen = uniform(plan.keep, plan.depths.shape) if name == "without" else bench.plan(0.6, int(name))
            file = writer_of(bench.picture, chosen, bench.ltk)
            file.write(bench.ltk, counts_of(file, chosen))
            if i:
                seconds[name].append(time.perf_counter() - start)
    base = float(np.median(seconds["without"]))
    ratios = {f"ratio_effort_{effort}": float(np.median(seconds[effort])) / base for effort in ("0", "1", "2")}
    return {"seconds_without": base} | ratios


def ordered(model: Model, named: Iterator[tuple[str, Array]], efforts: tuple[int, ...]) -> dict[str, Any]:
    """Tokens per megapixel at -q 0.6 against bytes of WebP (quality 75) per megapixel, and their rank correlation."""
    rows = []
    for name, rgb in named:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "WEBP", quality=75)
        mega, bench = rgb.shape[0] * rgb.shape[1] / 1e6, Bench(model, rgb)
        tokens = {str(e): bench.show(bench.plan(0.6, e))["tokens"] / mega for e in efforts}
        rows.append({"picture": name, "webp": buffer.tell() / mega, "tokens": tokens})
    ranks = {e: _spearman([r["webp"] for r in rows], [r["tokens"][e] for r in rows]) for e in rows[0]["tokens"]}
    return {"spearman": ranks, "pictures": sorted(rows, key=lambda r: r["webp"])}


def _spearman(a: list[float], b: list[float]) -> float:
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


@click.command()
@click.option("--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of pictures.")
@click.option(
    "--shards", type=click.Path(exists=True, path_type=Path), help="Use held-out pictures of these shards too."
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for their decoded pictures.")
@click.option("--held-out", "kept", default=70, show_default=True, help="Pictures that training left aside.")
@click.option("--count", default=50, show_default=True, help="How many of these to use.")
@click.option("--efforts", default="0,1", show_default=True, help="Efforts to measure.")
@click.option("--repeats", default=7, show_default=True, help="Of the timing.")
@click.option("--model", default=None, help="Model by name or id.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON, instead of stdout.")
def main(
    images: Path, shards: Path | None, cache: Path | None, kept: int, count: int, efforts: str, repeats: int,
    model: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure calibration, worth, order, monotony and time of halting."""
    opened, levels = open_model(model), tuple(int(v) for v in efforts.split(","))
    assert opened.halting is not None
    sets = {images.name: {path.stem: np.asarray(load_rgb(path)) for path in pictures(images)}}
    if shards and cache:
        sets["held-out"] = held_out(shards, cache, kept, count)
    report: dict[str, Any] = environment() | {"model": opened.entry.name, "looks": opened.entry.looks, "sets": {}}
    for i, (title, members) in enumerate(sets.items()):
        found = {}
        for name, rgb in members.items():
            found[name] = measure(opened, rgb, levels, np.array([]) if i else np.arange(21) / 20)
            click.echo(f"{title}: {name}", err=True)
        report["sets"][title] = {
            f"effort {effort}": {
                "calibration": calibration(found, opened.entry.looks, effort),
                "per_picture": worth_of_pictures(found, effort), "per_cell": worth_of_cells(found, effort),
            } | ({} if i else {"monotone": monotone(found, effort)})
            for effort in levels
        }  # fmt: skip
        report["sets"][title]["pictures"] = {name: _short(each) for name, each in found.items()}
    first = sets[images.name]
    report["time"] = time_of(opened, next(iter(first.values())), repeats)
    report["order"] = ordered(opened, iter([*made_up(), *first.items()]), levels)
    write_report(report, out)


if __name__ == "__main__":
    main()

"""What the levels of `-e` buy: bytes at an equal score against the default's curve, and the seconds they take.

python -m bench efforts --images KODAK --efforts 0,2,3 --lpips LPIPS --out efforts.json
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import model_name, write_report
from bench.quality.bd_rate import Curve
from ltokc import codec
from ltokc.compare.scores import LOWER_IS_BETTER, METRICS, Lpips, Scorer
from ltokc.rate.defaults import DEFAULT_EFFORT

AROUND = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1)  # of a quality: the default's curve that it is compared with


def compared(curve: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, float]:
    """Bytes of a row against the curve's at the same score, as a share more (+) or fewer (-); outside of it nothing."""
    out = {}
    for metric in METRICS:
        if any(each.get(metric) is None for each in (row, *curve)):
            continue
        lower = metric in LOWER_IS_BETTER
        there = Curve([(each["bpp"], each[metric]) for each in curve], lower)
        value = float(there(np.array([-row[metric] if lower else row[metric]]))[0])
        if np.isfinite(value):
            out[metric] = float(np.exp(np.log(row["bpp"]) - value) - 1)
    return out


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure on every picture, and with what."""

    efforts: Sequence[int]
    qualities: Sequence[float]
    model: str
    lpips: Lpips | None


def measure(path: Path, plan: Plan) -> list[dict[str, Any]]:
    """One row for every quality and effort of a picture."""
    image = load_rgb(path)
    scorer, rows = Scorer(image, plan.lpips), []

    def shown(quality: float, effort: int) -> dict[str, Any]:
        start = time.perf_counter()
        data = codec.encode(image, quality, effort=effort, model=plan.model, patches="off")
        seconds = time.perf_counter() - start
        return {"seconds": seconds, **scorer.score(codec.decode(data), len(data))}

    for quality in plan.qualities:
        curve = [shown(min(max(quality + step, 0), 1), DEFAULT_EFFORT) for step in AROUND]
        default = curve[AROUND.index(0.0)]
        for effort in plan.efforts:
            row = shown(quality, effort)
            about = {"image": path.name, "q": quality, "effort": effort, "times": row["seconds"] / default["seconds"]}
            rows.append(about | row | {"default": default, "at_equal": compared(curve, row)})
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the pictures, and fewer bytes at equal SSIMULACRA2 for every second more than the default takes."""
    out = []
    for key in dict.fromkeys((row["effort"], row["q"]) for row in rows):
        group = [row for row in rows if (row["effort"], row["q"]) == key]
        names = [metric for metric in METRICS if any(metric in row["at_equal"] for row in group)]
        means = {m: float(np.mean([row["at_equal"][m] for row in group if m in row["at_equal"]])) for m in names}
        more = float(np.mean([row["seconds"] - row["default"]["seconds"] for row in group]))
        found = {"effort": key[0], "q": key[1], "pictures": len(group), "at_equal": means, "seconds_more": more}
        found["times"] = float(np.median([row["times"] for row in group]))
        errors = [np.log((100 - row["ssimulacra2"]) / (100 - row["default"]["ssimulacra2"])) for row in group]
        found["distance_of_points"] = [float(np.exp(v) - 1) for v in (min(errors), np.mean(errors), max(errors))]
        if more > 0 and "ssimulacra2" in means:
            found["gain_per_second"] = -means["ssimulacra2"] / more
        out.append(found)
    return out


@options.command()
@options.images()
@options.efforts("0,2,3")
@options.qualities("0.6")
@options.lpips()
@options.every()
@options.model()
@options.out()
def main(
    images: Path, efforts: tuple[int, ...], qualities: tuple[float, ...], lpips: Path | None, every: int,
    model: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Measure what more effort brings, and in how much time: EFFORTS beside the default one."""
    name, rows = model_name(model), []
    plan = Plan(efforts, qualities, name, Lpips(lpips) if lpips else None)
    for path in pictures(images)[::every]:
        rows += measure(path, plan)
        click.echo(f"{path.name} {rows[-1]['at_equal']}", err=True)
    write_report(name, {"summary": summary(rows), "rows": rows}, out)


if __name__ == "__main__":
    main()

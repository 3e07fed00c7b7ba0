"""Is a gain real?  BD-rates by butteraugli, which is in no loss and steers no encoder, beside SSIMULACRA2's.

    git worktree add ../before 38dbfce
    python -m bench independent --images KODAK --before ../before --out independent.json

Encoders: this checkout's at the default effort by tokens alone, that of an older checkout, and AVIF.  Butteraugli's
3-norm and largest difference are of the program of libjxl.  BD-rates are of mean curves, and picture by picture, then
averaged.  A run that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.butteraugli import distance, program_of
from bench.common.earlier import Earlier, commit_of
from bench.common.pictures import load_rgb, pictures
from bench.common.record import changes, commit, model_name, write_report
from bench.common.resume import Unfinished
from bench.quality.bd_rate import BdRate, bd_rate
from ltokc import codec
from ltokc.compare.codecs import Avif
from ltokc.metrics.fidelity import bits_per_pixel
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.rate.defaults import DEFAULT_EFFORT

NOW, BEFORE, AVIF = "ltokc", "before", "avif"
METRICS = {"ssimulacra2": False, "butteraugli_3_norm": True, "butteraugli_largest": True}  # whether lower is better
PAIRS = ((NOW, BEFORE), (NOW, AVIF), (BEFORE, AVIF))
Row = dict[str, Any]


def measure(path: Path, work: list[tuple[str, float]], before: Earlier, program: Path) -> list[Row]:
    """Rows of one picture: codec, q, bytes, bpp and the metrics."""
    image, rows = load_rgb(path), []
    reference = Reference(np.asarray(image))
    for name, q in work:
        if name == AVIF:
            data = Avif().encode(image, q)
            shown = Avif().decode(data)
        elif name == NOW:
            data = codec.encode(image, q, patches="off", effort=DEFAULT_EFFORT)
            shown = codec.decode(data)
        else:
            data, shown = before.coded(path, quality=q, effort=DEFAULT_EFFORT)
        far = distance(program, image, shown)
        rows.append({
            "image": path.name, "codec": name, "q": q, "bytes": len(data),
            "bpp": bits_per_pixel(len(data), image.width, image.height),
            "ssimulacra2": reference.score(np.asarray(shown.convert("RGB"))),
            "butteraugli_3_norm": far.norm, "butteraugli_largest": far.largest,
        })  # fmt: skip
    return rows


def curve(rows: list[Row], name: str, metric: str) -> list[tuple[float, float]]:
    """(bpp, metric) of a codec at each quality, means over the pictures."""
    of_quality: dict[float, list[Row]] = {}
    for row in rows:
        if row["codec"] == name:
            of_quality.setdefault(row["q"], []).append(row)
    return [(_mean(each, "bpp"), _mean(each, metric)) for each in of_quality.values()]


def _mean(rows: list[Row], column: str) -> float:
    return float(np.mean([row[column] for row in rows]))


def rate(rows: list[Row], codec_name: str, rival: str, metric: str) -> BdRate | None:
    return bd_rate([curve(rows, rival, metric)], curve(rows, codec_name, metric), METRICS[metric])


def summary(rows: list[Row]) -> list[Row]:
    """For each pair and metric: the BD-rate of mean curves; mean, best and worst of the pictures' own."""
    images, out = list(dict.fromkeys(row["image"] for row in rows)), []
    by_image = {image: [row for row in rows if row["image"] == image] for image in images}
    for name, rival in PAIRS:
        for metric in METRICS:
            means = rate(rows, name, rival, metric)
            each = [found.rate for of in by_image.values() if (found := rate(of, name, rival, metric))]
            pictures_: Row = {"pictures": len(each)}
            if each:
                pictures_ |= {"mean": float(np.mean(each)), "best": min(each), "worst": max(each)}
                pictures_["fewer_bytes"] = sum(value < 0 for value in each)
            out.append({"codec": name, "rival": rival, "metric": metric,
                        "mean_curves": means.rate if means else None, "by_picture": pictures_})  # fmt: skip
    return out


@options.command()
@options.images()
@click.option("--before", type=options.FOLDER, required=True, help="Checkout of the encoder that was before.")
@click.option("--tool", type=options.FILE, help="libjxl's butteraugli_main.  [default: the one on the path]")
@options.qualities("0.2,0.4,0.6,0.8")
@click.option("--avif", "avif_qualities", default="0,5,10,20,30,40,50,60", show_default=True, type=options.Numbers(),
              help="Qualities of AVIF.")  # fmt: skip
@options.limit()
@options.out(required=True)
def main(
    images: Path, before: Path, tool: Path | None, qualities: tuple[float, ...], avif_qualities: tuple[float, ...],
    limit: int | None, out: Path,
) -> None:  # fmt: skip
    """Measure a gain by a judge that is in no loss."""
    program, paths = program_of(tool), pictures(images)[:limit]
    work = [(name, q) for name in (NOW, BEFORE) for q in qualities] + [(AVIF, q) for q in avif_qualities]
    about = {"before": commit_of(before), "images": [path.name for path in paths]}
    unfinished = Unfinished(out, {"commit": commit(), "changes": changes(), "work": work} | about)
    found = unfinished.resume()
    with Earlier(before) as earlier:
        for path in paths[len(found) :]:
            found.append(measure(path, work, earlier, program))
            unfinished.add(found[-1])
            click.echo(path.name, err=True)
    rows = [row for each in found for row in each]
    write_report(model_name(None), about | {"summary": summary(rows), "rows": rows}, out)
    unfinished.finish()
    for row in summary(rows):
        click.echo(str(row))


if __name__ == "__main__":
    main()

"""Rate-distortion plots from results.json: one panel for every metric, one line for every codec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.common import options
from bench.quality.curves import Row, points
from ltokc.compare.codecs import CODECS, family
from ltokc.compare.scores import LABELS, LOWER_IS_BETTER, METRICS

COLOURS = {"ltokc": "#c1121f", "jpeg": "#6c757d", "webp": "#2a9d8f", "avif": "#1d3557", "jxl": "#e09f3e"}
STYLES = {"": "-", "half": "--", "quarter": ":"}


def label(name: str) -> str:
    """`avif_half` -> `AVIF half size`."""
    base, _, variant = name.partition("_")
    known = CODECS[base].label if base in CODECS else base
    return f"{known} {variant} size" if variant else known


def plot(means: list[Row], out: Path, highest_bpp: float, title: str = "") -> None:
    """Draws the mean curves up to a rate in bits per pixel, rate on a log axis, and writes a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    names = list(dict.fromkeys(row["codec"] for row in means))
    metrics = [metric for metric in METRICS if any(points(means, name, metric) for name in names)]
    columns = min(2, len(metrics))
    lines = -(-len(metrics) // columns) if columns else 0
    if not lines:
        raise click.ClickException("no curve to draw")
    figure = Figure(figsize=(6.5 * columns, 4.6 * lines), layout="constrained")
    axes: Any = figure.subplots(lines, columns, squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index >= len(metrics):
            axis.set_visible(False)
            continue
        metric = metrics[index]
        for name in names:
            curve = [point for point in sorted(points(means, name, metric)) if point[0] <= highest_bpp]
            if not curve:
                continue
            ours = name == "ltokc"
            axis.plot(
                *zip(*curve, strict=True), label=label(name), marker="o", markersize=4 if ours else 2.5,
                linewidth=2.2 if ours else 1.2, color=COLOURS.get(family(name)), zorder=3 if ours else 2,
                linestyle=STYLES.get(name.partition("_")[2], "-"),
            )  # fmt: skip
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(True, which="both", linewidth=0.4, alpha=0.5)
        axis.set_xlabel("bits per pixel, whole file")
        axis.set_ylabel(LABELS[metric] + (" (lower is better)" if metric in LOWER_IS_BETTER else ""))
    axes.flat[0].legend(fontsize=8)
    if title:
        figure.suptitle(title)
    figure.savefig(out, dpi=120)


@options.command()
@click.argument("results", type=options.FILE)
@options.out(required=True, text="PNG to write.")
@options.codecs(None, "Only these, separated by commas.")
@click.option("--max-bpp", default=1.0, show_default=True, help="Highest rate drawn.")
@options.title("Title of the plot.")
def main(results: Path, out: Path, codecs: str | None, max_bpp: float, title: str | None) -> None:
    """Plot the mean curves of RESULTS, a JSON file of bench.quality.rate_distortion."""
    means = json.loads(results.read_text())["means"]
    if codecs:
        means = [row for row in means if row["codec"] in codecs.split(",")]
    plot(means, out, max_bpp, title or "")


if __name__ == "__main__":
    main()

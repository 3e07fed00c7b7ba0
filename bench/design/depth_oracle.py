"""What choosing a depth for each cell could gain: an oracle that knows how every cell looks at every depth.

    python -m bench depth-oracle --images KODAK --out depth-oracle.json

SSIMULACRA2 is a sum of norms of maps.  Near one depth that all cells share it is taken as linear in each cell's part
of these norms, so that every cell and depth has a price in quality and, from the prior, one in bits.  The oracle keeps
the bits and takes the best depths within `span` levels of the shared one.  What it encodes is then decoded and
measured: the gain is in bytes of the streams, depth map included, against the same look with one depth for all,
between whole levels interpolated.  It is optimised for SSIMULACRA2, so MS-SSIM is the one that judges; and since it
knows the original's errors it is a hope for an encoder that has to guess them, though no bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import options
from bench.common.pictures import load_rgb, pictures
from bench.common.record import write_report
from ltokc.entropy.segment import SegmentWriter, bits_of_cells
from ltokc.geometry import CELL, Size
from ltokc.metrics import by_cell
from ltokc.metrics.fidelity import ms_ssim
from ltokc.metrics.ssimulacra2 import Reference
from ltokc.token_grid import full_masks
from ltokc.zoo.model import Model, open_model

Array = np.ndarray[Any, Any]


def prices(moments: Sequence[by_cell.Moments], shared: int) -> Array:
    """What each cell adds to the metric's sum, linearised where all have depth `shared`: (depths, rows, columns)."""
    sensitivity = by_cell.sensitivity_at(moments[shared].norms())
    return np.stack([each.distortion(sensitivity) for each in moments])


def best_depths(price: Array, bits: Array, budget: float, low: int, high: int) -> Array:
    """Depths from `low` to `high` of least price for at most `budget` bits; price, bits: (depths, rows, columns)."""
    allowed = np.arange(low, high + 1)
    least, most = -60.0, 20.0  # logarithm of the multiplier
    for _ in range(60):
        middle = (least + most) / 2
        depths = allowed[(price[allowed] + 2.0**middle * bits[allowed]).argmin(0)]
        spent = np.take_along_axis(bits, depths[None], 0).sum()
        least, most = (middle, most) if spent > budget else (least, middle)
    return np.asarray(allowed[(price[allowed] + 2.0**most * bits[allowed]).argmin(0)])


def measure(model: Model, rgb: Array, shared: Sequence[int], span: int) -> list[dict[str, Any]]:
    """A record for each shared depth: what all cells alike need and show, what the oracle does, and the gain."""
    networks, size_of = model.networks(), Size.of(rgb)
    tokens = networks.tokenize(rgb)
    reference = Reference(rgb)

    def show(depths: Array) -> tuple[int, Array]:
        kept = tokens.only(full_masks(model.levels, *size_of.grid, depths))
        alike = None if depths.min() == depths.max() else depths
        if alike is None:
            writer = SegmentWriter(model.prior, tokens.digits)
            size = len(writer.stream(sum(writer.level_counts[: int(depths.flat[0])])))
        else:
            writer = SegmentWriter(model.prior, kept.digits, depths)
            size = len(writer.stream(writer.total))
        return size, networks.detokenize(kept, size_of)

    sizes, moments, scores, likeness = [], [], [], []
    for depth in range(len(model.levels) + 1):
        size, decoded = show(np.full(size_of.grid, depth))
        sizes.append(size)
        moments.append(by_cell.moments(reference, decoded))
        scores.append(reference.score(decoded))
        likeness.append(ms_ssim(rgb, decoded))
    each_level = bits_of_cells(model.prior, tokens.digits)
    bits, out = np.concatenate([np.zeros_like(each_level[:1]), each_level.cumsum(0)]), []
    for depth in shared:
        low, high = max(0, depth - span), min(len(model.levels), depth + span)
        depths = best_depths(prices(moments, depth), bits, bits[depth].sum(), low, high)
        size, decoded = show(depths)
        record: dict[str, Any] = {"depth": depth, "bytes_alike": sizes[depth], "bytes": size}
        for name, curve, value in (
            ("ssimulacra2", scores, reference.score(decoded)), ("ms_ssim", likeness, ms_ssim(rgb, decoded)),
        ):  # fmt: skip
            rising = np.maximum.accumulate(curve)
            equal = float(np.exp(np.interp(value, rising, np.log(np.maximum(sizes, 1)))))
            record |= {f"{name}_alike": curve[depth], name: value, f"bytes_at_equal_{name}": size / equal - 1}
        record["cells_by_depth"] = np.bincount(depths.ravel(), minlength=len(model.levels) + 1).tolist()
        out.append(record)
    return out


@options.command()
@options.images()
@click.option("--depths", default="6,7,8,10", show_default=True, type=options.Numbers(int),
              help="Depths that all cells would share.")  # fmt: skip
@click.option("--span", default=2, show_default=True, help="How far a cell may be from it.")
@options.model()
@options.out()
def main(images: Path, depths: tuple[int, ...], span: int, model: str | None, out: Path | None) -> None:
    """Measure what an oracle gains with depths per cell."""
    opened, found = open_model(model), {}
    for path in pictures(images):
        rgb = np.asarray(load_rgb(path))
        height, width = (side // CELL * CELL for side in rgb.shape[:2])
        found[path.stem] = measure(opened, np.ascontiguousarray(rgb[:height, :width]), depths, span)
        gains = [round(100 * r["bytes_at_equal_ssimulacra2"], 1) for r in found[path.stem]]
        click.echo(f"{path.stem}: {gains} % of the bytes at equal SSIMULACRA2", err=True)
    means = {
        str(depth): {
            name: float(np.mean([records[i][f"bytes_at_equal_{name}"] for records in found.values()]))
            for name in ("ssimulacra2", "ms_ssim")
        }
        for i, depth in enumerate(depths)
    }
    write_report(opened.entry.name, {"span": span, "means": means, "pictures": found}, out)


if __name__ == "__main__":
    main()

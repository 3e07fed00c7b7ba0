"""Crops a second of a training step, plain and with each row that makes it faster, alone and together.

    python -m bench train-speed --recipe recipe.toml --lpips lpips_squeeze.safetensors --device cuda \\
        --out train-speed.json

The batch is the recipe's, of made-up pictures; a step is loss, gradients and update, on a GPU with the gradients as one
graph.  `agrees`: loss and gradient are those of the plain step.  LPIPS of a window is timed too; it is chosen by the
recipe, not by the trainer, since it changes a step's loss.  `crops`: crops a second that one process cuts, beside which
steps would wait.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from bench.common import options
from bench.common.pictures import synthetic_picture
from bench.common.record import write_report
from ltokc.train.data.crops import Crops
from ltokc.train.loop import Trainer
from ltokc.train.recipe import Recipe, read_recipe
from ltokc.train.speed.probe import Measured, Probe
from ltokc.train.speed.rows import Rows, useful

WINDOW = 128  # px, of LPIPS


class Few:
    """Stands for the training pictures: one made-up picture."""

    def __init__(self) -> None:
        self.picture = np.asarray(synthetic_picture())
        self.index = np.array([[0, *self.picture.shape[:2]]])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.picture


def crops_per_second(recipe: Recipe, seconds: float) -> float:
    """How many crops of the recipe one process makes."""
    crops = Crops(Few(), recipe.crop, recipe.batch, np.random.default_rng(0), recipe.text_share, recipe.smooth_share)  # type: ignore[arg-type]
    start, made = time.perf_counter(), 0
    while not made or time.perf_counter() - start < seconds:
        made += len(next(crops))
    return made / (time.perf_counter() - start)


def measured(recipe: Recipe, lpips: Path, device: str, seconds: float, only: tuple[str, ...] = ()) -> list[Measured]:
    """Plain, every row alone, all that agree, LPIPS of a window; each is timed for so many seconds at least."""
    trainer = Trainer(recipe, lpips, device)
    crops = next(Crops(Few(), recipe.crop, recipe.batch, np.random.default_rng(0)))  # type: ignore[arg-type]
    feed = iter([torch.from_numpy(crops)])
    probe = Probe(trainer, *trainer.batch(feed))
    found, together = [probe.measure(Rows(), seconds)], Rows()
    for name in [name for name in useful(trainer) if not only or name in only]:
        try:
            each = probe.measure(Rows.of([name]), seconds)
        except RuntimeError as error:  # torch's: no compiler, no such kernel
            click.echo(f"{name}: {str(error).splitlines()[0]}", err=True)
            continue
        found.append(each)
        together = together.with_(name) if each.agrees else together
        click.echo(f"{name}: {each.crops_per_second:.1f} crops/s, {'agrees' if each.agrees else 'differs'}", err=True)
    found.append(probe.measure(together, seconds))
    if not recipe.lpips_window and recipe.crop > WINDOW and recipe.train != "prior":
        trainer.objective.window = WINDOW
        found.append(replace(probe.measure(Rows(), seconds), rows=["lpips_window"]))
    return found


@options.command()
@click.option("--recipe", type=options.FILE, required=True, help="Recipe whose step is timed.")
@options.lpips(required=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Crops of a step.  [default: the recipe's]")
@click.option("--seconds", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Of every measurement.")
@click.option("--row", "only", multiple=True, help="Only rows of these names.")
@options.out()
def main(
    recipe: Path, lpips: Path, device: str, batch: int | None, seconds: float, only: tuple[str, ...], out: Path | None
) -> None:
    """Time a training step, plain and with what makes it faster."""
    wanted = read_recipe(recipe)
    wanted = replace(wanted, batch=batch or wanted.batch)
    rows = measured(wanted, lpips, device, seconds, only)
    report: dict[str, Any] = {
        "recipe": recipe.name, "batch": wanted.batch, "crop": wanted.crop, "device": device,
        "threads": torch.get_num_threads(), "rows": [asdict(each) for each in rows],
        "crops": round(crops_per_second(wanted, min(seconds, 5.0)), 1),
    }  # fmt: skip
    write_report(None, report, out)


if __name__ == "__main__":
    main()

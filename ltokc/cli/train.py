"""`ltokc train`: a run of the training loop; needs the `train` extra (torch)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltokc.cli import extras, options
from ltokc.cli.console import LOUD, one_line
from ltokc.cli.extras import need, tars_in
from ltokc.errors import ModelError, UsageError

if TYPE_CHECKING:
    from ltokc.train.loop import Trainer
    from ltokc.train.run import Run

file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("recipe", type=file)
@extras.shards
@click.option("--lpips", type=file, required=True, help="LPIPS weights (SqueezeNet), a .safetensors file.")
@click.option("--out", type=extras.new_folder, required=True,
              help="Folder of the run: log, checkpoint, weights.")  # fmt: skip
@extras.cache
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: torch's choice]")
@click.option("--workers", type=click.IntRange(min=1), default=1, metavar="N", show_default=True,
              help="CPU processes that train together, one thread each.")  # fmt: skip
@click.option("--start", type=file, metavar="WEIGHTS", help="Begin with these weights instead of random ones.")
@click.option("--resume", is_flag=True, help="Go on from where the constant rate of a finished run in OUT ended.")
@click.option("--watch", is_flag=True, help="Take in shards that come into the folder while training.")
@click.option("--time-budget", type=options.Number(min=0, min_open=True), metavar="S",
              help="Seconds from the first step on, by which the rate falls and the run ends.")  # fmt: skip
@click.option("--probe", type=options.Number(min=0), metavar="S",
              help="Try for S seconds what makes steps faster here, and use it; 0: as the last time.")  # fmt: skip
@click.option("--export", type=extras.new_folder, metavar="FOLDER",
              help="Also put weights and, in files of 15 MiB, the state to go on from there.")  # fmt: skip
@click.option(
    "--evaluate", type=extras.folder, help="Folder of pictures to measure the result on: bpp, PSNR, LPIPS per level."
)
@extras.verbose
def train(
    recipe: Path,
    shards: Path,
    lpips: Path,
    out: Path,
    cache: Path | None,
    device: str,
    threads: int | None,
    workers: int,
    start: Path | None,
    resume: bool,
    watch: bool,
    time_budget: float | None,
    probe: float | None,
    export: Path | None,
    evaluate: Path | None,
    verbose: int,
) -> None:
    """Train a model as RECIPE (a TOML file) says.

    A run that was interrupted goes on from its last checkpoint when the same command is given again. Progress is
    in OUT/log.jsonl, the weights are in OUT/ema.safetensors.

    \b
    Examples:
      ltokc train recipe.toml --shards shards --lpips lpips.safetensors --out runs/a
      ltokc train recipe.toml --shards shards --lpips lpips.safetensors --out runs/a --workers 2
      ltokc train recipe.toml --shards shards --lpips lpips.safetensors --out runs/b \\
            --device cuda --start runs/a/ema.safetensors
      ltokc train recipe.toml --shards shards --watch --lpips lpips.safetensors --out runs/c \\
            --device cuda --start runs/a/ema.safetensors --time-budget 540 --probe 60 --export back
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards) if not watch else _first_of(shards)
    need("training", "safetensors", "torch")
    from ltokc.losses.lpips import LPIPS
    from ltokc.train.data.pictures import Pictures
    from ltokc.train.local_sgd import helpers
    from ltokc.train.recipe import read_recipe
    from ltokc.train.run import Run

    plan = read_recipe(recipe)
    run = Run(plan, tuple(tars), lpips, out, cache or out / "cache", device, workers, threads, start,
              resume, time_budget or 0.0, probe, shards if watch else None)  # fmt: skip
    run.check()
    with _weights_of(f"--lpips {lpips}: no LPIPS weights"):
        LPIPS(lpips)
    pictures = Pictures(tars, run.cache, plan.held_out)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in pictures.kinds.items())
    _say(f"{out}: {len(pictures):,} pictures of {len(tars)} shards ({kinds}), {device}, process {os.getpid()}")
    with helpers(_work, workers, (run,)):
        trainer = _work(0, run)
    _say(f"{out}: done, {trainer.step:,} steps in {trainer.seconds / 60:.1f} minutes")
    if export:
        from ltokc.train.export.state import export_run

        _say(f"{export}: {', '.join(export_run(out, export))}")
    if evaluate:
        from ltokc.train.evaluate import evaluate_folder

        with open(out / "log.jsonl", "a") as log:
            for row in evaluate_folder(trainer.ema, evaluate, trainer.lpips):
                log.write(json.dumps(row) + "\n")
                _say("  ".join(f"{name} {value:g}" for name, value in row.items()))


def _work(rank: int, run: Run) -> Trainer:
    """One process of a run; all of them begin with the same weights."""
    from ltokc.train.data.pictures import Pictures
    from ltokc.train.data.watch import Watch
    from ltokc.train.local_sgd import LocalSGD
    from ltokc.train.loop import Limits, Trainer

    run.set_up_process()
    trainer = Trainer(run.recipe, run.lpips, run.device)
    with _weights_of(f"{run.out}: its checkpoint is of another network; choose another --out"):
        resumed = trainer.resume(run.out, run.resume)
    if run.resume and not resumed:
        raise UsageError(f"--resume: {run.out} has no state to go on from")
    if resumed and rank == 0:
        _say(f"{run.out}: goes on at step {trainer.step:,}" + (", --start is not used" if run.start else ""))
    elif run.start and not resumed:
        with _weights_of(f"--start {run.start}: not the weights of this network"):
            trainer.start_from(run.start)
    pictures = Pictures(list(run.shards), run.cache, run.recipe.held_out)
    watching = Watch(run.watched, run.cache, list(run.shards)) if run.watched else None
    with watching or nullcontext():
        limits = Limits(run.seconds, run.probe, watching)
        trainer.run(pictures, run.out, local_sgd=LocalSGD(rank, run.workers), limits=limits)
    return trainer


def _first_of(shards: Path) -> list[Path]:
    """The shards of a watched folder, as soon as there is one."""
    from ltokc.train.data.watch import EVERY, arrived

    found = arrived(shards)
    if not found:
        _say(f"{shards}: waiting for the first shard")
    while not found:
        time.sleep(EVERY)
        found = arrived(shards)
    return found


@contextmanager
def _weights_of(complaint: str) -> Iterator[None]:
    """Weights of another kind become one line; torch would list every tensor."""
    from safetensors import SafetensorError

    try:
        yield
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(complaint) from error


def _say(text: str) -> None:
    click.echo(one_line(text), err=True)

"""`ltokc train-generative`: the generator of a finished model; needs the `train` extra (torch)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli.console import LOUD, one_line
from ltokc.cli.extras import need, tars_in
from ltokc.errors import UsageError

folder = click.Path(exists=True, file_okay=False, path_type=Path)
file = click.Path(exists=True, dir_okay=False, path_type=Path)
path = click.Path(file_okay=False, path_type=Path)


@click.command("train-generative")
@click.argument("recipe", type=file)
@click.option("--model", metavar="NAME", help="Model by name or id.  [default: the default model]")
@click.option("--shards", type=folder, required=True, help="Folder with .tar shards of pictures.")
@click.option("--lpips", type=file, required=True, help="LPIPS weights (SqueezeNet), a .safetensors file.")
@click.option("--start", type=file, help="Weights to begin from; their gate is left aside.")
@click.option("--generator", type=file, help="Finished weights; only their gate is trained.")
@click.option("--out", type=path, required=True, help="Folder of the run: log, checkpoint, weights.")
@click.option("--cache", type=path, help="Folder for decoded pictures and states, which runs can share.  "
              "[default: OUT/cache]")  # fmt: skip
@click.option("--crops", type=click.IntRange(min=0), default=20_000, show_default=True, metavar="N",
              help="Crops whose states are kept on disk, 330 kB each; 0: states are made anew every step.")  # fmt: skip
@click.option("--held-out", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Last pictures of the shards to leave aside.")  # fmt: skip
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: torch's choice]")
@click.option("-v", "--verbose", count=True, help="-vv shows tracebacks.")
def train_generative(
    recipe: Path,
    model: str | None,
    shards: Path,
    lpips: Path,
    start: Path | None,
    generator: Path | None,
    out: Path,
    cache: Path | None,
    crops: int,
    held_out: int,
    device: str,
    threads: int | None,
    verbose: int,
) -> None:
    """Train the generator of a model as RECIPE (a TOML file) says.

    The model's tokens and faithful decoder stay as they are. A run that was interrupted goes on from its last
    checkpoint when the same command is given again. Progress is in OUT/log.jsonl, the weights are in
    OUT/generative.safetensors; `ltokc models add-generator` puts them into the model's folder.

    \b
    Examples:
      ltokc train-generative models/ladder-6/generative.toml --shards shards --lpips lpips.safetensors --out runs/g
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("training", "safetensors", "torch")
    from ltokc.train.generative.recipe import read_generative_recipe
    from ltokc.train.generative.run import GenerativeRun, train_generator
    from ltokc.zoo.model import open_model

    if start and generator:
        raise UsageError("--start and --generator exclude each other")
    run = GenerativeRun(
        tuple(tars), lpips, out, cache or out / "cache", crops, held_out, device, threads, generator, start
    )
    trainer = train_generator(run, read_generative_recipe(recipe), open_model(model), _say)
    _say(f"{out}: done, {trainer.step:,} steps in {trainer.seconds / 60:.1f} minutes")


def _say(text: str) -> None:
    click.echo(one_line(text), err=True)

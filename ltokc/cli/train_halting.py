"""`ltokc train-halting`, also `ltokc models fit-halting`: a model's halting head; needs the `train` extra (torch)."""

from __future__ import annotations

from pathlib import Path

import click

from ltokc.cli import extras
from ltokc.cli.console import LOUD, show_warnings
from ltokc.cli.extras import need, tars_in
from ltokc.errors import UsageError


@click.command("train-halting")
@click.argument("model")
@extras.shards
@click.option("--out", type=extras.new_folder, required=True, help="Folder of the run: labels, halting.safetensors.")
@extras.cache
@click.option("--pictures", "count", type=click.IntRange(min=12), default=600, show_default=True, metavar="N",
              help="Pictures to label.")  # fmt: skip
@extras.held_out
@click.option("--steps", type=click.IntRange(min=1), default=3000, show_default=True, metavar="N",
              help="Steps of the fit.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of pictures and of the fit.")
@click.option("--offsets", is_flag=True,
              help="Keep the model's head and move it at each level: for an encoder that changed little.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Processes that label, one thread each if more than one.")  # fmt: skip
@extras.verbose
def train_halting(
    model: str,
    shards: Path,
    out: Path,
    cache: Path | None,
    count: int,
    held_out: int,
    steps: int,
    seed: int,
    offsets: bool,
    jobs: int,
    verbose: int,
) -> None:
    """Fit the halting head of MODEL (name or id) to what its own decodes of training pictures measure.

    Labels take a second or two per picture and are kept in OUT/labels: a run that was interrupted goes on where it
    was. `ltokc models add-halting` puts OUT/halting.safetensors into the model's folder.

    \b
    Examples:
      ltokc train-halting mine --shards shards --out runs/halting -j 2
    """
    click.get_current_context().meta[LOUD] = verbose > 1
    tars = tars_in(shards)
    need("training", "torch")
    from safetensors.numpy import save_file

    from ltokc.train.data.pictures import Pictures
    from ltokc.train.halting.fit import calibrated, shifted
    from ltokc.train.halting.labels import label_all, load_label
    from ltokc.train.halting.pictures import variants
    from ltokc.zoo.model import open_model

    opened, labels = open_model(model), out / "labels"
    labels.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(tars, cache or out / "cache", held_out)
    for done in label_all(opened.entry.id, variants(pictures, count, seed), labels, jobs, show_warnings):
        if done % 50 == 0:
            click.echo(f"{done} labelled, {count} in all", err=True)
    found = [load_label(file) for file in sorted(labels.glob("*.npz"))]
    if offsets:
        if opened.halting is None:
            raise UsageError(f"--offsets: model {opened.entry.name} has no halting head")
        tensors, margin = shifted(found, opened.halting.tensors)
    else:
        tensors, margin = calibrated(found, steps=steps, seed=seed)
    head = out / "halting.safetensors"
    save_file(tensors, head, {"model": opened.entry.name, "pictures": str(len(found))})
    click.echo(f"{head}: fitted to {len(found)} pictures, errors raised by {margin:.3f}", err=True)


fit_halting = click.Command(  # the same by its former name
    "fit-halting",
    params=train_halting.params,
    callback=train_halting.callback,
    help=(train_halting.help or "").replace("ltokc train-halting", "ltokc models fit-halting"),
    hidden=True,  # one name is enough for a list
)

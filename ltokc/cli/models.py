"""`ltokc models`: the models that this installation knows and has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ltokc.cli.console import Console, with_console
from ltokc.cli.models_add_colour import add_colour
from ltokc.cli.models_add_encoder import add_encoder
from ltokc.cli.models_add_generator import add_generator
from ltokc.cli.models_add_halting import add_halting
from ltokc.cli.models_add_rounding import add_rounding
from ltokc.cli.models_fit_colour import fit_colour
from ltokc.cli.models_fit_rounding import fit_rounding
from ltokc.cli.models_pack import pack
from ltokc.cli.models_prune import prune
from ltokc.cli.models_quantize import quantize
from ltokc.cli.train_halting import fit_halting
from ltokc.errors import ModelError

if TYPE_CHECKING:
    from ltokc.zoo.registry import ModelEntry


def _here(entry: ModelEntry) -> bool:
    from ltokc.zoo import registry

    try:
        registry.folder(entry)
    except ModelError:
        return False
    return True


def _fields(entry: ModelEntry) -> dict[str, Any]:
    return {
        "id": entry.id, "name": entry.name, "default": bool(entry.default), "installed": _here(entry),
        "description": entry.description, "license": entry.license, "bytes": sum(f.bytes for f in entry.files),
        "files": [f.name for f in entry.files],
    }  # fmt: skip


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, show, find, check and make models.

    Without a command: list. Models are looked for in the folders that LTOKC_MODELS names, and in the package. A
    model is made in ten steps: models pack, models prune, models quantize, train-halting, models add-halting, models
    fit-colour, models add-colour, models fit-rounding, models add-rounding, models verify.

    \b
    Examples:
      ltokc models
      ltokc models show ladder-6
      ltokc models verify
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models, as_json=False, verbose=0, quiet=False)


@models.command("list")
@with_console
def list_models(console: Console) -> None:
    """List the known models.

    \b
    Examples:
      ltokc models list
      ltokc models list --json
    """
    from ltokc.zoo import registry

    for entry in registry.registry():
        if console.as_json:
            console.record(_fields(entry))
        else:
            notes = [n for n, wanted in (("default", entry.default), ("not installed", not _here(entry))) if wanted]
            note = f"  ({', '.join(notes)})" if notes else ""
            click.echo(f"{entry.id:4}  {entry.name:16}  {entry.description}{note}")
        console.done += 1
    console.quiet = True  # the list is the answer
    console.finish()


@models.command()
@click.argument("name", required=False)
@with_console
def show(console: Console, name: str | None) -> None:
    """Show what is known of a model.

    By name or id; without one, the default model.

    \b
    Examples:
      ltokc models show
      ltokc models show 6 --json
    """
    from ltokc.zoo import registry

    fields = _fields(registry.find(name))
    if console.as_json:
        console.record(fields)
        return
    for label, value in fields.items():
        if value is None:
            continue
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        click.echo(f"{label:12} {', '.join(text) if isinstance(text, list) else text}")


@models.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of a model's files.

    By name or id; without one, the default model.

    \b
    Examples:
      ltokc models path
      ls $(ltokc models path)
    """
    from ltokc.zoo import registry

    click.echo(click.format_filename(str(registry.folder(registry.find(name)))))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@with_console
def verify(console: Console, names: tuple[str, ...]) -> None:
    """Check the SHA-256 of models' files.

    By name or id; without one, of all models that are installed.

    \b
    Examples:
      ltokc models verify
      ltokc models verify ladder-6
    """
    from ltokc.zoo import registry

    for name in names or tuple(e.name for e in registry.registry() if _here(e)):
        with console.each(name):
            registry.check(registry.find(name))
            console.say(f"{name}: ok")
            console.record({"input": name, "ok": True})
    console.finish()


for step in (
    pack, prune, quantize, fit_halting, add_halting, add_encoder, fit_colour, add_colour, fit_rounding, add_rounding,
    add_generator,
):  # fmt: skip
    models.add_command(step)

"""What the commands about training have in common: the extra they need, options, the shards they read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from ltokc.errors import ModelError, UsageError

folder = click.Path(exists=True, file_okay=False, path_type=Path)
new_folder = click.Path(file_okay=False, path_type=Path)
shards = click.option("--shards", type=folder, required=True, help="Folder with .tar shards of pictures.")
cache = click.option("--cache", type=new_folder,
                     help="Folder for the decoded pictures, which runs can share.  [default: OUT/cache]")  # fmt: skip
held_out = click.option("--held-out", type=click.IntRange(min=0), default=70, show_default=True, metavar="N",
                        help="Last pictures of the shards to leave aside.")  # fmt: skip
models = click.option("--models", "folder", type=folder, required=True,
                      help="Folder with registry.json and the model's folder.")  # fmt: skip
name = click.option("--name", required=True, help="Name of the model.")
verbose = click.option("-v", "--verbose", count=True, help="-vv shows tracebacks.")


def need(what: str, *packages: str) -> None:
    """Raises ModelError if a package of the `train` extra is not installed.  what: what needs it."""
    for package in packages:
        if find_spec(package) is None:
            raise ModelError(f'{what} needs {package}, which is not installed: pip install "ltokc[train]"')


def tars_in(shards: Path) -> list[Path]:
    """The .tar files of a folder by name.  Raises UsageError if there is none."""
    tars = sorted(shards.glob("*.tar"))
    if not tars:
        raise UsageError(f"--shards {shards}: no .tar files there")
    return tars

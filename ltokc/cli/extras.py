"""What the commands about training have in common: the extra they need, the shards they read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ltokc.errors import ModelError, UsageError


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

"""Butteraugli distances by libjxl's program butteraugli_main (Debian: libjxl-devtools), BSD-licensed."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image

from ltokc.spawn import find_program

PROGRAM = "butteraugli_main"


@dataclass(frozen=True, slots=True)
class Distance:
    """What the program says of a pair: the largest difference anywhere, and the 3-norm of all; 0 is equal.

    About 1 is where a difference begins to be seen at a screen of 80 cd/m².
    """

    largest: float
    norm: float


def program_of(given: Path | None) -> Path:
    """The program that was given, or the one on the path.  Raises UsageError where there is none."""
    found = given or find_program(PROGRAM)
    if found is None:
        raise click.UsageError(f"no {PROGRAM} on the path: give it with --tool (Debian: libjxl-devtools)")
    return Path(found)


def distance(program: Path, original: Image.Image, decoded: Image.Image) -> Distance:
    """Distance of two RGB pictures of one size.  Raises ClickException where the program fails."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("original.png", "decoded.png")]
        for image, path in zip((original, decoded), paths, strict=True):
            image.convert("RGB").save(path, compress_level=0)
        done = subprocess.run([program, *paths], capture_output=True, text=True)
    return read_distance(done.stdout) if not done.returncode else _failed(done.stderr)


def read_distance(said: str) -> Distance:
    """The two numbers that the program prints: the largest difference, then "3-norm: N".  Raises ClickException."""
    try:
        largest, norm = said.split("\n")[:2]
        return Distance(float(largest), float(norm.removeprefix("3-norm:")))
    except ValueError:
        return _failed(said)


def _failed(said: str) -> Distance:
    raise click.ClickException(f"{PROGRAM} failed: " + " ".join(said.split())[:200])

"""The codec of an older checkout, in a process of its own, so that both can be measured in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from PIL import Image

CHILD = """
import json, sys
from PIL import Image, ImageOps
import ltokc
for line in sys.stdin:
    given = json.loads(line)
    with Image.open(given["picture"]) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    data = ltokc.encode(image, **given["how"])
    with open(given["out"], "wb") as out:
        out.write(data)
    ltokc.decode(data).convert("RGB").save(given["shown"])
    print("done", flush=True)
"""


def surroundings(checkout: Path) -> dict[str, str]:
    """The environment in which Python finds this checkout's package first."""
    return dict(os.environ) | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}


def commit_of(checkout: Path) -> str:
    """The commit of a checkout.  Raises ClickException where it is none."""
    done = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{checkout} is no checkout")
    return done.stdout.strip()


class Earlier:
    """Encode and decode of a checkout: `with Earlier(checkout) as before: before.coded(path, quality=0.6)`.

    It decodes its own files, since before the hash of a model left the encoder out others refuse them.
    """

    def __init__(self, checkout: Path):
        self.checkout = checkout

    def __enter__(self) -> Earlier:
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], env=surroundings(self.checkout), cwd=self.checkout,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def coded(self, picture: Path, **how: Any) -> tuple[bytes, Image.Image]:
        """The file of a picture, and what it decodes to, RGB.  Raises ClickException where the process failed."""
        assert self.process.stdin and self.process.stdout
        out, shown = Path(self.folder.name, "file.ltk"), Path(self.folder.name, "shown.ppm")
        paths = {"picture": str(picture.absolute()), "out": str(out), "shown": str(shown)}
        line = json.dumps(paths | {"how": how})
        print(line, file=self.process.stdin, flush=True)
        if self.process.stdout.readline().strip() != "done":
            raise click.ClickException(f"{self.checkout.name}: {picture.name} could not be encoded")
        with Image.open(shown) as image:
            return out.read_bytes(), image.copy()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

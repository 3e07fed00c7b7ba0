"""Options that several benchmarks have, each written once.

A function here makes a decorator for a click command: `@options.images()` gives its function the argument `images`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ltokc.errors import LtokcError

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
SETTINGS = {"help_option_names": ["-h", "--help"]}
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Decorator = Callable[[Decorated], Decorated]


class Command(click.Command):
    """A command that `python -m bench` runs by its name, with -h; its LtokcErrors are one line and exit status 1."""

    def __init__(self, *given: Any, **named: Any):
        super().__init__(*given, **({"context_settings": SETTINGS} | named))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LtokcError as error:
            raise click.ClickException(str(error)) from error


class Group(Command, click.Group):
    """Several commands under one name of `python -m bench`."""

    command_class = Command


class Numbers(click.ParamType):
    """Numbers separated by commas, as a tuple."""

    name = "numbers"

    def __init__(self, kind: Callable[[str], float] = float):
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(text) for text in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers", param, ctx)


def command() -> Callable[[Callable[..., Any]], click.Command]:
    """A command with -h; its help is the docstring."""
    return click.command(cls=Command)


def images(required: bool = True, text: str = "Folder of pictures.") -> Decorator:
    return click.option("--images", required=required, type=FOLDER, help=text)


def image(required: bool = True, text: str = "Picture.") -> Decorator:
    return click.option("--image", required=required, type=FILE, help=text)


def out(required: bool = False, text: str = "JSON to write.") -> Decorator:
    """Where the record goes; None where it was not given, for standard output."""
    more = "" if required else "  [default: standard output]"
    return click.option("--out", required=required, type=NEW_FILE, help=text + more)


def model() -> Decorator:
    return click.option("--model", metavar="MODEL", help="Model of ltokc by name or id.  [default: the registry's]")


def lpips(required: bool = False) -> Decorator:
    text = "LPIPS weights (SqueezeNet), a .safetensors file" + ("." if required else "; without: no LPIPS.")
    return click.option("--lpips", required=required, type=FILE, help=text)


def shards(required: bool = True, text: str = "Folder with .tar shards of pictures.") -> Decorator:
    return click.option("--shards", required=required, type=FOLDER, help=text)


def cache(required: bool = True) -> Decorator:
    return click.option("--cache", required=required, type=NEW_FOLDER, help="Folder for the decoded pictures.")


def held_out() -> Decorator:
    """As `kept`."""
    return click.option("--held-out", "kept", default=70, show_default=True, help="Pictures that training left aside.")


def count(default: int, text: str) -> Decorator:
    return click.option("--count", default=default, show_default=True, type=click.IntRange(0), help=text)


def quality(default: float | None = 0.6) -> Decorator:
    """None where it was not given and has no default, for the codec's own."""
    more = "  [default: its own]" if default is None else ""
    return click.option("-q", "--quality", default=default, show_default=True, type=click.FloatRange(0, 1),
                        help="Quality of ltokc." + more)  # fmt: skip


def note() -> Decorator:
    return click.option("--note", default="", help="A line to keep with the figures, on how busy the machine was.")


def parts(names: Sequence[str]) -> Decorator:
    return click.option(
        "--part", "parts", multiple=True, type=click.Choice(names), default=names, help="What to measure."
    )


def qualities(default: str) -> Decorator:
    return click.option("--qualities", default=default, show_default=True, type=Numbers(), help="Qualities of ltokc.")


def effort(default: int | None = None) -> Decorator:
    shown = default is not None
    return click.option("--effort", default=default, show_default=shown, type=int, help="Effort of ltokc.")


def efforts(default: str) -> Decorator:
    return click.option("--efforts", default=default, show_default=True, type=Numbers(int), help="Efforts of ltokc.")


def limit() -> Decorator:
    return click.option("--limit", type=click.IntRange(1), help="Only the first pictures.")


def every(default: int = 1) -> Decorator:
    return click.option("--every", default=default, show_default=True, type=click.IntRange(1),
                        help="Only each so many-th picture.")  # fmt: skip


def jobs() -> Decorator:
    return click.option("--jobs", "-j", default=1, show_default=True, type=click.IntRange(1), help="Processes.")


def repeats(default: int) -> Decorator:
    return click.option("--repeats", default=default, show_default=True, type=click.IntRange(1),
                        help="Runs of which the median counts.")  # fmt: skip


def codecs(default: str | None, text: str) -> Decorator:
    return click.option("--codecs", default=default, show_default=default is not None, help=text)


def csv(text: str) -> Decorator:
    """As `csv_out`."""
    return click.option("--csv", "csv_out", type=NEW_FILE, help=text)


def title(text: str) -> Decorator:
    return click.option("--title", help=text)


def seed(text: str) -> Decorator:
    return click.option("--seed", default=0, show_default=True, type=int, help=text)


def work(text: str) -> Decorator:
    return click.option("--work", type=NEW_FOLDER, help=text)

"""Options that several commands share: values with units, rate controls, where outputs go."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import click

from ltokc.errors import UsageError
from ltokc.jobs.paths import Existing
from ltokc.jobs.streams import as_input, as_output
from ltokc.pictures.options import METADATA_KINDS, kinds_of
from ltokc.rate.defaults import DEFAULT_EFFORT, DEFAULT_QUALITY, HIGHEST_EFFORT
from ltokc.tokenizer.generative import DECODERS, GENERATIVE, MAX_SEED

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

MOST_DIGITS = 18  # of a size


class Size(click.ParamType):
    """Bytes with a unit: 800, 2k, 2kB, 1.5M (powers of 1000), 4KiB (powers of 1024)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?([kmg]?i?)b?", str(value).strip().lower())
        if match is None or match[2] not in UNITS:
            self.fail(f"{value!r} is no size; write 800, 2k, 2kB or 1.5M", param, ctx)
        if len(match[1]) > MOST_DIGITS:
            self.fail(f"{value!r} is too large", param, ctx)
        size = math.floor(float(match[1]) * UNITS[match[2]])
        if size < 1:
            self.fail(f"{value!r} is less than a byte", param, ctx)
        return size


class Quality(click.ParamType):
    """A number from 0 to 1; what looks like percent is refused with a hint."""

    name = "quality"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            number = float(text.rstrip("%").replace(",", "."))
        except ValueError:
            self.fail(f"{value!r} is no number from 0 to 1", param, ctx)
        if text.endswith("%") or 1 < number <= 100:
            self.fail(f"{value} is not between 0 and 1; did you mean {number / 100:g}?", param, ctx)
        if "," in text:
            self.fail(f"{value!r} is no number; did you mean {number:g}?", param, ctx)
        if not 0 <= number <= 1:
            self.fail(f"{value} is not between 0 and 1", param, ctx)
        return number


class Density(click.ParamType):
    """Bits per pixel: a finite number above 0."""

    name = "bpp"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        if not (0 < number < math.inf):
            self.fail(f"{value} is no finite number above 0", param, ctx)
        return number


class Number(click.FloatRange):
    """A number in a range, which NaN is in for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


class Name(click.Path):
    """The name of a file or a folder, which is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "":
            self.fail("the name is empty, as that of a shell variable that is not set", param, ctx)
        return str(super().convert(value, param, ctx))


class Input(Name):
    """A file, a folder, or - for standard input, however it is called."""

    def __init__(self) -> None:
        super().__init__(readable=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return as_input(super().convert(value, param, ctx))


class Output(Name):
    """A file to write, or - for standard output, however it is called."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return as_output(super().convert(value, param, ctx))


class Metadata(click.ParamType):
    """none, all, or some kinds with commas between."""

    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        try:
            return kinds_of(value)
        except UsageError as error:
            self.fail(str(error).removeprefix("metadata is "), param, ctx)


def metadata(what: str, default: str) -> Decorator:
    """--metadata, None where it is not given, since `batch` has it for both directions."""
    return click.option("--metadata", type=Metadata(), metavar="KINDS",
                        help=f"Metadata to {what}: none, all, or some of {','.join(METADATA_KINDS)}.  "
                        f"[default: {default}]")  # fmt: skip


def one_of(required: bool = False, **given: Any) -> None:
    """Refuses two rate controls at a time; names are the parameters', e.g. target_size for --target-size."""
    names = [f"--{name.replace('_', '-')}" for name in given]
    used = [name for name, value in zip(names, given.values(), strict=True) if value is not None]
    if len(used) > 1:
        raise click.UsageError(f"one rate control at a time: {' and '.join(used)} exclude each other")
    if required and not used:
        raise click.UsageError(f"one of {', '.join(names)} is needed")


def given(**chosen: Any) -> dict[str, Any]:
    """The options that were given, so that the library's own defaults hold for the others."""
    return {name: value for name, value in chosen.items() if value is not None}


def pixel_limit(value: int | None) -> dict[str, int | None]:
    """Keyword arguments of the library: nothing when the option was not given, None (no limit) for 0."""
    return {} if value is None else {"limit_pixels": value or None}


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


files = click.argument("inputs", nargs=-1, required=True, type=Input(), metavar="FILE...")
recursive = click.option("-r", "--recursive", is_flag=True, help="Take the files in folders, and in their folders.")
exclude = click.option("--exclude", multiple=True, metavar="PATTERN",
                       help="Leave out files and folders of such a name ('*.tif', drafts) or path, seen from "
                       "the folder that is named ('2024/*/raw'); may be repeated.")  # fmt: skip
no_clobber = click.option("-n", "--no-clobber", is_flag=True, help="Leave outputs that exist as they are.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
keep_times = click.option("--keep-times", is_flag=True, help="Give outputs the times of their inputs.")
keep_suffix = click.option("--keep-suffix", is_flag=True,
                           help="Name outputs photo.jpg.ltk, so that photo.jpg and photo.png stay apart.")  # fmt: skip


def existing(overwrite: bool, no_clobber: bool, otherwise: Existing = Existing.REFUSE) -> Existing:
    """What becomes of outputs that exist.  UsageError: both options."""
    if overwrite and no_clobber:
        raise click.UsageError("--overwrite and --no-clobber exclude each other")
    return Existing.REPLACE if overwrite else Existing.SKIP if no_clobber else otherwise


def elsewhere(output: str | None, directory: str | None) -> str:
    """What else than --overwrite helps where the output beside an input exists."""
    return "-o or -d names another place" if output is None and directory is None else ""


def directory(required: bool = False) -> Decorator:
    return click.option("-d", "--directory", type=Name(), metavar="DIR", required=required,
                        help="Folder of the outputs; the inputs' tree is kept.")  # fmt: skip


outputs = together(
    click.option(
        "-o", "--output", type=Output(), metavar="FILE", help="Output file; - for stdout. Only with one input."
    ),
    directory(),
    recursive,
    exclude,
    no_clobber,
    overwrite,
    keep_times,
)
allow_truncated = click.option("--allow-truncated", is_flag=True, help="Show what there is of a file that was cut.")
limit_pixels = click.option("--limit-pixels", type=click.IntRange(min=0), metavar="N",
                            help="Refuse pictures with more pixels; 0: no limit.")  # fmt: skip
quality = click.option("-q", "--quality", type=Quality(), metavar="0..1",
                       help=f"0 smallest to 1 best.  [default: {DEFAULT_QUALITY:g}]")  # fmt: skip
backend = click.option("--backend", type=click.Choice(["auto", "onnx", "openvino", "torch"]), default="auto",
                       show_default=True, help="Runtime of the networks. auto: openvino where it is installed and the "
                       "processor multiplies bf16, else onnx.")  # fmt: skip
precision = click.option("--precision", type=click.Choice(["auto", "exact"]), default="auto", show_default=True,
                         help="exact: fp32 also where bf16 and 8-bit integers are faster.")  # fmt: skip
device = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
                      help="Where they run.")  # fmt: skip
effort = click.option(
    "-e", "--effort", type=click.IntRange(0, HIGHEST_EFFORT), metavar=f"0..{HIGHEST_EFFORT}", default=DEFAULT_EFFORT,
    show_default=True,
    help="0: one pass, a third of the time of 1. 1: meets the quality asked for, gives bytes to the parts that need "
         "them, and rounds digits together; 2 does so several times. 3 and 4 search for better digits and need torch.",
)  # fmt: skip
at_most_tokens = click.option("--tokens", type=click.IntRange(min=1), metavar="N", help="Use the first N tokens only.")

decoder = together(
    click.option(
        "--decoder", type=click.Choice(["auto", *DECODERS]), default="auto", show_default=True,
        envvar="LTOKC_DECODER", show_envvar=True,
        help="faithful: the expected picture, which auto is too. generative: draws the detail that the tokens leave "
             "open.",
    ),
    click.option("--seed", type=click.IntRange(0, MAX_SEED), metavar="N",
                 help="Which drawing, with --decoder generative.  [default: 0]"),
    click.option("--detail", type=Number(0, 1), metavar="0..1",
                 help="Share of the drawn detail that is added, with --decoder generative.  [default: 1]"),
)  # fmt: skip


def sampling(decoder: str, seed: int | None, detail: float | None) -> dict[str, Any]:
    """Keyword arguments of `ltokc.codec.decode`: none for the faithful picture."""
    if decoder == GENERATIVE:
        return {"decoder": decoder, "seed": seed or 0, "detail": 1.0 if detail is None else detail}
    for name, value in (("--seed", seed), ("--detail", detail)):
        if value is not None:
            raise click.UsageError(f"{name} goes with --decoder generative")
    return {}


class Workers(click.ParamType):
    """A number of processes, or `all` for one per core, as far as quota and memory go."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "all":
            from ltokc.threads import most_workers

            return most_workers()
        try:
            return click.IntRange(min=1).convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither a whole number of 1 or more nor all", param, ctx)


jobs = click.option("-j", "--jobs", "workers", type=Workers(), metavar="N|all", default="1", show_default=True,
                    help="Files that are worked on at a time; all: one per core, fewer where quota or memory "
                         "end before.")  # fmt: skip

"""`ltokc decode`: .ltk files to pictures."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

import click

from ltokc.cli import options
from ltokc.cli.console import Console, with_console
from ltokc.cli.convert import convert_all
from ltokc.cli.progress import advance
from ltokc.cli.reading import read_ltk
from ltokc.errors import UsageError
from ltokc.jobs import paths
from ltokc.jobs.conversion import Result
from ltokc.jobs.kinds import LTK, PICTURES
from ltokc.jobs.paths import Job, OutputRule
from ltokc.jobs.streams import STDIO
from ltokc.pictures.options import FORMAT_ALIASES, SAVE_FORMATS
from ltokc.tokenizer.generative import MAX_SEED

MOST_SAMPLES = 64
Box = tuple[int, int, int, int]


class Region(click.ParamType):
    """X,Y,W,H in pixels: left, top, width, height."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Box:
        try:
            x, y, width, height = (int(v) for v in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not X,Y,W,H, four whole numbers", param, ctx)
        if min(x, y) < 0 or min(width, height) < 1:
            self.fail(f"{value} is no region: X and Y are 0 or more, W and H 1 or more", param, ctx)
        return x, y, width, height


def format_of(output: str | None, wanted: str | None) -> str:
    """The format to write: -f, else the suffix of -o, else png.  UsageError: a suffix that says nothing, or another."""
    if output is None or output == STDIO:
        return wanted or "png"
    suffix = os.path.splitext(output)[1].lower().removeprefix(".")
    suffix = FORMAT_ALIASES.get(suffix, suffix)
    if wanted and suffix != wanted and (f".{suffix}" in PICTURES or suffix in (*SAVE_FORMATS, "ltk")):
        raise UsageError(f"-f {wanted} and -o {output} name two formats")
    if wanted:
        return wanted
    if suffix not in SAVE_FORMATS:
        raise UsageError(f"-o {output}: no known suffix; -f says which of {', '.join(SAVE_FORMATS)}")
    return suffix


def suffixes_of(kind: str) -> tuple[str, ...]:
    """The suffixes of a format: .jpg, .jpeg."""
    return (f".{kind}", *(f".{alias}" for alias, name in FORMAT_ALIASES.items() if name == kind))


def decode_one(job: Job, format: str, how: dict[str, Any], samples: int = 1) -> Result:
    """`how`: keyword arguments of `ltokc.codec.decode`; samples: drawings of a generative one on one sheet."""
    from ltokc import codec

    start = time.perf_counter()
    data = read_ltk(job.source)
    losses: list[str] = []
    image = codec.decode(data, progress=advance, say=losses.append, **how)
    from ltokc.pictures.save import render  # with numpy and Pillow, which the decoder has loaded by now
    from ltokc.pictures.sheet import sheet

    if samples > 1:
        seeds = range(how["seed"] + 1, how["seed"] + samples)
        said: list[str] = []  # once is enough
        image = sheet([image, *(codec.decode(data, say=said.append, **how | {"seed": seed}) for seed in seeds)])
    picture = render(image, format, losses.append)
    seconds = time.perf_counter() - start
    fields = {
        "input": job.source, "output": job.target, "format": format, "width": image.width, "height": image.height,
        "bytes": len(data), "seconds": round(seconds, 3),
    }  # fmt: skip
    line = f"{job.source} -> {job.target}  {image.width}x{image.height}  {seconds:.2f} s"
    return Result(picture, line, fields, _notes(how, samples, format), losses)


def _notes(how: dict[str, Any], samples: int, format: str) -> list[str]:
    """What -v says of a picture that is partly drawn."""
    if not how.get("decoder") or not how["detail"]:
        return []
    seeds = f"seed {how['seed']}" if samples == 1 else f"seeds {how['seed']} to {how['seed'] + samples - 1}"
    said = f"{format} has no place to say so" if format in ("npy", "ppm") else "the picture's XMP says so"
    return [f"generated detail ({seeds}, detail {how['detail']:g}); {said}"]


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=options.Input(), metavar="INPUT...")
@options.outputs
@click.option(
    "-f", "--format", type=click.Choice(SAVE_FORMATS), help="Format of the picture.  [default: as -o, else png]"
)
@options.decoder
@click.option("--samples", type=click.IntRange(1, MOST_SAMPLES), metavar="K", default=1,
              help="K drawings on one sheet, of the seeds N, N + 1, and so on, with --decoder generative.")  # fmt: skip
@options.at_most_tokens
@click.option("--crop", type=Region(), metavar="X,Y,W,H", help="Decode this region only, in pixels.")
@options.metadata("hand on", "all")
@options.allow_truncated
@options.limit_pixels
@options.backend
@options.precision
@options.device
@options.jobs
@with_console
def decode(
    console: Console,
    inputs: tuple[str, ...],
    output: str | None,
    directory: str | None,
    recursive: bool,
    exclude: tuple[str, ...],
    no_clobber: bool,
    overwrite: bool,
    keep_times: bool,
    format: str | None,
    decoder: str,
    seed: int | None,
    detail: float | None,
    samples: int,
    metadata: tuple[str, ...] | None,
    limit_pixels: int | None,
    workers: int,
    **how: Any,
) -> None:
    """Decode .ltk files to pictures.

    photo.ltk becomes photo.png beside it, and photo.png.ltk as well. A photo.png that is there already may be the
    original: like any output that exists it is only replaced with --overwrite. - is standard input, and then standard
    output unless -o is given. For JPEG and PPM alpha is blended with white, and that is said.

    \b
    Examples:
      ltokc decode photo.ltk -o back.png
      ltokc decode photo.ltk -f webp
      ltokc decode photo.ltk --tokens 200 -o coarse.png
      ltokc decode map.ltk --crop 4000,2500,512,512 -o part.png
      ltokc decode half.ltk --allow-truncated -o half.png
      ltokc decode photo.ltk --decoder generative --seed 3 -o drawn.png
      ltokc decode photo.ltk --decoder generative --samples 4 -o sheet.png
      ltokc decode -r small -d back
      ltokc decode - < photo.ltk > piped.png
    """
    drawing = options.sampling(decoder, seed, detail)
    if samples > 1 and not drawing:
        raise click.UsageError("--samples goes with --decoder generative")
    if drawing and drawing["seed"] + samples - 1 > MAX_SEED:
        raise click.UsageError(f"--seed {drawing['seed']} --samples {samples}: seeds end at {MAX_SEED}")
    kind = format_of(output, format)
    rule = OutputRule(
        f".{kind}", LTK, output, directory, recursive, exclude=exclude, undone=suffixes_of(kind), keep_times=keep_times,
        existing=options.existing(overwrite, no_clobber), advice=options.elsewhere(output, directory),
    )  # fmt: skip
    plan = paths.plan(inputs, rule, left_out=console.left_out)
    if console.as_json and any(job.target == STDIO for job in plan):
        raise click.UsageError("--json and the picture itself cannot both go to stdout; use -o FILE")
    how |= options.pixel_limit(limit_pixels) | options.given(metadata=metadata) | drawing
    convert = partial(decode_one, format=kind, how=how, samples=samples)
    convert_all(console, plan, convert, workers)

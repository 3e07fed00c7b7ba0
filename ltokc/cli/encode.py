"""`ltokc encode`: pictures to .ltk files."""

from __future__ import annotations

import io
import os
import stat
import time
from functools import partial
from typing import Any

import click

from ltokc.cli import options
from ltokc.cli.console import Console, with_console
from ltokc.cli.convert import convert_all
from ltokc.cli.progress import advance
from ltokc.cli.wording import as_options
from ltokc.jobs import paths, streams
from ltokc.jobs.conversion import Result
from ltokc.jobs.kinds import HEAD, PICTURES, is_picture
from ltokc.jobs.paths import Job, OutputRule
from ltokc.jobs.streams import STDIO
from ltokc.pictures.options import ALPHA_MODES
from ltokc.rate.defaults import PATCH_MODES

SMALL = 2_000_000  # bytes of a picture's file
RATES = ("quality", "tokens", "target_size", "target_bpp")


def keywords(strict: bool, **options_: Any) -> dict[str, Any]:
    """Keyword arguments of `ltokc.codec.encode` from the command's options.  UsageError: they exclude each other."""
    rates = {name: options_.pop(name) for name in RATES}
    options.one_of(**rates)
    if strict and rates["target_size"] is None and rates["target_bpp"] is None:
        raise click.UsageError("--strict goes with --target-size or --target-bpp")
    options_["metadata"] = options_.get("metadata") or ()
    return options_ | {name: value for name, value in rates.items() if value is not None} | {"strict": strict}


def _is_small_picture(source: str) -> bool:
    """Whether it is a file of at most `SMALL` bytes with the first bytes of a picture; what cannot be read is none."""
    try:
        about = os.stat(source)
        if source == STDIO or not stat.S_ISREG(about.st_mode) or about.st_size > SMALL:
            return False
        with open(source, "rb") as file:
            return is_picture(file.read(HEAD))
    except OSError:
        return False


def _open_beside(source: str, how: dict[str, Any]) -> None:
    """Lets the networks be opened while the picture is read, where its file is small and begins as pictures do.

    Then it goes through them in one piece, most likely; others take other graphs (`ltokc.tokenizer.windows`).
    """
    if not _is_small_picture(source):
        return
    from ltokc.rate.effort import effort_of
    from ltokc.zoo.model import open_model

    runtime = open_model(how["model"]).runtime(how["backend"], how["device"], how["precision"])
    runtime.prepare(*effort_of(how["effort"]).graphs)


def encode_one(job: Job, load: dict[str, Any], how: dict[str, Any]) -> Result:
    """`load`, `how`: keyword arguments of `ltokc.pictures.load.load` and `ltokc.codec.encode`."""
    start = time.perf_counter()
    _open_beside(job.source, how)
    from ltokc import codec
    from ltokc.pictures.load import load as load_picture

    source = io.BytesIO(streams.read(STDIO)) if job.source == STDIO else job.source
    given = {name: how[name] for name in ("frame", "allow_damaged") if name in how}
    picture = load_picture(source, **given, **load)
    losses: list[str] = []
    data = codec.encode(picture, progress=advance, say=losses.append, **how, **load)
    seconds = time.perf_counter() - start
    about = codec.info(data)
    before = source.getbuffer().nbytes if isinstance(source, io.BytesIO) else os.path.getsize(source)
    if len(data) > before > 0:
        losses.append(f"the .ltk file is larger than its source: {len(data):,} instead of {before:,} bytes")
    size = f"{about.width}x{about.height}  {len(data):,} bytes  {about.bpp:.3f} bpp"
    fields = {
        "input": job.source, "output": job.target, "width": about.width, "height": about.height, "bytes": len(data),
        "bpp": round(about.bpp, 5), "tokens": about.tokens, "model": about.model, "seconds": round(seconds, 3),
    }  # fmt: skip
    losses = list(map(as_options, losses))
    return Result(data, f"{job.source} -> {job.target}  {size}  {seconds:.2f} s", fields, list(picture.notes), losses)


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=options.Input(), metavar="INPUT...")
@options.outputs
@options.keep_suffix
@options.quality
@click.option("--tokens", type=click.IntRange(min=1), metavar="N", help="Keep this many tokens.")
@click.option("--target-size", type=options.Size(), help="File size to aim for: 800, 2k, 2kB, 1.5M.")
@click.option("--target-bpp", type=options.Density(), help="Bits per pixel of the whole file to aim for.")
@click.option("--strict", is_flag=True, help="Never exceed the target.")
@options.effort
@click.option("--patches", type=click.Choice(PATCH_MODES), default=PATCH_MODES[0], show_default=True,
              help="Lettering and drawings, all above -q 0.9, and what tokens cannot show well, as pictures of their "
              "own inside the file; off: tokens alone.")  # fmt: skip
@click.option("-m", "--model", metavar="NAME", help="Model by name or id; see `ltokc models`.")
@options.metadata("keep", "none")
@click.option("--alpha", type=click.Choice(ALPHA_MODES), default=ALPHA_MODES[0], show_default=True,
              help="Transparency: keep it, forget it, or blend it with white.")  # fmt: skip
@click.option("--frame", type=click.IntRange(min=1), metavar="N",
              help="Frame of an animation or page of a file to encode.  [default: the first]")  # fmt: skip
@click.option("--allow-damaged", is_flag=True, help="Take what can be read of a damaged picture.")
@options.limit_pixels
@options.backend
@options.precision
@options.device
@options.jobs
@with_console
def encode(
    console: Console,
    inputs: tuple[str, ...],
    output: str | None,
    directory: str | None,
    recursive: bool,
    exclude: tuple[str, ...],
    no_clobber: bool,
    overwrite: bool,
    keep_times: bool,
    keep_suffix: bool,
    limit_pixels: int | None,
    workers: int,
    strict: bool,
    **how: Any,
) -> None:
    """Encode pictures as .ltk files.

    photo.png becomes photo.ltk beside it, and so does photo.jpg: --keep-suffix names them apart. A photo.ltk that is
    there already is only replaced with --overwrite. Any format that Pillow reads is taken; - is standard input, and
    then standard output unless -o is given. One of -q, --tokens, --target-size and --target-bpp sets the rate.
    HEIC and JPEG XL need pillow-heif and pillow-jxl-plugin. In folders pictures are known by their suffix or their
    first bytes; what else lies there is left out, and named.

    \b
    Examples:
      ltokc encode photo.png
      ltokc encode photo.png -q 0.8 -o better.ltk
      ltokc encode photo.png --target-size 2k --strict -o smaller.ltk
      ltokc encode *.jpg -d small -j all
      ltokc encode -r pictures -d small -n
      cat photo.png | ltokc encode - > piped.ltk
    """
    how = keywords(strict, **how)
    rule = OutputRule(
        ".ltk", PICTURES, output, directory, recursive, exclude=exclude, keep_suffix=keep_suffix, keep_times=keep_times,
        existing=options.existing(overwrite, no_clobber), advice=options.elsewhere(output, directory),
    )  # fmt: skip
    plan = paths.plan(inputs, rule, left_out=console.left_out)
    if console.as_json and any(job.target == STDIO for job in plan):
        raise click.UsageError("--json and the file itself cannot both go to stdout; use -o FILE")
    load = options.pixel_limit(limit_pixels)
    convert_all(console, plan, partial(encode_one, load=load, how=how), workers)

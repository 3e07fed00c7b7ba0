"""`ltokc verify`: whether .ltk files are whole."""

from __future__ import annotations

import click

from ltokc.cli import options
from ltokc.cli.console import Console, with_console
from ltokc.cli.reading import read_ltk
from ltokc.jobs.kinds import LTK
from ltokc.jobs.sources import Walk, collect


@click.command()
@options.files
@options.recursive
@options.exclude
@options.limit_pixels
@with_console
def verify(
    console: Console, inputs: tuple[str, ...], recursive: bool, exclude: tuple[str, ...], limit_pixels: int | None
) -> None:
    """Check that .ltk files are whole.

    Structure, checksums, and that every token decodes. The networks are not run; only the prior of the
    file's model is needed.

    \b
    Examples:
      ltokc verify photo.ltk
      ltokc verify -r small --quiet && echo all fine
    """
    from ltokc import codec

    for source in collect(inputs, Walk(LTK, recursive, exclude=exclude), console.left_out):
        if source.error:
            console.fail(source.path, source.error)
            continue
        with console.each(source.path):
            codec.verify(read_ltk(source.path), **options.pixel_limit(limit_pixels))
            console.say(f"{source.path}: ok")
            console.record({"input": source.path, "ok": True})
    console.finish()

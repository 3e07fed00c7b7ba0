"""`ltokc trim`: a .ltk file cut to fewer tokens or bytes."""

from __future__ import annotations

import click

from ltokc.cli import options
from ltokc.cli.console import Console, with_console
from ltokc.cli.convert import is_to_do
from ltokc.cli.reading import read_ltk
from ltokc.jobs import paths, streams
from ltokc.jobs.kinds import LTK
from ltokc.jobs.paths import OutputRule
from ltokc.jobs.rows import DONE
from ltokc.jobs.streams import STDIO


@click.command()
@click.argument("source", type=options.Input(), metavar="IN")
@click.option("--tokens", type=click.IntRange(min=1), metavar="N", help="Keep the first N tokens.")
@click.option("--target-size", type=options.Size(), help="Cut to at most this size: 800, 2k, 2kB, 1.5M.")
@click.option("-o", "--output", type=options.Output(), metavar="OUT", required=True, help="Output file; - for stdout.")
@click.option("-n", "--no-clobber", is_flag=True, help="Leave an output that exists as it is.")
@options.overwrite
@options.keep_times
@options.limit_pixels
@with_console
def trim(
    console: Console, source: str, tokens: int | None, target_size: int | None, output: str, no_clobber: bool,
    overwrite: bool, keep_times: bool, limit_pixels: int | None,
) -> None:  # fmt: skip
    """Cut a .ltk file to fewer tokens or bytes.

    The last tokens, those of the finest details, are left out; the picture is not decoded and encoded again. Where a
    size leaves no room for them, metadata goes and alpha gets coarser, then patches go, which show lettering, drawings
    and what is above -q 0.9. That is said.

    \b
    Examples:
      ltokc trim photo.ltk --target-size 1k -o preview.ltk
      ltokc trim photo.ltk --tokens 300 -o coarse.ltk
    """
    options.one_of(required=True, tokens=tokens, target_size=target_size)
    if output == STDIO and console.as_json:
        raise click.UsageError("--json and the file itself cannot both go to stdout; use -o FILE")
    if output == STDIO:
        streams.refuse_terminal()
    existing = options.existing(overwrite, no_clobber)
    rule = OutputRule(".ltk", LTK, output=output, existing=existing, keep_times=keep_times)
    (job,) = paths.plan([source], rule)
    from ltokc import codec

    if is_to_do(console, job):
        with console.each(source):
            before = read_ltk(source)
            losses: list[str] = []
            how = options.pixel_limit(limit_pixels)
            after = codec.trim(before, tokens=tokens, target_size=target_size, say=losses.append, **how)
            about = codec.info(after)
            streams.write(output, after, job.placement)
            losses += _all_there_is(len(before), about.tokens, tokens, target_size) if after == before else []
            console.say(f"{source} -> {output}  {len(before):,} -> {len(after):,} bytes  {about.bpp:.3f} bpp")
            for loss in losses:
                console.say(f"{source}: {loss}")
            console.record({"input": source, "output": output, "bytes_before": len(before), "bytes": len(after),
                           "bpp": round(about.bpp, 5), "tokens": about.tokens,
                           "status": DONE, **({"losses": losses} if losses else {})})  # fmt: skip
    console.finish()


def _all_there_is(size: int, held: int, tokens: int | None, target_size: int | None) -> list[str]:
    """What there is to say of a file that has no more than what it is to be cut to."""
    if target_size is not None and size < target_size:
        return [f"{size:,} bytes are all there is of this file, less than the {target_size:,} that were asked for"]
    if tokens is not None and held < tokens:
        return [f"{held:,} tokens are all there is of this file, fewer than were asked for"]
    return []

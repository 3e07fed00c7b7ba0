"""`ltokc thumbnail`: a small picture of a .ltk file, as file managers ask for it."""

from __future__ import annotations

import os

import click

from ltokc.atomic import Exists
from ltokc.cli import options
from ltokc.cli.console import Console, with_console
from ltokc.cli.reading import read_ltk
from ltokc.errors import Say, UsageError
from ltokc.jobs import paths, streams
from ltokc.jobs.kinds import LTK, PICTURES
from ltokc.jobs.paths import OutputRule
from ltokc.jobs.streams import STDIO

KINDS = {".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp", ".avif": "avif"}


@click.command()
@click.argument("source", type=options.Input(), metavar="IN")
@click.argument("output", type=options.Output(), metavar="OUT")
@click.option("-s", "--size", type=click.IntRange(1, 4096), default=256, show_default=True, metavar="N",
              help="Pixels of the longer side, at most.")  # fmt: skip
@options.overwrite
@options.limit_pixels
@with_console
def thumbnail(console: Console, source: str, output: str, size: int, overwrite: bool, limit_pixels: int | None) -> None:
    """Make a thumbnail of a .ltk file.

    Only the levels that a small picture shows are decoded, and a file that was cut is shown as far as it goes. OUT
    is a JPEG, WebP or AVIF file by its suffix, else PNG; - is stdout. Small pictures are not enlarged. For JPEG alpha
    is blended with white, and that is said.

    \b
    Examples:
      ltokc thumbnail photo.ltk photo-small.png -s 128
      ltokc thumbnail photo.ltk - > thumbnail.png
    """
    if output == STDIO:
        streams.refuse_terminal()
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in (*KINDS, ".png") and (suffix in PICTURES or suffix in LTK):
        raise UsageError(f"{output}: thumbnails are PNG, JPEG, WebP or AVIF files, no {suffix}")
    existing = options.existing(overwrite, no_clobber=False)
    (job,) = paths.plan([source], OutputRule(".png", LTK, output=output, existing=existing))
    with console.each(source):
        if job.error:
            raise Exists(job.error)
        losses: list[str] = []
        data = render(read_ltk(source), size, KINDS.get(suffix, "png"), losses.append,
                      **options.pixel_limit(limit_pixels))  # fmt: skip
        streams.write(output, data, job.placement)
        console.say(f"{source} -> {job.target}  {len(data):,} bytes")
        console.record({"input": source, "output": output, "bytes": len(data), "losses": losses})
        for loss in losses:
            console.say(f"{source}: {loss}")
    console.finish()


def render(data: bytes, size: int, kind: str, say: Say, **limit: int | None) -> bytes:
    """The thumbnail's file; neither side over `size` pixels; `say`: see `save.render`.  Raises as `codec.decode`."""
    from PIL import Image

    from ltokc import codec, container
    from ltokc.pictures import save

    header = container.read_header(data)
    side = max(header.width, header.height)
    reduce = next((s for s in (8, 4, 2) if side // s >= 2 * size), 1)  # what is left halves well
    image = codec.decode(data, allow_truncated=True, reduce=reduce, say=say, **limit)  # type: ignore[arg-type]
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    image.info = {}
    return save.render(image, kind, say)

"""`ltokc info`: what a .ltk file says of itself, and where its bits went.  Without --heatmap it loads nothing heavy."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ltokc.atomic import ANYWHERE
from ltokc.cli import options
from ltokc.cli.console import Console, with_console, write_out
from ltokc.cli.reading import read_ltk
from ltokc.errors import ModelError, UsageError
from ltokc.jobs import names, paths, streams
from ltokc.jobs.kinds import LTK, PICTURES
from ltokc.jobs.sources import Walk, collect
from ltokc.jobs.streams import STDIO

if TYPE_CHECKING:
    from ltokc.codec import Info


def _describe(name: str, about: Info) -> str:
    cut = "  (cut)" if about.truncated else ""
    possible = f" of {about.tokens_total:,}" if about.tokens_total is not None else ""
    halting = ", cells of several depths" if about.depth_map else ""
    rows = [
        ("picture", f"{about.width} x {about.height} px{', gray' if about.gray else ''}"),
        ("file", f"{about.bytes:,} bytes, {about.bpp:.3f} bpp, format {about.version}{cut}"),
        ("model", f"{about.model or 'not known here'} (id {about.model_id})"),
        ("tokens", f"{about.tokens:,}{possible}{halting}"),
        ("segments", f"{about.segments}"),
    ]
    rows += [("decoders", ", ".join(about.decoders))] if about.decoders else []
    if about.patches:
        of_bytes = about.patch_bytes / about.bytes
        rows.append(("patches", f"{about.patches:.0%} of the picture, {of_bytes:.0%} of the bytes"))
    rows += [("chunk", f"{code} {size:,} bytes") for code, size in about.chunks]
    return "\n".join([name, *(f"  {label:9} {text}" for label, text in rows)])


def _fields(name: str, about: Info) -> dict[str, Any]:
    fields = asdict(about)
    fields["chunks"] = [{"fourcc": code, "bytes": size} for code, size in about.chunks]
    return {"input": name, **fields, "bpp": round(about.bpp, 5)}


@click.command()
@options.files
@options.recursive
@options.exclude
@click.option("--heatmap", type=options.Output(), metavar="PNG",
              help="Write a picture of where the bits of the one FILE went; - for stdout.")  # fmt: skip
@click.option("--plain", is_flag=True, help="The heat map alone, not over the picture in gray.")
@options.overwrite
@options.limit_pixels
@with_console
def info(
    console: Console,
    inputs: tuple[str, ...],
    recursive: bool,
    exclude: tuple[str, ...],
    heatmap: str | None,
    plain: bool,
    overwrite: bool,
    limit_pixels: int | None,
) -> None:
    """Show what .ltk files hold.

    Size, bits per pixel, model, tokens, segments, chunks. Only the headers are read; `ltokc verify` reads all
    of a file, and so does --heatmap, in which pale places took the most bits and black ones none.

    \b
    Examples:
      ltokc info photo.ltk
      ltokc info -r small --json
      ltokc info photo.ltk --heatmap where.png
      ltokc encode photo.png -o - | ltokc info -
    """
    from ltokc import codec

    if plain and heatmap is None:
        raise click.UsageError("--plain goes with --heatmap")
    placement = ANYWHERE
    if heatmap is not None:
        _check_heatmap(console, inputs, heatmap)
        placement = paths.named_placement(heatmap, overwrite, inputs[0])
    for source in collect(inputs, Walk(LTK, recursive, exclude=exclude), console.left_out):
        if source.error:
            console.fail(source.path, source.error)
            continue
        with console.each(source.path):
            data = read_ltk(source.path)
            about = codec.info(data)
            if heatmap is not None:
                painted = _heatmap(console, source.path, data, plain, options.pixel_limit(limit_pixels))
                streams.write(heatmap, painted, placement)
                if heatmap == STDIO:
                    continue
            if console.as_json:
                console.record(_fields(source.path, about))
            else:
                write_out(_describe(click.format_filename(source.path), about))
    console.finish()


def _check_heatmap(console: Console, inputs: tuple[str, ...], target: str) -> None:
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise click.UsageError("--heatmap takes one FILE")
    if names.same_file(inputs[0], target):
        raise UsageError(f"{inputs[0]}: input and output are the same file")
    suffix = os.path.splitext(target)[1].lower()
    if suffix != ".png" and (suffix in PICTURES or suffix in LTK):
        raise UsageError(f"--heatmap {target}: a heat map is a PNG file, no {suffix}")
    if target == STDIO:
        if console.as_json:
            raise click.UsageError("--json and the heat map cannot both go to stdout; use --heatmap FILE")
        streams.refuse_terminal()


def _heatmap(console: Console, name: str, data: bytes, plain: bool, limit: dict[str, Any]) -> bytes:
    """A PNG of the picture's size; without the picture under it where there is no runtime to decode it."""
    from PIL import Image

    from ltokc import codec, heatmap
    from ltokc.pictures.planes import samples_of
    from ltokc.pictures.save import on_white, render

    bits = heatmap.bit_map(data, allow_truncated=True, **limit)
    about = codec.info(data)
    under = None
    if not plain:
        try:
            image = codec.decode(data, allow_truncated=True, say=console.detail, **limit)
            under = samples_of(on_white(image))
            del image
        except ModelError as error:
            console.say(f"{name}: heat map without the picture: {error}")
    painted = heatmap.overlay(bits, heatmap.DEFAULT_CELL, about.width, about.height, under)
    return render(Image.fromarray(painted), "png")

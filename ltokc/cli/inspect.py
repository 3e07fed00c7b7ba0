"""`ltokc info`, `verify`, `trim` and `tokens`: what is in a .ltk file.  `info` loads nothing heavy."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ltokc.cli import options
from ltokc.cli.console import Report, reporting, write_out
from ltokc.errors import ModelError, UsageError
from ltokc.jobs import paths
from ltokc.jobs.paths import STDIO

if TYPE_CHECKING:
    from ltokc.codec import Info
    from ltokc.token_grid import Tokens

names = click.argument("inputs", nargs=-1, required=True, type=click.Path(readable=False), metavar="FILE...")


def _describe(name: str, about: Info) -> str:
    cut = "  (cut)" if about.truncated else ""
    possible = f" of {about.tokens_total:,}" if about.tokens_total is not None else ""
    halting = ", cells of several depths" if about.depth_map else ""
    rows = [
        ("picture", f"{about.width} x {about.height} px"),
        ("file", f"{about.bytes:,} bytes, {about.bpp:.3f} bpp, format {about.version}{cut}"),
        ("model", f"{about.model or 'not known here'} (id {about.model_id})"),
        ("tokens", f"{about.tokens:,}{possible}{halting}"),
        ("segments", f"{about.segments}"),
    ]
    rows += [("chunk", f"{code} {size:,} bytes") for code, size in about.chunks]
    return "\n".join([name, *(f"  {label:9} {text}" for label, text in rows)])


def _fields(name: str, about: Info) -> dict[str, Any]:
    fields = asdict(about)
    fields["chunks"] = [{"fourcc": code, "bytes": size} for code, size in about.chunks]
    return {"input": name, **fields, "bpp": round(about.bpp, 5)}


@click.command()
@names
@options.recursive
@click.option("--heatmap", metavar="PNG", help="Write a picture of where the bits of the one FILE went; - for stdout.")
@click.option("--plain", is_flag=True, help="The heat map alone, not over the picture in gray.")
@options.limit_pixels
@reporting
def info(
    report: Report, inputs: tuple[str, ...], recursive: bool, heatmap: str | None, plain: bool, limit_pixels: int | None
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
    if heatmap is not None:
        _check_heatmap(report, inputs, heatmap)
    for source in paths.collect(inputs, paths.LTK, recursive):
        if source.error:
            report.fail(source.path, source.error)
            continue
        with report.each(source.path):
            data = paths.read(source.path)
            about = codec.info(data)
            if heatmap is not None:
                paths.write(heatmap, _heatmap(report, source.path, data, plain, options.pixel_limit(limit_pixels)))
                if heatmap == STDIO:
                    continue
            if report.as_json:
                report.record(_fields(source.path, about))
            else:
                write_out(_describe(click.format_filename(source.path), about))
    report.finish()


def _check_heatmap(report: Report, inputs: tuple[str, ...], target: str) -> None:
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise click.UsageError("--heatmap takes one FILE")
    if paths.same_file(inputs[0], target):
        raise UsageError(f"{inputs[0]}: input and output are the same file")
    if target == STDIO:
        if report.as_json:
            raise click.UsageError("--json and the heat map cannot both go to stdout; use --heatmap FILE")
        paths.refuse_terminal()


def _heatmap(report: Report, name: str, data: bytes, plain: bool, limit: dict[str, Any]) -> bytes:
    """A PNG of the picture's size; without the picture under it where there is no runtime to decode it."""
    import numpy as np
    from PIL import Image

    from ltokc import codec, heatmap
    from ltokc.pictures import load as imageio

    bits = heatmap.bit_map(data, allow_truncated=True, **limit)
    about = codec.info(data)
    under = None
    if not plain:
        try:
            image = codec.decode(data, allow_truncated=True, **limit)
            under = np.asarray(imageio.on_white(image) if image.mode == "RGBA" else image)
        except ModelError as error:
            report.say(f"{name}: heat map without the picture: {error}")
    painted = heatmap.overlay(bits, heatmap.DEFAULT_CELL, about.width, about.height, under)
    return imageio.render(Image.fromarray(painted), "png")


@click.command()
@names
@options.recursive
@options.limit_pixels
@reporting
def verify(report: Report, inputs: tuple[str, ...], recursive: bool, limit_pixels: int | None) -> None:
    """Check that .ltk files are whole.

    Structure, checksums, and that every token decodes. The networks are not run; only the prior of the
    file's model is needed.

    \b
    Examples:
      ltokc verify photo.ltk
      ltokc verify -r small --quiet && echo all fine
    """
    from ltokc import codec

    for source in paths.collect(inputs, paths.LTK, recursive):
        if source.error:
            report.fail(source.path, source.error)
            continue
        with report.each(source.path):
            codec.verify(paths.read(source.path), **options.pixel_limit(limit_pixels))
            report.say(f"{source.path}: ok")
            report.record({"input": source.path, "ok": True})
    report.finish()


@click.command()
@click.argument("source", type=click.Path(readable=False), metavar="IN")
@click.option("--tokens", type=click.IntRange(min=1), metavar="N", help="Keep the first N tokens.")
@click.option("--target-size", type=options.Size(), help="Cut to at most this size: 800, 2k, 2kB, 1.5M.")
@click.option("-o", "--output", type=click.Path(), metavar="OUT", required=True, help="Output file; - for stdout.")
@click.option("-n", "--no-clobber", is_flag=True, help="Leave an output that exists as it is.")
@options.limit_pixels
@reporting
def trim(
    report: Report, source: str, tokens: int | None, target_size: int | None, output: str, no_clobber: bool,
    limit_pixels: int | None,
) -> None:  # fmt: skip
    """Cut a .ltk file to fewer tokens or bytes.

    The last tokens, those of the finest details, are left out; the picture is not decoded and encoded again.

    \b
    Examples:
      ltokc trim photo.ltk --target-size 1k -o preview.ltk
      ltokc trim photo.ltk --tokens 300 -o preview.ltk
    """
    options.one_of(required=True, tokens=tokens, target_size=target_size)
    if output == STDIO and report.as_json:
        raise click.UsageError("--json and the file itself cannot both go to stdout; use -o FILE")
    if output == STDIO:
        paths.refuse_terminal()
    (job,) = paths.plan([source], suffix=".ltk", takes=paths.LTK, output=output, no_clobber=no_clobber)
    from ltokc import codec

    if job.skip:
        report.skipped += 1
    else:
        with report.each(source):
            before = paths.read(source)
            after = codec.trim(before, tokens=tokens, target_size=target_size, **options.pixel_limit(limit_pixels))
            about = codec.info(after)
            paths.write(output, after)
            report.say(f"{source} -> {output}  {len(before):,} -> {len(after):,} bytes  {about.bpp:.3f} bpp")
            report.record({"input": source, "output": output, "bytes_before": len(before), "bytes": len(after),
                           "bpp": round(about.bpp, 5), "tokens": about.tokens})  # fmt: skip
    report.finish()


@click.command()
@click.argument("source", type=click.Path(readable=False), metavar="FILE")
@click.option("--npz", "as_npz", is_flag=True, help="The token arrays as a NumPy .npz file.")
@click.option("-o", "--output", type=click.Path(), metavar="OUT", default=STDIO, help="Output file instead of stdout.")
@click.option("--allow-truncated", is_flag=True, help="Show what there is of a file that was cut.")
@options.limit_pixels
@reporting
def tokens(
    report: Report, source: str, as_npz: bool, output: str, allow_truncated: bool, limit_pixels: int | None
) -> None:
    """Show the tokens of a .ltk file.

    Level by level, from coarse to fine. With --json and --npz all digits are written; a token that the file leaves
    out is null in JSON, and False in the masks of the .npz (arrays level_0, mask_0, level_1, ...).

    \b
    Examples:
      ltokc tokens photo.ltk
      ltokc tokens photo.ltk --json > photo.json
      ltokc tokens photo.ltk --npz -o photo.npz
    """
    if report.as_json and as_npz:
        raise click.UsageError("--json and --npz exclude each other")
    if paths.same_file(source, output):
        raise UsageError(f"{source}: input and output are the same file")
    if as_npz and output == STDIO:
        paths.refuse_terminal()
    from ltokc import codec

    with report.each(source):
        arrays = codec.tokens(paths.read(source), allow_truncated=allow_truncated, **options.pixel_limit(limit_pixels))
        data = _npz(arrays) if as_npz else (_json(source, arrays) if report.as_json else _table(arrays)).encode()
        paths.write(output, data) if as_npz or output != STDIO else write_out(data.decode(), nl=False)
    report.finish()


def _npz(arrays: Tokens) -> bytes:
    import numpy as np

    named: dict[str, Any] = {f"level_{i}": level for i, level in enumerate(arrays.digits)}
    named |= {f"mask_{i}": mask for i, mask in enumerate(arrays.masks)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named, strides=np.asarray(arrays.strides), sizes=np.asarray(arrays.sizes))
    return buffer.getvalue()


def _json(source: str, arrays: Tokens) -> str:
    levels = []
    for level, mask, stride, size in zip(arrays.digits, arrays.masks, arrays.strides, arrays.sizes, strict=True):
        rows = [
            [digits if kept else None for digits, kept in zip(row, flags, strict=True)]
            for row, flags in zip(level.tolist(), mask.tolist(), strict=True)
        ]
        levels.append({"stride": int(stride), "size": int(size), "tokens": rows})
    return json.dumps({"input": source, "levels": levels}) + "\n"


def _table(arrays: Tokens) -> str:
    lines = ["level  stride  rows x columns  digits  values  tokens"]
    for i, (level, mask) in enumerate(zip(arrays.digits, arrays.masks, strict=True)):
        rows, columns, digits = level.shape
        kept = f"{int(mask.sum()):,} of {mask.size:,}"
        grid = f"{rows} x {columns}"
        lines.append(f"{i:5}  {arrays.strides[i]:6}  {grid:>14}  {digits:6}  {arrays.sizes[i]:6}  {kept}")
    return "\n".join(lines) + "\n"

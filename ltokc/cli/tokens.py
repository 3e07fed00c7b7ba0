"""`ltokc tokens`: the tokens of a .ltk file as a table, JSON or .npz."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import click

from ltokc.cli import options
from ltokc.cli.console import Console, with_console, write_out
from ltokc.cli.reading import read_ltk
from ltokc.errors import UsageError
from ltokc.jobs import streams
from ltokc.jobs.names import same_file
from ltokc.jobs.paths import named_placement
from ltokc.jobs.streams import STDIO

if TYPE_CHECKING:
    from ltokc.token_grid import Tokens


@click.command()
@click.argument("source", type=options.Input(), metavar="FILE")
@click.option("--npz", "as_npz", is_flag=True, help="The token arrays as a NumPy .npz file.")
@click.option("-o", "--output", type=options.Output(), metavar="OUT", default=STDIO,
              help="Output file instead of stdout.")  # fmt: skip
@options.overwrite
@options.allow_truncated
@options.limit_pixels
@with_console
def tokens(
    console: Console, source: str, as_npz: bool, output: str, overwrite: bool, allow_truncated: bool,
    limit_pixels: int | None,
) -> None:  # fmt: skip
    """Show the tokens of a .ltk file.

    Level by level, from coarse to fine. With --json and --npz all digits are written; a token that the file leaves
    out is null in JSON, and False in the masks of the .npz (arrays level_0, mask_0, level_1, ...).

    \b
    Examples:
      ltokc tokens photo.ltk
      ltokc tokens photo.ltk --json > tokens.json
      ltokc tokens photo.ltk --npz -o photo.npz
    """
    if console.as_json and as_npz:
        raise click.UsageError("--json and --npz exclude each other")
    if same_file(source, output):
        raise UsageError(f"{source}: input and output are the same file")
    if as_npz and output == STDIO:
        streams.refuse_terminal()
    placement = named_placement(output, overwrite, source)
    from ltokc import codec

    with console.each(source):
        limit = options.pixel_limit(limit_pixels)
        found = read_ltk(source)
        arrays = codec.tokens(found, allow_truncated=allow_truncated, **limit)
        if (about := codec.info(found)).truncated:
            console.say(f"{source}: the file is cut: {arrays.count:,} of {about.tokens:,} tokens shown")
        data = _npz(arrays) if as_npz else _json(source, arrays) if console.as_json else _table(arrays).encode()
        streams.write(output, data, placement) if as_npz or output != STDIO else write_out(data.decode(), nl=False)
    console.finish()


def _npz(arrays: Tokens) -> bytes:
    import numpy as np

    named: dict[str, Any] = {f"level_{i}": level for i, level in enumerate(arrays.digits)}
    named |= {f"mask_{i}": mask for i, mask in enumerate(arrays.masks)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named, strides=np.asarray(arrays.strides), sizes=np.asarray(arrays.sizes))
    return buffer.getvalue()


def _json(source: str, arrays: Tokens) -> bytes:
    """Row by row, so that the numbers of a large picture are never all Python objects at once."""
    out = io.BytesIO()
    out.write(f'{{"input": {json.dumps(source)}, "levels": ['.encode())
    for k, (level, mask) in enumerate(zip(arrays.digits, arrays.masks, strict=True)):
        head = f'"stride": {int(arrays.strides[k])}, "size": {int(arrays.sizes[k])}, "tokens": ['
        out.write(f"{', ' if k else ''}{{{head}".encode())
        for i, (row, flags) in enumerate(zip(level, mask, strict=True)):
            kept = [digits if flag else None for digits, flag in zip(row.tolist(), flags.tolist(), strict=True)]
            out.write(f"{', ' if i else ''}{json.dumps(kept)}".encode())
        out.write(b"]}")
    out.write(b"]}\n")
    return out.getvalue()


def _table(arrays: Tokens) -> str:
    lines = ["level  stride  rows x columns  digits  values  tokens"]
    for i, (level, mask) in enumerate(zip(arrays.digits, arrays.masks, strict=True)):
        rows, columns, digits = level.shape
        kept = f"{int(mask.sum()):,} of {mask.size:,}"
        grid = f"{rows} x {columns}"
        lines.append(f"{i:5}  {arrays.strides[i]:6}  {grid:>14}  {digits:6}  {arrays.sizes[i]:6}  {kept}")
    return "\n".join(lines) + "\n"

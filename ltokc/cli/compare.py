"""`ltokc compare`: files of one picture measured against their original, and against what people use now."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import click

from ltokc.atomic import ANYWHERE
from ltokc.cli import options
from ltokc.cli.console import Console, one_line, with_console, write_out
from ltokc.cli.reading import read_any
from ltokc.cli.wording import as_options
from ltokc.compare.options import RIVALS
from ltokc.errors import UsageError
from ltokc.jobs import streams
from ltokc.jobs.names import same_file
from ltokc.jobs.paths import named_placement
from ltokc.jobs.rows import printable
from ltokc.jobs.streams import STDIO

if TYPE_CHECKING:
    from ltokc.compare.records import FileRecord, PictureComparison

METRICS = {"ssimulacra2": "ssimulacra2", "ms-ssim": "ms_ssim", "psnr": "psnr", "lpips": "lpips_squeeze"}


class Rivals(click.ParamType):
    """Some of jpeg, webp, avif and jxl, separated by commas."""

    name = "codecs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(v.strip().lower() for v in str(value).split(",")))
        names = tuple({"jpg": "jpeg"}.get(name, name) for name in names)
        if unknown := [name for name in names if name not in RIVALS]:
            self.fail(f"{unknown[0]!r} is not one of {', '.join(RIVALS)}", param, ctx)
        return names


@click.command()
@click.argument("original", type=options.Name(), metavar="ORIGINAL")
@click.argument("inputs", nargs=-1, required=True, type=options.Name(), metavar="FILE...")
@click.option("--versus", type=Rivals(), metavar="CODECS", default=(),
              help="Rivals searched to the bytes of the first FILE: some of jpeg,webp,avif,jxl.")  # fmt: skip
@click.option("--metric", type=click.Choice(list(METRICS)),
              help="What rivals are made equal by.  [default: ssimulacra2]")  # fmt: skip
@click.option("--lpips", type=options.Name(), metavar="WEIGHTS",
              help="Also LPIPS, with these weights of SqueezeNet (needs torch).")  # fmt: skip
@click.option("--generated", is_flag=True, help="Also each .ltk FILE as the generative decoder draws it, with seed 0.")
@click.option("--html", type=options.Name(), metavar="OUT",
              help="Also write a page to look at them; with --versus it takes longer.")  # fmt: skip
@options.overwrite
@options.limit_pixels
@options.backend
@options.precision
@options.device
@with_console
def compare(
    console: Console, original: str, inputs: tuple[str, ...], versus: tuple[str, ...], metric: str | None,
    lpips: str | None, generated: bool, html: str | None, overwrite: bool, limit_pixels: int | None, backend: str,
    precision: str, device: str,
) -> None:  # fmt: skip
    """Compare files of a picture with the original.

    FILEs are .ltk files and pictures of any format that Pillow reads, of the original's size. Bytes, bits per pixel,
    SSIMULACRA2, MS-SSIM and PSNR. An .ltk FILE is measured as the faithful decoder shows it. --versus adds the best
    file of each rival that is not larger than the first FILE, and says how many bytes it needs to be as good.

    \b
    Examples:
      ltokc compare photo.png photo.ltk photo.webp
      ltokc compare photo.png photo.ltk --versus jpeg,webp,avif
      ltokc compare photo.png photo.ltk --versus webp,avif --html photo.html
      ltokc compare photo.png photo.ltk --generated --html drawn.html
    """
    if STDIO in (html, original) or inputs.count(STDIO) > 1:
        raise click.UsageError("- (standard input) may be one of the FILEs, and nothing else")
    if metric is not None and not versus:
        raise click.UsageError("--metric goes with --versus: rivals are made equal by it")
    if metric == "lpips" and lpips is None:
        raise click.UsageError("--metric lpips goes with --lpips WEIGHTS")
    for name in (original, *inputs):
        if html is not None and same_file(name, html):
            raise UsageError(f"{name}: input and output are the same file")
    placement = ANYWHERE if html is None else named_placement(html, overwrite, original)
    from ltokc.compare import compare_picture
    from ltokc.compare.report import report_html

    with console.each(original):
        labels = _labels(inputs)
        limits: dict[str, Any] = {**options.pixel_limit(limit_pixels)}
        given = [(label, read_any(name), None) for label, name in zip(labels, inputs, strict=True)]
        found = compare_picture(
            original, given, versus=versus, metric=METRICS[metric] if metric else None, lpips=lpips,
            curve=html is not None and bool(versus), views=html is not None, generated=generated,
            how={"backend": backend, "precision": precision, "device": device}, **limits,
        )  # fmt: skip
        if html is not None:
            streams.write(html, report_html([found], budget=None).encode(), placement)
            console.say(f"{original} -> {html}  {os.path.getsize(html):,} bytes")
        write_out(_json(found) if console.as_json else _table(found))
        for note in found.notes:
            console.detail(f"{original}: {as_options(note)}")
    console.finish()


def _labels(inputs: tuple[str, ...]) -> list[str]:
    """Base names where they differ, else the names as they were given."""
    short = [printable(os.path.basename(name)) for name in inputs]
    return short if len(set(short)) == len(short) else [printable(name) for name in inputs]


def _json(found: PictureComparison) -> str:
    from ltokc.compare.tables import json_fields

    return json.dumps(json_fields(found))


def _table(found: PictureComparison) -> str:
    from ltokc.compare.scores import DIGITS, SHORT
    from ltokc.compare.scores import METRICS as ALL

    rows: list[tuple[FileRecord, str]] = [(record, "") for record in found.files]
    rows += [(rival.same_bytes, _note(found, i)) for i, rival in enumerate(found.rivals)]
    metrics = [m for m in ALL if any(record.scores.get(m) is not None for record, _ in rows)]
    lines = [["file", "bytes", "bpp", *(SHORT[m] for m in metrics), ""]]
    for record, note in rows:
        scores = [record.scores.get(m) for m in metrics]
        texts = ["-" if v is None else f"{v:.{DIGITS[m]}f}" for m, v in zip(metrics, scores, strict=True)]
        lines.append([one_line(record.label), f"{record.bytes:,}", f"{record.bpp:.3f}", *texts, note])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = io.StringIO()
    for line in lines:
        cells = [cell.ljust(w) if i in (0, len(line) - 1) else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(line, widths, strict=True))]  # fmt: skip
        out.write("  ".join(cells).rstrip() + "\n")
    return out.getvalue().rstrip("\n")


def _note(found: PictureComparison, place: int) -> str:
    """Where a rival's file lies, and what it needs to be as good as ours."""
    from ltokc.compare.scores import LABELS

    rival = found.rivals[place]
    parts = [f"quality {rival.same_bytes.quality:g}"]
    if rival.same_bytes.scale > 1:
        parts.append(f"at 1/{rival.same_bytes.scale} size")
    over = "larger: its smallest file" if rival.below < 0 else "smaller"
    parts.append(f"{100 * abs(rival.below):.1f} % {over}")
    equal = rival.same_quality
    if equal.bytes is None:
        parts.append(f"never as good by {LABELS[equal.metric]}")
    else:
        most = "at most " if equal.bound else ""
        parts.append(f"as good by {LABELS[equal.metric]} at {most}{equal.bytes:,.0f} bytes")
    return ", ".join(parts)

"""`ltokc batch`: folders of pictures to .ltk files, or back, on all cores; it can be killed and goes on."""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

import click

from ltokc.cli import decode as decoding
from ltokc.cli import encode as encoding
from ltokc.cli import options
from ltokc.cli.compare import Versus
from ltokc.cli.console import Report, complain, reason, reporting
from ltokc.cli.progress import Progress, human
from ltokc.jobs import journal, paths
from ltokc.jobs import processes as workers
from ltokc.jobs import rows as report_rows
from ltokc.jobs import task as work
from ltokc.jobs.paths import Job
from ltokc.jobs.rows import FAILED, FRESH, SKIPPED, Row
from ltokc.jobs.task import Recipe, Task

Shard = tuple[int, int]
NAMED_AT_THE_END = 20


class ShardOf(click.ParamType):
    """I/N: part I of N, I from 1."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not I/N with I from 1 to N", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(readable=False), metavar="SRC...")
@click.option("-d", "--directory", type=click.Path(), metavar="DIR", required=True,
              help="Folder of the outputs; the inputs' tree is kept.")  # fmt: skip
@options.recursive
@click.option("--decode", "decode_", is_flag=True, help="Decode .ltk files to pictures.")
@click.option("--resume", is_flag=True, help="Leave out what an earlier run finished with the same options.")
@click.option("-n", "--no-clobber", is_flag=True, help="Leave outputs that exist as they are.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--shard", type=ShardOf(), metavar="I/N", help="Do part I of N, chosen by path, for several machines.")
@click.option("--keep-smaller", is_flag=True,
              help="Where the .ltk file is not smaller than its source, copy the source (with its metadata) to DIR "
              "instead, under its own name: so DIR is complete and no picture grows.")  # fmt: skip
@click.option("--report", "tables", multiple=True, type=click.Path(), metavar="FILE",
              help="Write a row for each picture to FILE, by its suffix "
              f"{' or '.join(report_rows.WRITERS)}, with --versus also .html; may be repeated.")  # fmt: skip
@click.option("--versus", type=Versus(), metavar="CODECS", default=(),
              help="Compare each .ltk file with what some of jpeg,webp,avif,jxl make of the picture in the same bytes; "
              "goes with --report. Takes much longer than encoding.")  # fmt: skip
@options.limit_pixels
@options.backend
@options.device
@click.option("-j", "--jobs", type=options.Workers(), metavar="N|all", default="all", show_default=True,
              help="Pictures that are worked on at a time.")  # fmt: skip
@reporting
def batch(
    report: Report,
    inputs: tuple[str, ...],
    directory: str,
    recursive: bool,
    decode_: bool,
    resume: bool,
    no_clobber: bool,
    dry_run: bool,
    shard: Shard | None,
    keep_smaller: bool,
    tables: tuple[str, ...],
    versus: tuple[str, ...],
    limit_pixels: int | None,
    jobs: int,
    **chosen: Any,
) -> None:
    """Encode folders of pictures, or decode folders of .ltk files.

    SRC is a file, a folder (with -r), or a pattern in quotes, such as 'in/**/*.png'. The outputs keep the inputs'
    paths below DIR. A picture that fails does not stop the others; it is named at the end.

    A run that was interrupted or killed goes on with --resume: pictures are done again whose source, output or
    options are not those of the journal that every run keeps in DIR (.ltokc-batch*.journal). --resume is also the
    way to add new pictures to a folder that was done before.

    \b
    Examples:
      ltokc batch -r pictures -d small
      ltokc batch -r pictures -d small --resume --report small.csv
      ltokc batch -r pictures -d small -q 0.8 --keep-smaller
      ltokc batch 'holiday/**/*.jpg' -d small --target-bpp 0.1 --shard 1/4
      ltokc batch --decode -r small -d pictures -f webp
      ltokc batch -r pictures -d small --versus jpeg,webp,avif --report small.html
    """
    if versus and (decode_ or not tables):
        raise click.UsageError("--versus is for encoding and goes with --report")
    for table in tables:
        _check_comparison(table) if versus else report_rows.check(table)
    write: Tables = partial(_write, tables)
    if versus:
        from ltokc.rate.target import DEFAULT_QUALITY

        rate = chosen.get("quality")
        others = any(chosen.get(name) is not None for name in ("tokens", "target_size", "target_bpp"))
        quality = None if others else DEFAULT_QUALITY if rate is None else rate
        write = partial(_write_comparison, tables, report, versus, quality, directory, limit_pixels, jobs)
    if decode_ and keep_smaller:
        raise click.UsageError("--keep-smaller is for encoding, not for --decode")
    convert, suffix, shaping = _decoder(chosen, limit_pixels) if decode_ else _encoder(chosen, limit_pixels)
    takes = paths.LTK if decode_ else paths.PICTURES
    plan = paths.plan(inputs, suffix=suffix, takes=takes, directory=directory, recursive=recursive,
                      no_clobber=no_clobber, patterns=True)  # fmt: skip
    if keep_smaller and no_clobber:
        plan = work.copies_exist(plan)
    plan = [job for job in plan if work.in_shard(work.below(job.target, directory), shard)]
    if not plan and not decode_ and paths.collect(inputs, paths.LTK, recursive):
        report.say("no pictures, but .ltk files: did you mean --decode?")
    known = journal.read_all(directory) if resume else {}
    tasks = [Task(job, tuple(known.get(work.below(job.target, directory), ()))) for job in plan]
    options_ = journal.fingerprint({**shaping, "keep_smaller": keep_smaller})
    if dry_run:
        _rehearse(report, Recipe(convert, options_, directory, "", "", keep_smaller), tasks)
        return
    if all(job.error or job.skip for job in plan):
        _finish(report, _settled(report, tasks)[1], write, Progress(0, False))
        return
    with journal.Journal(directory, shard) as book:
        book.clean({os.path.dirname(job.target) for job in plan})
        recipe = Recipe(convert, options_, directory, book.path, book.mark, keep_smaller)
        _run(report, recipe, tasks, jobs, write)


def _only(names: Sequence[str], verb: str) -> None:
    """Refuses options of the other direction."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT):
            option = next(p for p in context.command.params if p.name == name)
            raise click.UsageError(f"{option.opts[-1]} is for {verb}")


def _encoder(chosen: dict[str, Any], limit_pixels: int | None) -> tuple[Any, str, dict[str, Any]]:
    """The conversion, the suffix of its outputs, and what shapes them."""
    from ltokc.zoo import registry

    _only([name for name in DECODING if name not in ENCODING], "decoding, with --decode")
    how = encoding.keywords(**{k: v for k, v in chosen.items() if k in (*ENCODING, "backend", "device")})
    convert = partial(encoding.encode_one, load=options.pixel_limit(limit_pixels), how=how)
    model = registry.find(how["model"])
    return convert, ".ltk", {"encode": _shape(how), "model": [model.id, model.files, model.quality]}


def _decoder(chosen: dict[str, Any], limit_pixels: int | None) -> tuple[Any, str, dict[str, Any]]:
    from ltokc.zoo import registry

    _only([name for name in ENCODING if name not in DECODING], "encoding, not for --decode")
    how = {k: v for k, v in chosen.items() if k in (*DECODING, "backend", "device")}
    kind = how.pop("format") or "png"
    convert = partial(decoding.decode_one, format=kind, how=how | options.pixel_limit(limit_pixels))
    models = [[model.id, model.files] for model in registry.registry()]
    return convert, f".{kind}", {"decode": _shape(how), "format": kind, "models": models}


def _shape(how: dict[str, Any]) -> dict[str, Any]:
    """Without what is only about where and how fast."""
    return {name: value for name, value in how.items() if name not in ("backend", "device")}


def _settled(report: Report, tasks: Sequence[Task]) -> tuple[list[tuple[int, Task]], dict[int, Row]]:
    """What there is to do, and the rows of what needs no work or cannot be done, both with their place in the plan."""
    todo: list[tuple[int, Task]] = []
    rows: dict[int, Row] = {}
    for place, task in enumerate(tasks):
        job = task.job
        if job.error:
            rows[place] = _failed(report, job, job.error)
        elif job.skip:
            rows[place] = Row(job.source, job.target, SKIPPED)
            report.skipped += 1
            report.detail(f"{job.source}: {job.target} exists, skipped")
            report.record(asdict(rows[place]))
        else:
            todo.append((place, task))
    return todo, rows


def _failed(report: Report, job: Job, error: Exception | str) -> Row:
    text = error if isinstance(error, str) else reason(error, job.source)
    report.failed += 1
    report.trace(error)
    complain(f"{job.source}: {text}")
    row = Row(job.source, None, FAILED, error=text)
    report.record(asdict(row))
    return row


def _rehearse(report: Report, recipe: Recipe, tasks: Sequence[Task]) -> None:
    """--dry-run.  Raises click's Exit."""
    todo, _ = _settled(report, tasks)
    size = 0
    for _, task in todo:
        if work.done_before(recipe, task) is not None:
            report.skipped += 1
            report.detail(f"{task.job.source}: done before")
            continue
        report.done += 1
        size += os.path.getsize(task.job.source) if os.path.exists(task.job.source) else 0
        report.say(f"{task.job.source} -> {task.job.target}")
        report.record({"input": task.job.source, "output": task.job.target})
    report.say(f"would read {report.done:,} files, {human(size)}")
    report.finish()


def _run(report: Report, recipe: Recipe, tasks: Sequence[Task], processes: int, write: Tables) -> None:
    todo, rows = _settled(report, tasks)
    bar = not report.quiet and not report.as_json and sys.stderr.isatty()
    progress = Progress(len(todo), bar)
    waiting = [task for _, task in todo]
    try:
        with closing(workers.run(waiting, partial(work.perform, recipe), min(processes, len(todo)))) as outcomes:
            for outcome in outcomes:
                with progress.aside():
                    row = _told(report, outcome, loud=report.verbose > 0)
                rows[todo[outcome.index][0]] = row
                progress.add(row)
    except BaseException:  # interrupted: the report says what was done so far
        progress.close()
        write(rows, interrupted=True)
        raise
    progress.close()
    _finish(report, rows, write, progress)


def _told(report: Report, outcome: workers.Outcome[Task, Row], loud: bool) -> Row:
    """The row of an outcome, counted and told."""
    try:
        row = outcome.get()
    except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
        return _failed(report, outcome.job.job, error)
    if row.status in FRESH:
        report.done += 1
    else:
        report.skipped += 1
    if loud:
        size = f"{row.width}x{row.height}  {row.input_bytes or 0:,} -> {row.output_bytes or 0:,} bytes"
        report.say(f"{row.input} -> {row.output or row.input}  {size}  {row.seconds:.2f} s  {row.status}")
        if row.notes:
            report.say(f"{row.input}: {row.notes}")
    report.record(asdict(row))
    return row


class Tables(Protocol):
    """Writes what --report asks for; after an interruption, if that is quickly done."""

    def __call__(self, rows: dict[int, Row], interrupted: bool = False) -> None: ...


def _write(tables: Sequence[str], rows: dict[int, Row], interrupted: bool = False) -> None:
    ordered = [rows[place] for place in sorted(rows)]
    for table in tables:
        paths.write(table, report_rows.render(table, ordered))


def _check_comparison(table: str) -> None:
    from ltokc.compare.report import suffix_of

    suffix_of(table)


def _write_comparison(
    tables: Sequence[str], report: Report, versus: Sequence[str], quality: float | None, directory: str,
    limit_pixels: int | None, processes: int, rows: dict[int, Row], interrupted: bool = False,
) -> None:  # fmt: skip
    from ltokc.cli.batch_versus import compared
    from ltokc.compare import write

    if interrupted:
        return
    ordered = [rows[place] for place in sorted(rows)]
    records = compared(report, ordered, versus, quality, directory, limit_pixels, processes)
    for table in tables if records else ():
        write(table, records)


def _finish(report: Report, rows: dict[int, Row], write: Tables, progress: Progress) -> None:
    """Reports, the names of what failed, sums, exit status (raises click's Exit)."""
    write(rows)
    failed = [rows[place].input for place in sorted(rows) if rows[place].status == FAILED]
    if failed and len(rows) > 1:
        more = len(failed) - NAMED_AT_THE_END
        complain(f"failed: {', '.join(failed[:NAMED_AT_THE_END])}" + (f" and {more:,} more" if more > 0 else ""))
    if report.done:
        report.say(f"{progress.text()}, {progress.seconds:.1f} s")
    report.finish()


def _borrow() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gives `batch` the options of encode and decode that shape an output, so that they stay the same."""
    own = {p.name for p in batch.params} | {"output", "crop", "decoder"}
    taken: list[click.Parameter] = []
    found = []
    for command in (encoding.encode, decoding.decode):
        params = [p for p in command.params if p.name not in own]
        taken += [copy.copy(p) for p in params if p.name not in {t.name for t in taken}]
        found.append(tuple(str(p.name) for p in params))
    for param in taken:
        if param.name == "format" and isinstance(param, click.Option):
            param.help = "Format of decoded pictures.  [default: png]"
    place = next(i for i, p in enumerate(batch.params) if p.name == "limit_pixels")
    batch.params[place:place] = taken
    return found[0], found[1]


ENCODING, DECODING = _borrow()  # names of options by direction; `tokens` is in both

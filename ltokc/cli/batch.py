"""`ltokc batch`: folders of pictures to .ltk files, or back, on all cores; it can be killed and goes on."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from typing import Any

import click

from ltokc.cli import batch_direction, batch_run, options
from ltokc.cli.batch_tables import Reports, Tables, write_rows
from ltokc.cli.batch_versus import Versus, check_table, write_comparison
from ltokc.cli.compare import Rivals
from ltokc.cli.console import Console, with_console
from ltokc.cli.encode import RATES
from ltokc.jobs import journal, paths, rows, task
from ltokc.jobs.left_out import DONE
from ltokc.jobs.leftovers import Earlier
from ltokc.jobs.paths import Existing, OutputRule
from ltokc.jobs.rows import WRITERS
from ltokc.jobs.task import BatchPlan, Task
from ltokc.rate.defaults import DEFAULT_QUALITY

Shard = tuple[int, int]
ADVICE = "--resume goes on with an earlier batch"


class ShardOf(click.ParamType):
    """I/N: part I of N, I from 1."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(value).strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not I/N with I from 1 to N", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=options.Input(), metavar="SRC...")
@options.directory(required=True)
@options.recursive
@options.exclude
@click.option("--decode", "decode_", is_flag=True, help="Decode .ltk files to pictures.")
@click.option("--resume", is_flag=True, help="Leave out what an earlier run finished with the same options.")
@options.no_clobber
@options.overwrite
@options.keep_suffix
@options.keep_times
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--shard", type=ShardOf(), metavar="I/N",
              help="Do part I of N, chosen by path, for several machines; one that has no picture is done (exit "
              "status 0).")  # fmt: skip
@click.option("--keep-smaller", is_flag=True,
              help="Where the .ltk file is not smaller than its source, copy the source (with its metadata) to DIR "
              "instead, under its own name: so DIR is complete and no picture grows. A file that is left out and "
              "that --exclude does not name is an error then, but not .DS_Store, Thumbs.db and the like.")  # fmt: skip
@click.option("--report", "tables", multiple=True, type=options.Name(), metavar="FILE",
              help="Write a row for each picture to FILE, by its suffix "
              f"{' or '.join(WRITERS)}, with --versus also .html; may be repeated. In a CSV a byte of a name "
              r"that is no UTF-8 is \udc80 to \udcff, as in JSON.")  # fmt: skip
@click.option("--versus", type=Rivals(), metavar="CODECS", default=(),
              help="Compare each .ltk file with what some of jpeg,webp,avif,jxl make of the picture in the same bytes; "
              "goes with --report. Takes much longer than encoding.")  # fmt: skip
@options.limit_pixels
@options.backend
@options.precision
@options.device
@click.option("-j", "--jobs", "workers", type=options.Workers(), metavar="N|all", default="all", show_default=True,
              help="Pictures that are worked on at a time; all: one per core, fewer where quota or memory end "
              "before.")  # fmt: skip
@with_console
def batch(
    console: Console,
    inputs: tuple[str, ...],
    directory: str,
    recursive: bool,
    exclude: tuple[str, ...],
    decode_: bool,
    resume: bool,
    no_clobber: bool,
    overwrite: bool,
    keep_suffix: bool,
    keep_times: bool,
    dry_run: bool,
    shard: Shard | None,
    keep_smaller: bool,
    tables: tuple[str, ...],
    versus: tuple[str, ...],
    limit_pixels: int | None,
    workers: int,
    **chosen: Any,
) -> None:
    """Encode folders of pictures, or decode folders of .ltk files.

    SRC is a file, a folder (with -r its folders too), or a pattern in quotes, such as 'in/**/*.png'. The outputs keep
    the inputs' paths below DIR. A picture that fails does not stop the others; it is named at the end, and so is what
    lies in the folders and is no picture, or belongs to a NAS or an operating system.

    A run that was interrupted or killed goes on with --resume: pictures are done again whose output is missing, or
    whose source or options are not those of the journal that every run keeps in DIR (.ltokc-batch*.journal). --resume
    is also the way to add new pictures to a folder that was done before, or to do it with other options: it replaces
    what a batch wrote there of the same picture, and no other file, not one that has changed since and not that of
    another folder's picture of the name. --overwrite replaces any. Where a picture's output has another name than
    before (--keep-smaller), what the run before wrote is removed, if it is still that.

    \b
    Examples:
      ltokc batch -r pictures -d small
      ltokc batch -r pictures -d small --resume --report small.csv
      ltokc batch -r pictures -d better -q 0.8 --keep-smaller
      ltokc batch 'holiday/**/*.jpg' -d holiday-small --target-bpp 0.1 --shard 1/4
      ltokc batch --decode -r small -d back -f webp
      ltokc batch -r pictures -d compared --versus jpeg,webp,avif --report compared.html
    """
    if versus and (decode_ or not tables):
        raise click.UsageError("--versus is for encoding and goes with --report")
    if versus and (chosen["frame"] or 1) > 1:
        raise click.UsageError("--versus compares with the first frame; --frame excludes it")
    for table in tables:
        check_table(table) if versus else rows.check(table)
    reports = Reports(tables, os.path.join(directory, journal.name_of(shard)), overwrite, resume)
    write: Tables = partial(write_rows, reports)
    if versus:
        against = Versus(versus, _quality(chosen), directory, limit_pixels or None, workers)
        write = partial(write_comparison, against, reports, console)
    if decode_ and (keep_smaller or keep_suffix):
        raise click.UsageError(f"--keep-{'smaller' if keep_smaller else 'suffix'} is for encoding, not for --decode")
    direction = (batch_direction.decoder if decode_ else batch_direction.encoder)(chosen, BORROWED, limit_pixels)
    existing = options.existing(overwrite, no_clobber, Existing.RESUME if resume else Existing.REFUSE)
    rule = OutputRule(
        direction.suffix, direction.takes, directory=directory, recursive=recursive, own=True, exclude=exclude,
        patterns=True, keep_suffix=keep_suffix, undone=direction.undone, existing=existing, advice=ADVICE,
        keep_times=keep_times,
    )  # fmt: skip
    reports.check()
    found = task.without_absent(paths.plan(inputs, rule, left_out=console.left_out))
    if keep_smaller and no_clobber:
        found = task.copies_exist(found)
    every = journal.read_all(directory)
    earlier = Earlier(every, directory, keep_smaller)
    earlier.own(found)
    found = [earlier.settled(job, existing) for job in found]
    mine = [job for job in found if task.in_shard(task.below(job.target, directory), shard)]
    if shard and found and not mine:
        kind = console.left_out.kinds[len(found) != 1]
        console.none_is_fine = f"nothing to do: shard {shard[0]}/{shard[1]} has none of {len(found):,} {kind}"
    elif not found and not decode_ and console.left_out.paths.get(DONE):
        console.say("no pictures, but .ltk files: did you mean --decode?")
    found, known = mine, every if resume else {}
    console.idle_is_done = resume
    console.whole = f"{directory} is not complete" if keep_smaller else ""
    tasks = [Task(job, tuple(known.get(task.below(job.target, directory), ())), earlier.of(job)) for job in found]
    shaping = journal.fingerprint({**direction.shaping, "keep_smaller": keep_smaller})
    from ltokc.tokenizer.runtime import runtime_name  # loads numpy

    runtime = runtime_name(chosen["backend"], chosen["device"], chosen["precision"])
    if others := task.other_runtimes(known.values(), runtime):
        console.say(
            f"files there were made with {', '.join(others)}, not {runtime}: they stay, and differ in roundings"
        )
    plan = BatchPlan(direction.convert, shaping, directory, keep_smaller, runtime=runtime)
    if dry_run:
        batch_run.rehearse(console, plan, tasks)
    elif all(job.error or job.skip for job in found):
        batch_run.nothing(console, tasks, write)
    else:
        with journal.Journal(directory, shard) as book:
            book.clean({os.path.dirname(job.target) for job in found})
            batch_run.run(console, replace(plan, journal=book.path, mark=book.mark), tasks, workers, write)


def _quality(chosen: dict[str, Any]) -> float | None:
    """The -q of the batch, given or the default; None where another rate control sets the rate."""
    if any(chosen.get(name) is not None for name in RATES if name != "quality"):
        return None
    return DEFAULT_QUALITY if chosen.get("quality") is None else chosen["quality"]


BORROWED = batch_direction.borrow(batch)

"""Which output belongs to which input: the path rules of the command line.

`photo.png` becomes `photo.ltk` beside it; with a folder (`-d`) the outputs keep their paths below the deepest folder
that holds all inputs, so that a tree is mirrored and never flattened.  No input is ever an output, no two outputs are
one file, and no file that exists is replaced unless that is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from ltokc.atomic import ANYWHERE, Exists, Placement, link_below, why_unwritable
from ltokc.errors import LtokcError, UsageError
from ltokc.jobs.kinds import LTK, PICTURES, Kind
from ltokc.jobs.left_out import ODD, LeftOut
from ltokc.jobs.names import Taken, same_file, same_name
from ltokc.jobs.patterns import expand, fixed_part
from ltokc.jobs.sources import Source, Walk, collect, is_odd
from ltokc.jobs.streams import STDIO

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Existing(Enum):
    """What becomes of an output that exists already."""

    REFUSE = "its job fails"
    SKIP = "it stays, its job is skipped"
    REPLACE = "it is replaced"
    RESUME = "whoever does the job replaces what a journal knows, and refuses the rest"


@dataclass(frozen=True, slots=True)
class OutputRule:
    """How outputs are named.

    suffix: of the outputs; takes: the kind of the inputs.  output, directory: -o and -d.
    recursive: take what lies in folders and in theirs; own: what lies in named folders alone; exclude: patterns of
    names and paths that are left out.
    patterns: inputs may be globs, mirrored from their fixed part.
    keep_suffix: the input's suffix stays before the output's (photo.jpg.ltk); undone: suffixes to which `suffix` is not
    added (with .jpg and .jpeg photo.jpeg.ltk is decoded to photo.jpeg).
    existing, advice: what becomes of an output that exists, and what else than --overwrite may help.  keep_times:
    outputs get the times of their inputs.
    """

    suffix: str
    takes: Kind
    output: str | None = None
    directory: str | None = None
    recursive: bool = False
    own: bool = False
    exclude: tuple[str, ...] = ()
    patterns: bool = False
    keep_suffix: bool = False
    undone: Collection[str] = ()
    existing: Existing = Existing.REFUSE
    advice: str = ""
    keep_times: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output (`-` for the standard streams), and how the output takes its place.

    `error`: why it cannot be done; `skip`: why it is left out ("" for both when it is to be done).
    """

    source: str
    target: str
    error: str = ""
    skip: str = ""
    placement: Placement = field(default=ANYWHERE, compare=False)


def copy_of(job: Job) -> str:
    """Where the source itself would be mirrored to."""
    return os.path.join(os.path.dirname(job.target), os.path.basename(job.source))


def renamed(path: str, rule: OutputRule) -> str:
    """`path` with the suffix of outputs in place of its own where that is an input's: a.png -> a.ltk, a.v2 -> a.v2.ltk.

    keep_suffix: a.png -> a.png.ltk; and back, a.png.ltk -> a.png where .png is one of `undone`.
    """
    stem, own = os.path.splitext(path)
    if rule.keep_suffix or own.lower() not in rule.takes:
        return path + rule.suffix
    return stem if os.path.splitext(stem)[1].lower() in rule.undone else stem + rule.suffix


def plan(
    inputs: Sequence[str], rule: OutputRule, asked: Callable[[str, str], bool] = same_name,
    left_out: LeftOut | None = None,
) -> list[Job]:  # fmt: skip
    """Pairs inputs with outputs.  asked: whether two paths would be one file; but for that nothing is touched.

    left_out: is told of what lies in named folders and is not taken.  Outputs of an earlier run, below a folder that is
    walked, are no inputs.
    UsageError: the arguments do not fit together.  What is wrong with one file alone is told in its job's `error`.
    """
    _check(inputs, rule)
    left_out = LeftOut() if left_out is None else left_out
    roots = [i if os.path.isdir(i) else os.path.dirname(i) for i in inputs]
    matches: set[str] = set()
    if rule.patterns:
        found = [(name, expand(name, rule.exclude, left_out)) for name in inputs]
        roots = [
            root if match == [name] else fixed_part(name) for root, (name, match) in zip(roots, found, strict=True)
        ]
        inputs = [name for _, match in found for name in match]
        matches = {name for given, match in found for name in match if name != given}
    walk = Walk(rule.takes, rule.recursive, rule.own, rule.exclude, rule.directory or "")
    sources = collect(inputs, walk, left_out)
    for odd in [source for source in sources if source.path in matches and is_odd(source.path)]:
        left_out.add(ODD, odd.path)
        sources.remove(odd)
    root = _common_root(roots) if rule.directory is not None else ""
    taken = Taken((source.path for source in sources), asked)
    return [_job(source, _target(source.path, rule, root), rule, taken) for source in sources]


def _check(inputs: Sequence[str], rule: OutputRule) -> None:
    """UsageError: -o and -d do not fit each other or the inputs, or a name cannot be what is meant by it."""
    output, directory = rule.output, rule.directory
    for name in (*inputs, output, directory):
        refuse_address(name)
    if output is not None and directory is not None:
        raise UsageError("-o and -d exclude each other")
    if directory is not None and STDIO in inputs:
        raise UsageError("standard input has no name for a file in -d; encode and decode give it one with -o")
    if directory is not None and os.path.exists(directory) and not os.path.isdir(directory):
        raise UsageError(f"-d {directory}: is not a folder")
    if output is not None:
        if len(inputs) > 1:
            raise UsageError("-o takes one input; for several use -d")
        if os.path.isdir(inputs[0]):
            raise UsageError(
                f"{inputs[0]}: is a folder, and -o is one file; -r takes the files in it, -d says where to"
            )
        if is_folder(output):
            raise UsageError(f"-o {output}: is a folder; use -d")
        if same_file(inputs[0], output):
            raise UsageError(f"{inputs[0]}: input and output are the same file")
        if rule.suffix in LTK and (suffix := _suffix(output)) in PICTURES:
            raise UsageError(f"-o {output}: what is written is an .ltk file, no {suffix}")
    elif directory is None and len(inputs) == 2 and _is_output(inputs[1], rule) and not _is_output(inputs[0], rule):
        raise UsageError(f"the output is named with -o: {inputs[0]} -o {inputs[1]}")


def is_folder(output: str) -> bool:
    """Whether the name of an output is a folder's: of one that exists, or by its end, as "new/" is."""
    return output != STDIO and (os.path.basename(output) in ("", os.curdir, os.pardir) or os.path.isdir(output))


def refuse_address(name: str | None) -> None:
    """UsageError: a name such as s3://bucket/pictures, which would be a folder "s3:"."""
    if name is not None and _ADDRESS.match(name) and not os.path.lexists(name):
        raise UsageError(f"{name}: is an address; ltokc reads and writes files and folders of this machine")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _is_output(name: str, rule: OutputRule) -> bool:
    """Whether a named input is rather an output, by its suffix."""
    return _suffix(name) in (LTK.suffixes if rule.suffix in LTK else (*PICTURES.suffixes, rule.suffix, ".npy"))


def _target(source: str, rule: OutputRule, root: str) -> str:
    """The output of an input; root: folder from which inputs are mirrored to -d."""
    if rule.output is not None:
        return rule.output
    if source == STDIO:
        return STDIO
    if rule.directory is not None:
        source = os.path.join(rule.directory, os.path.relpath(os.path.abspath(source), root))
    return renamed(source, rule)


def _job(source: Source, target: str, rule: OutputRule, taken: Taken) -> Job:
    """The job of one input; taken: the inputs and outputs of the run, to which this one's is added."""
    path = source.path
    job = Job(path, target, source.error, placement=_placement(source, rule))
    if source.error or target == STDIO:
        return job
    if same_file(path, target):
        return replace(job, error="input and output are the same file")
    if taken.is_input(target):
        return replace(job, error=f"{target} is an input, too")
    if (owner := taken.owner(target, path)) != path:
        keep = "; --keep-suffix keeps both" if rule.suffix in LTK and not rule.keep_suffix else ""
        return replace(job, error=f"{target} is already meant for {owner}{keep}")
    return _beside_others(job, rule)


def _placement(source: Source, rule: OutputRule) -> Placement:
    """Named outputs (-o) follow links; others follow none below the folder that was named."""
    within = None if rule.output is not None else source.root if rule.directory is None else rule.directory
    like = None if source.path == STDIO else source.path
    return Placement(rule.existing is Existing.REPLACE, within, like, rule.keep_times)


def _beside_others(job: Job, rule: OutputRule) -> Job:
    """The job as what lies at its output's place allows it."""
    within = job.placement.within
    exists = os.path.isfile(job.target) if within is None else os.path.lexists(job.target)
    if exists and rule.existing is Existing.SKIP:
        return replace(job, skip=f"{job.target} exists")
    if within is not None and (link := link_below(job.target, within)):
        return replace(job, error=f"{link} is a link, and only -o follows links")
    if exists and rule.existing is Existing.REFUSE:
        return replace(job, error=refusal(job.target, rule.advice))
    return job


def refusal(target: str, advice: str = "") -> str:
    """Why an output that exists is not replaced, and how it would be."""
    return f"{target} exists; --overwrite replaces it" + (f", {advice}" if advice else "")


def refuse_existing(target: str, overwrite: bool) -> None:
    """Exists: an output of this name is there, and is not to be replaced.  UsageError: the name is a folder's."""
    if is_folder(target):
        raise UsageError(f"{target}: is a folder, not a file")
    if target != STDIO and not overwrite and os.path.isfile(target):
        raise Exists(refusal(target))


def named_placement(target: str, overwrite: bool, like: str | None = None) -> Placement:
    """How the one output that a command names takes its place.

    Raises as `refuse_existing`, and LtokcError where it cannot be written, so that no work is done for nothing.
    """
    refuse_existing(target, overwrite)
    if target != STDIO and (why := why_unwritable(target)):
        raise LtokcError(f"{target}: cannot be written ({why})")
    return Placement(overwrite, like=None if like == STDIO else like)


def _common_root(folders: Sequence[str]) -> str:
    """The deepest folder that holds all these folders."""
    try:
        return os.path.commonpath([os.path.abspath(folder) for folder in folders])
    except ValueError as error:  # several drives
        raise UsageError("-d needs inputs that lie below one folder") from error

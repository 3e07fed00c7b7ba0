"""What `ltokc batch` does to each file: encode or decode it, with the options of these commands."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from ltokc.cli import decode as decoding
from ltokc.cli import encode as encoding
from ltokc.cli import options
from ltokc.jobs.conversion import Convert
from ltokc.jobs.kinds import LTK, PICTURES, Kind

WHERE = ("backend", "precision", "device")  # options about where and how fast; they shape an output only as rounding
# does, so that --resume does nothing again for them


@dataclass(frozen=True, slots=True)
class Direction:
    """A conversion, the kind of its inputs, the suffix of its outputs, and what shapes them (JSON, or their repr).

    `undone`: see `ltokc.jobs.paths.OutputRule`.
    `shaping` goes into the journal as a fingerprint: what changes it makes --resume do everything again.
    """

    convert: Convert
    takes: Kind
    suffix: str
    undone: tuple[str, ...]
    shaping: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Names of the options of `encode` and of `decode` that shape an output; `tokens` is in both."""

    encode: tuple[str, ...]
    decode: tuple[str, ...]


def borrow(batch: click.Command) -> Borrowed:
    """Gives `batch` the options of encode and decode that shape an output, so that they stay the same."""
    own = {p.name for p in batch.params} | {"output", "crop", "samples"}
    taken: list[click.Parameter] = []
    found = []
    for command in (encoding.encode, decoding.decode):
        params = [p for p in command.params if p.name not in own]
        taken += [copy.copy(p) for p in params if p.name not in {t.name for t in taken}]
        found.append(tuple(str(p.name) for p in params))
    for param in taken:
        if param.name == "format" and isinstance(param, click.Option):
            param.help = "Format of decoded pictures.  [default: png]"
        if param.name == "metadata" and isinstance(param, click.Option):
            param.help = (param.help or "").replace("[default: none]", "[default: none; with --decode all]")
    place = next(i for i, p in enumerate(batch.params) if p.name == "limit_pixels")
    batch.params[place:place] = taken
    return Borrowed(*found)


def encoder(chosen: dict[str, Any], borrowed: Borrowed, limit_pixels: int | None) -> Direction:
    """Pictures to .ltk files.  UsageError: `chosen` has options of decoding, or some that exclude each other."""
    from ltokc.zoo import registry

    _refuse([name for name in borrowed.decode if name not in borrowed.encode], "decoding, with --decode")
    how = encoding.keywords(**{k: v for k, v in chosen.items() if k in (*borrowed.encode, *WHERE)})
    convert = partial(encoding.encode_one, load=options.pixel_limit(limit_pixels), how=how)
    model = registry.find(how["model"])
    shaping = {"encode": _shape(how), "model": [model.id, model.files, model.quality]}
    return Direction(convert, PICTURES, ".ltk", (), shaping)


def decoder(chosen: dict[str, Any], borrowed: Borrowed, limit_pixels: int | None) -> Direction:
    """.ltk files to pictures.  UsageError: `chosen` has options of encoding."""
    from ltokc.zoo import registry

    _refuse([name for name in borrowed.encode if name not in borrowed.decode], "encoding, not for --decode")
    how = {k: v for k, v in chosen.items() if k in (*borrowed.decode, *WHERE)}
    kind = how.pop("format") or "png"
    how |= options.sampling(how.pop("decoder"), how.pop("seed"), how.pop("detail"))
    how = {name: value for name, value in how.items() if value is not None}
    convert = partial(decoding.decode_one, format=kind, how=how | options.pixel_limit(limit_pixels))
    models = [[model.id, model.files] for model in registry.registry()]
    shaping = {"decode": _shape(how), "format": kind, "models": models}
    return Direction(convert, LTK, f".{kind}", decoding.suffixes_of(kind), shaping)


UNASKED = (None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.ENVIRONMENT)


def _refuse(names: Sequence[str], verb: str) -> None:
    """UsageError: an option of the other direction was given."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) not in UNASKED:
            option = next(p for p in context.command.params if p.name == name)
            raise click.UsageError(f"{option.opts[-1]} is for {verb}")


def _shape(how: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in how.items() if name not in WHERE}

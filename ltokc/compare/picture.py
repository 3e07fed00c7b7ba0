"""One original and the files made of it, measured, with rivals searched to them: a `PictureComparison`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any, Unpack

from PIL import Image

from ltokc import codec
from ltokc.compare.codecs import Codec, make_codec
from ltokc.compare.options import VERSUS, CompareOptions, Settings
from ltokc.compare.records import CurvePoint, FileRecord, PictureComparison, Rival
from ltokc.compare.scores import METRICS, Lpips, Scorer
from ltokc.compare.search import compare_rival
from ltokc.compare.views import make_views
from ltokc.container import MAGIC
from ltokc.errors import FormatError, LtokcError, UsageError
from ltokc.jobs.rows import printable
from ltokc.metrics.fidelity import bits_per_pixel
from ltokc.pictures import load as imageio
from ltokc.pictures.save import on_white
from ltokc.tokenizer.generative import FAITHFUL, GENERATIVE

OURS = "ltokc"
CURVES: Mapping[str, Sequence[float]] = {  # few qualities, about the rates of ours: each costs a second a picture
    OURS: (0.2, 0.4, 0.6, 0.8, 1.0), "jpeg": (2, 6, 15, 35), "webp": (0, 1, 8, 30), "avif": (3, 15, 30, 48),
    "jxl": (20, 10, 5, 3),
}  # fmt: skip


BATCH: CompareOptions = {"versus": VERSUS, "curve": True}  # what `batch_rows` does without being told


def batch_rows(
    source: Any, data: bytes, *, name: str | None = None, quality: float | None = None,
    **options: Unpack[CompareOptions],
) -> PictureComparison:  # fmt: skip
    """A picture and the bytes of its .ltk file as one record for the report; takes and gives what can be pickled.

    source: its path, or what else `ltokc.pictures.load.load` takes; name: how the report calls it (default: the base
    name); quality: the -q that made the file, where known.  options: those of `compare_picture`, but the rivals are
    VERSUS and curves are measured unless they say otherwise.  Raises LtokcError; TypeError for an unknown option.
    """
    chosen: CompareOptions = {**BATCH, **options}
    return compare_picture(source, [(OURS, data, quality)], name=name, **chosen)


def compare_picture(
    source: Any, files: Sequence[tuple[str, bytes, float | None]], *, name: str | None = None,
    **options: Unpack[CompareOptions],
) -> PictureComparison:  # fmt: skip
    """Measures files against their original, and searches rivals to the bytes and the quality of the first one.

    source: the original, as `ltokc.pictures.load.load` takes it; files: (label, bytes, quality or None) each, .ltk or
    what Pillow reads, of the original's size; name: how the report calls it (default: the base name of the source).
    options: `versus=()`, `metric=None`, `lpips=None`, `curve=False`, `views=True`, `limit_pixels`, `how` and
    `generated=False`, each explained in `ltokc.compare.options.CompareOptions`.  Transparent pictures are compared on
    white.

    Raises FormatError, LimitError, ModelError, UsageError; TypeError for an unknown option.  Memory: about 25 bytes a
    pixel, and what rivals' encoders take.
    """
    settings = Settings(**options)
    metric = settings.metric
    if not files:
        raise UsageError("there is no file to compare")
    if metric is not None and metric not in METRICS:
        raise UsageError(f"no metric '{metric}': there are {', '.join(METRICS)}")
    picture = imageio.load(source, limit_pixels=settings.limit_pixels)
    original, notes = _on_white(picture), [*picture.losses, *picture.notes]
    clear = "transparent: compared on white"
    if picture.alpha is not None:
        notes.append(f"{clear}; the rivals carry no alpha, ours may")
    scorer = Scorer(original, _lpips(os.fspath(settings.lpips)) if settings.lpips is not None else None)
    metric = metric or scorer.best_metric()
    records, decoded = [], []
    for label, data, quality, decoder in _shown(files, settings.generated):
        image, transparent = _decoded(label, data, original.size, settings, decoder)
        decoded.append(image)
        if transparent and picture.alpha is None:
            notes.append(f"{label}: {clear}, and the original is not transparent")
        bpp = bits_per_pixel(len(data), *original.size)
        records.append(FileRecord(_codec_of(data), label, len(data), bpp, scorer.scores(image), quality, data=data))
    ours = records[0]
    wanted = ours.scores.get(metric)
    if settings.versus and wanted is None:
        raise UsageError(f"{metric} cannot be had: a package or weights are missing, or the picture is too small")
    rivals = [compare_rival(rival, original, scorer, ours.bytes, metric, wanted) for rival in settings.versus]
    points = _curve(original, scorer, ours, settings) if settings.curve else []
    shown = make_views(original, records, decoded, rivals) if settings.views else None
    if name is None:
        name = os.path.basename(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else "picture"
    return PictureComparison(
        printable(name), *original.size, tuple(map(_without_data, records)), tuple(map(_rival_without_data, rivals)),
        tuple(points), shown, tuple(notes),
    )  # fmt: skip


def _shown(
    files: Sequence[tuple[str, bytes, float | None]], generated: bool
) -> Iterator[tuple[str, bytes, float | None, str]]:
    """(label, bytes, quality, decoder) of what is measured: a .ltk file a second time, where it is to be generated."""
    for label, data, quality in files:
        yield label, data, quality, FAITHFUL
        if generated and data.startswith(MAGIC):
            yield f"{label}, generated", data, quality, GENERATIVE


@lru_cache(maxsize=1)
def _lpips(weights: str) -> Lpips:
    return Lpips(weights)


def _on_white(picture: imageio.Picture) -> Image.Image:
    image = Image.fromarray(picture.rgb)
    if picture.alpha is None:
        return image
    image.putalpha(Image.fromarray(picture.alpha))
    return on_white(image)


def _codec_of(data: bytes) -> str:
    return OURS if data.startswith(MAGIC) else ""


def _decoded(
    label: str, data: bytes, size: tuple[int, int], settings: Settings, decoder: str = FAITHFUL
) -> tuple[Image.Image, bool]:
    """The RGB picture in a file, and whether it is transparent.  Errors name the file."""
    try:
        if data.startswith(MAGIC):
            image = codec.decode(data, limit_pixels=settings.limit_pixels, decoder=decoder, **settings.networks)
            transparent, image = "A" in image.getbands(), on_white(image)
        else:
            found = imageio.load(BytesIO(data), limit_pixels=settings.limit_pixels)
            transparent, image = found.alpha is not None, _on_white(found)
        if image.size != size:
            raise FormatError(
                f"has {image.width}x{image.height} pixels and the original {size[0]}x{size[1]}: not the same picture"
            )
    except LtokcError as error:
        raise type(error)(f"{label}: {error}") from error
    return image, transparent


def _curve(original: Image.Image, scorer: Scorer, ours: FileRecord, settings: Settings) -> list[CurvePoint]:
    """Points of our codec's curve, where the first file is ours, and of the rivals'; that file is not made again."""
    points = []
    codecs: list[Codec] = []
    if ours.codec == OURS:
        codecs.append(make_codec(OURS, encode_options=settings.networks, decode_options=settings.networks))
    codecs += [make_codec(name) for name in settings.versus]
    for adapter in codecs:
        for quality in CURVES.get(adapter.name, adapter.curve):
            if (adapter.name, quality) == (ours.codec, ours.quality):
                points.append(CurvePoint(OURS, quality, ours.bytes, ours.bpp, ours.scores))
                continue
            data = adapter.encode(original, quality)
            scores = scorer.scores(adapter.decode(data))
            bpp = bits_per_pixel(len(data), *original.size)
            points.append(CurvePoint(adapter.name, quality, len(data), bpp, scores))
    return points


def _without_data(record: FileRecord) -> FileRecord:
    return replace(record, data=b"")


def _rival_without_data(rival: Rival) -> Rival:
    equal = rival.same_quality
    if equal.file is not None:
        equal = replace(equal, file=_without_data(equal.file))
    return replace(rival, same_bytes=_without_data(rival.same_bytes), same_quality=equal)

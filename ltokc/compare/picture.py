"""One original and the files made of it, measured, with rivals searched to them: a `PictureComparison`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any

from PIL import Image

from ltokc import codec
from ltokc.compare.codecs import Codec, make_codec
from ltokc.compare.records import CurvePoint, FileRecord, PictureComparison, Rival
from ltokc.compare.scores import METRICS, Lpips, Reference
from ltokc.compare.search import compare_rival
from ltokc.compare.views import make_views
from ltokc.container import DEFAULT_LIMIT_PIXELS, MAGIC
from ltokc.errors import FormatError, LtokcError, UsageError
from ltokc.metrics.fidelity import bits_per_pixel
from ltokc.pictures import load as imageio
from ltokc.pictures.save import on_white

VERSUS = ("jpeg", "webp", "avif")
OURS = "ltokc"
CURVES: Mapping[str, Sequence[float]] = {  # few qualities, about the rates of ours: each costs a second a picture
    OURS: (0.2, 0.4, 0.6, 0.8, 1.0), "jpeg": (2, 6, 15, 35), "webp": (0, 1, 8, 30), "avif": (3, 15, 30, 48),
    "jxl": (20, 10, 5, 3),
}  # fmt: skip


def batch_rows(
    source: Any, data: bytes, *, name: str | None = None, quality: float | None = None,
    versus: Sequence[str] = VERSUS, metric: str | None = None, lpips: str | os.PathLike[str] | None = None,
    curve: bool = True, views: bool = True, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    how: Mapping[str, Any] | None = None,
) -> PictureComparison:  # fmt: skip
    """A picture and the bytes of its .ltk file as one record for the report; takes and gives what can be pickled.

    source: its path, or what else `ltokc.pictures.load.load` takes; name: how the report calls it (default: the base
    name); quality: the -q that made the file, where known; the rest as in `compare_picture`.  Raises LtokcError.
    """
    files = [(OURS, data, quality)]
    return compare_picture(
        source, files, name=name, versus=versus, metric=metric, lpips=lpips, curve=curve, views=views,
        limit_pixels=limit_pixels, how=how,
    )  # fmt: skip


def compare_picture(
    source: Any, files: Sequence[tuple[str, bytes, float | None]], *, name: str | None = None,
    versus: Sequence[str] = (), metric: str | None = None, lpips: str | os.PathLike[str] | None = None,
    curve: bool = False, views: bool = True, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    how: Mapping[str, Any] | None = None,
) -> PictureComparison:  # fmt: skip
    """Measures files against their original, and searches rivals to the bytes and the quality of the first one.

    source: the original, as `ltokc.pictures.load.load` takes it; files: (label, bytes, quality or None) each, .ltk or
    what Pillow reads, of the original's size.  versus: names of `ltokc.compare.codecs`; metric: what quality is made
    equal by (None: SSIMULACRA2 where its package is, else MS-SSIM, else PSNR); lpips: weights of LPIPS (None: no
    LPIPS); curve: also measure our codec and the rivals at the qualities CURVES; views: keep pictures for the report;
    how: backend and device of our networks.  Transparent pictures are compared on white.

    Raises FormatError, LimitError, ModelError, UsageError.  Memory: about 350 bytes a pixel while SSIMULACRA2 runs.
    """
    if not files:
        raise UsageError("there is no file to compare")
    if metric is not None and metric not in METRICS:
        raise UsageError(f"no metric '{metric}': there are {', '.join(METRICS)}")
    picture = imageio.load(source, limit_pixels=limit_pixels)
    original, notes = _on_white(picture), list(picture.notes)
    if picture.alpha is not None:
        notes.append("transparent: compared on white; the rivals carry no alpha, ours may")
    reference = Reference(original, _lpips(os.fspath(lpips)) if lpips is not None else None)
    metric = metric or reference.best_metric()
    decoded = [_decoded(label, data, original.size, limit_pixels, how or {}) for label, data, _ in files]
    records = []
    for (label, data, quality), image in zip(files, decoded, strict=True):
        bpp = bits_per_pixel(len(data), *original.size)
        records.append(FileRecord(_codec_of(data), label, len(data), bpp, reference.scores(image), quality, data=data))
    ours = records[0]
    wanted = ours.scores.get(metric)
    if versus and wanted is None:
        raise UsageError(f"{metric} cannot be had: a package or weights are missing, or the picture is too small")
    rivals = [compare_rival(rival, original, reference, ours.bytes, metric, wanted) for rival in versus]
    points = _curve(original, reference, ours, versus, how or {}) if curve else []
    shown = make_views(original, records, decoded, rivals) if views else None
    if name is None:
        name = os.path.basename(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else "picture"
    return PictureComparison(
        printable(name), *original.size, tuple(map(_without_data, records)), tuple(map(_rival_without_data, rivals)),
        tuple(points), shown, tuple(notes),
    )  # fmt: skip


def printable(name: str) -> str:
    """A file's name as text that can be written anywhere: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


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
    label: str, data: bytes, size: tuple[int, int], limit_pixels: int | None, how: Mapping[str, Any]
) -> Image.Image:
    """The RGB picture in a file.  Errors name the file."""
    try:
        if data.startswith(MAGIC):
            image = codec.decode(data, limit_pixels=limit_pixels, **how)
            image = on_white(image) if image.mode == "RGBA" else image
        else:
            image = _on_white(imageio.load(BytesIO(data), limit_pixels=limit_pixels))
        if image.size != size:
            raise FormatError(
                f"has {image.width}x{image.height} pixels and the original {size[0]}x{size[1]}: not the same picture"
            )
    except LtokcError as error:
        raise type(error)(f"{label}: {error}") from error
    return image


def _curve(
    original: Image.Image, reference: Reference, ours: FileRecord, versus: Sequence[str], how: Mapping[str, Any]
) -> list[CurvePoint]:
    points = []
    codecs: list[Codec] = []
    if ours.codec == OURS:
        codecs.append(make_codec(OURS, encode_options=dict(how), decode_options=dict(how)))
    codecs += [make_codec(name) for name in versus]
    for adapter in codecs:
        for quality in CURVES.get(adapter.name, adapter.curve):
            if (adapter.name, quality) == (ours.codec, ours.quality):
                points.append(CurvePoint(OURS, quality, ours.bytes, ours.bpp, ours.scores))
                continue
            data = adapter.encode(original, quality)
            scores = reference.scores(adapter.decode(data))
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

"""encode, decode, info, trim, tokens, verify: the one place where the parts of the codec meet.

numpy, Pillow and the runtimes are imported by the verbs that need them, so that `info` starts at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ltokc import container
from ltokc.container import DEFAULT_LIMIT_PIXELS, Chunk, Header, Ltk, Segment, segment_boxes
from ltokc.errors import FormatError, ModelError, UsageError
from ltokc.threads import Progress, Steps, in_parallel
from ltokc.zoo import registry

if TYPE_CHECKING:
    from PIL.Image import Image

    from ltokc.entropy.segment import SegmentWriter, TokenArrays
    from ltokc.pictures.load import Picture
    from ltokc.rate.effort import Studio
    from ltokc.rate.plan import Plan
    from ltokc.tokenizer.halting import Outlook
    from ltokc.tokenizer.regions import Needed
    from ltokc.zoo.model import Model

Box = tuple[int, int, int, int]
DEFAULT_QUALITY = 0.6
DEFAULT_EFFORT = 1
HIGHEST_EFFORT = 4
ONE_SEGMENT_CELLS = 1024  # pictures of up to so many cells (2048x2048 px) are one segment; larger ones are cut up
SEGMENT_CELLS = 16  # side of a segment then
SIZE_ROUNDS = 4  # plans tried for a wanted size
REFINED_ROUNDS = 2  # where digits are chosen anew, which changes what they take
SPARE = 0.03  # of its bits, that a plan may have too many: they are cut off
METADATA_CHUNKS = {"exif": container.EXIF, "icc": container.ICC, "xmp": container.XMP}


@dataclass(frozen=True, slots=True)
class Info:
    """What a file says of itself, read without decoding it.

    `tokens` of `tokens_total` possible (None: the model is not here) are in the file; `chunks`: (FourCC, bytes) each.
    """

    version: int
    model: str | None
    model_id: int
    width: int
    height: int
    segments: int
    tokens: int
    tokens_total: int | None
    depth_map: bool
    bytes: int
    bpp: float
    chunks: list[tuple[str, int]]
    truncated: bool
    gray: bool


def encode(
    image: Any, quality: float | None = None, *, tokens: int | None = None, target_size: int | None = None,
    target_bpp: float | None = None, strict: bool = False, model: str | int | None = None, metadata: Iterable[str] = (),
    alpha: str = "keep", backend: str = "auto", device: str = "auto", effort: int = DEFAULT_EFFORT,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS, progress: Progress | None = None,
) -> bytes:  # fmt: skip
    """Encodes a picture as the bytes of an .ltk file.

    image: a path, file object, PIL image, uint8 array (H, W, 3) or what else `ltokc.pictures.load.load` takes. One rate
    control at a time: quality 0..1 (default 0.6), tokens, target_size in bytes, target_bpp in bits per pixel of the
    whole file; a target is met from below.  Where even the smallest file is larger than the target, that file is
    returned, or with `strict` UsageError raised. metadata: which of "exif", "icc", "xmp" to keep; alpha: "keep", "drop"
    or "blend" (with white). effort: 0 to 4, see `ltokc.rate.effort`; above 1 torch is needed.  progress: called with
    (steps done, steps in all) on the way; what it raises ends the work.  Raises FormatError, LimitError, ModelError,
    UsageError.
    """
    from ltokc.pictures import load as imageio
    from ltokc.rate.control import Wish, allocate, foresee
    from ltokc.rate.effort import need, refined
    from ltokc.zoo.model import open_model

    rates = {"quality": quality, "tokens": tokens, "target_size": target_size, "target_bpp": target_bpp}
    given = [name for name, value in rates.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"one rate control at a time, not {' and '.join(given)}")
    if quality is not None and not 0 <= quality <= 1:
        raise UsageError(f"quality is 0 to 1, not {quality:g}")
    if effort not in range(HIGHEST_EFFORT + 1):
        raise UsageError(f"effort is 0 to {HIGHEST_EFFORT}, not {effort!r}")
    need(effort)
    picture = image if isinstance(image, imageio.Picture) else imageio.load(image, limit_pixels=limit_pixels)
    opened = open_model(model)
    chunks = _side_chunks(picture, metadata, alpha)
    rgb = _blended(picture) if alpha == "blend" and picture.alpha is not None else picture.rgb
    height, width = rgb.shape[:2]
    segment_cells = 0 if _cells(height) * _cells(width) <= ONE_SEGMENT_CELLS else SEGMENT_CELLS
    boxes = segment_boxes(width, height, segment_cells)
    header = Header(opened.entry.id, opened.entry.bitstream_hash, width, height, segment_cells)
    ltk = Ltk(header, ()).with_chunks(chunks)
    if target_bpp is not None:
        target_size = int(target_bpp * width * height / 8)
    if not given:
        quality = DEFAULT_QUALITY
    studio, steps = _tokenized(opened, rgb, len(boxes), backend, device, effort, progress)
    if target_size is not None:
        return _sized(ltk, studio, boxes, target_size, strict, effort, device)
    wish = Wish(quality=quality, tokens=tokens)
    outlook = foresee(studio, wish, effort)
    plan = allocate(studio, wish, effort, outlook)
    writers = _writers(refined(studio, plan, outlook, effort, device), plan, boxes)
    return _written(ltk, writers, _counts(writers, plan, tokens), steps)


def decode(
    data: bytes, *, tokens: int | None = None, crop: Box | None = None, allow_truncated: bool = False,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS, backend: str = "auto", device: str = "auto",
    decoder: str = "faithful", reduce: int = 1, progress: Progress | None = None,
) -> Image:  # fmt: skip
    """Decodes an .ltk file to a PIL image, RGB, RGBA, L or LA, with the metadata it carries in `info`.

    tokens: use no more than so many; crop: (left, top, width, height) of the region wanted, in pixels: only the
    segments that it depends on are read, and the limit counts its pixels; allow_truncated: take what is there of a file
    that was cut; reduce: 1, 2, 4 or 8: a picture of 1/reduce of the size (rounded up), for which the finest levels are
    left out; progress: called with (steps done, steps in all) on the way; what it raises ends the work.
    Raises FormatError, LimitError, ModelError, UsageError.
    """
    from PIL import Image

    from ltokc.container.composition import compose
    from ltokc.tokenizer import regions
    from ltokc.tokenizer import windows as tiling

    if decoder != "faithful":
        raise ModelError(f"decoder {decoder!r} is not in this model")
    header = container.read_header(data)
    box = regions.checked(crop, header.width, header.height)
    if crop is not None and not header.alpha:
        container.check_pixels(box[2], box[3], limit_pixels)
        limit_pixels = None
    container.check_pixels(header.width, header.height, limit_pixels)
    try:
        model = _model_of(header)
    except ModelError:
        container.read(data, allow_truncated=allow_truncated, limit_pixels=None)  # damage explains it, if there is any
        raise
    needed = regions.needed(header, [v.stride for v in model.levels], model.reach, box)
    ltk = container.read(data, allow_truncated=allow_truncated, limit_pixels=None, only=needed.levels)
    steps = Steps(progress, len(needed.levels) + len(tiling.decoder_windows(model.reach, ltk.height, ltk.width, box)))
    arrays = _read_tokens(model, ltk, tokens, needed, steps, _levels_for(reduce, len(model.levels)))
    image = Image.new("RGB", box[2:])
    for left, top, part in tiling.parts_of(
        model.runtime(backend, device), model.levels, model.reach, arrays.digits, arrays.masks, ltk.height, ltk.width,
        box=box, origin=needed.origin,
    ):  # fmt: skip
        image.paste(Image.fromarray(part), (left - box[0], top - box[1]))
        steps.advance()
    image = compose(image, ltk, box)
    if reduce > 1:
        image = image.reduce(reduce)
    image.info.update(metadata_of(ltk))
    return image


def metadata_of(ltk: Ltk) -> dict[str, bytes]:
    """What a file carries, under the names of Pillow: "exif", "xmp", "icc_profile".

    A profile is handed on where it describes the pixels, which are sRGB: another encoder may have kept the source's.
    """
    from ltokc.pictures.srgb import describes_srgb

    found = {chunk.fourcc: chunk.data for chunk in ltk.chunks}
    names = {"exif": container.EXIF, "xmp": container.XMP, "icc_profile": container.ICC}
    out = {name: found[fourcc] for name, fourcc in names.items() if fourcc in found}
    if "icc_profile" in out and not describes_srgb(out["icc_profile"]):
        del out["icc_profile"]
    return out


def info(data: bytes) -> Info:
    """Reads header, segment table and chunks.  Raises FormatError; a file that was cut is described as such."""
    ltk = container.read(data, allow_truncated=True, limit_pixels=None)
    try:
        entry = registry.find(ltk.model_id)
        name: str | None = entry.name
        total: int | None = _tokens_total(entry, ltk)
    except ModelError:
        name = total = None
    return Info(
        ltk.version, name, ltk.model_id, ltk.width, ltk.height, len(ltk.segments), sum(s.tokens for s in ltk.segments),
        total, any(s.depth_map for s in ltk.segments), len(data), 8 * len(data) / (ltk.width * ltk.height),
        [(c.fourcc.decode("latin-1"), len(c.data)) for c in ltk.chunks], ltk.truncated, ltk.header.gray,
    )  # fmt: skip


def trim(
    data: bytes, *, tokens: int | None = None, target_size: int | None = None,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
) -> bytes:  # fmt: skip
    """Cuts a file to its first tokens or to so many bytes, without touching pixels; a smaller file comes back as it is.

    Raises FormatError, ModelError, and UsageError if not even the empty picture and the chunks fit the size.
    """
    if (tokens is None) == (target_size is None):
        raise UsageError("trim needs either tokens or a target size")
    ltk = container.read(data, limit_pixels=limit_pixels)
    if (target_size is not None and len(data) <= target_size) or (
        tokens is not None and sum(s.tokens for s in ltk.segments) <= tokens
    ):
        return data
    writers = _writers_of(_model_of(ltk), ltk)
    if target_size is not None:
        return _fitted(ltk, writers, target_size, strict=True)
    return _written(ltk, writers, _share(writers, max(0, tokens or 0)))


def tokens(
    data: bytes, *, allow_truncated: bool = False, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS
) -> TokenArrays:
    """The tokens themselves: per level digits int8 (rows, columns, d) and masks.  Raises FormatError, ModelError."""
    ltk = container.read(data, allow_truncated=allow_truncated, limit_pixels=limit_pixels)
    return _read_tokens(_model_of(ltk), ltk, None)


def verify(data: bytes, *, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS) -> None:
    """Raises FormatError unless checksums hold, the tokens give the same bytes again, and alpha is readable."""
    from ltokc.container.composition import check_pictures

    ltk = container.read(data, limit_pixels=limit_pixels)
    writers = _writers_of(_model_of(ltk), ltk)
    if _written(ltk, writers, [s.tokens for s in ltk.segments]) != data:
        raise FormatError("the stream is not the one its tokens have")
    check_pictures(ltk)


# -- pieces ----------------------------------------------------------------------------------------------------------
def _side_chunks(picture: Picture, metadata: Iterable[str], alpha: str) -> tuple[Chunk, ...]:
    from ltokc.container.alpha import encode_alpha

    if alpha not in ("keep", "drop", "blend"):
        raise UsageError(f"alpha is keep, drop or blend, not {alpha!r}")
    chunks = []
    if picture.alpha is not None and alpha == "keep":
        chunks.append(Chunk(container.ALPHA, encode_alpha(picture.alpha)))
    for kind in metadata:
        if kind not in METADATA_CHUNKS:
            raise UsageError(f"metadata is exif, icc or xmp, not {kind!r}")
        if kind in picture.metadata:
            chunks.append(Chunk(METADATA_CHUNKS[kind], picture.metadata[kind]))
    return tuple(chunks)


def _blended(picture: Picture) -> Any:
    """On white; some rows at a time, so that the wider numbers stay small."""
    import numpy as np

    assert picture.alpha is not None
    out = np.empty_like(picture.rgb)
    for top in range(0, len(out), 256):
        rows = slice(top, top + 256)
        a = picture.alpha[rows, :, None].astype(np.uint16)
        out[rows] = (picture.rgb[rows] * a + 255 * (255 - a) + 127) // 255
    return out


def _cells(length: int) -> int:
    return -(-length // container.CELL)


def _tokenized(
    model: Model, rgb: Any, segments: int, backend: str, device: str, effort: int, progress: Progress | None
) -> tuple[Studio, Steps]:
    """Every token of the picture; the steps still to come are the segments' and the decodes that the effort takes."""
    from ltokc.entropy.segment import full_masks
    from ltokc.rate.control import decodes
    from ltokc.rate.effort import Studio, descents
    from ltokc.tokenizer import windows as tiling

    height, width = rgb.shape[:2]
    windows = len(tiling.tokenizer_windows(model.reach, height, width))
    steps = Steps(progress, windows + segments + decodes(effort) + descents(effort, _cells(height), _cells(width)))
    masks = full_masks(model.levels, _cells(height), _cells(width))
    runtime = model.runtime(backend, device)
    digits = tiling.tokenize(runtime, model.levels, model.reach, rgb, masks, lambda *_: steps.advance())
    return Studio(model, runtime, rgb, digits, steps.advance), steps


def _writers(studio: Studio, plan: Plan, boxes: list[Box]) -> list[SegmentWriter]:
    """One writer per segment, of the tokens that the plan's depths keep."""
    from ltokc.entropy.segment import SegmentWriter, full_masks

    model, lean = studio.model, len(boxes) > 1  # one segment is small enough to keep its counts
    if plan.keep is not None:
        return [SegmentWriter(model.prior, _cut_out(model, studio.digits, box), lean=lean) for box in boxes]
    rows, columns = plan.depths.shape
    masks = full_masks(model.levels, rows, columns, plan.depths)
    digits = [grid * mask[..., None] for grid, mask in zip(studio.digits, masks, strict=True)]
    out = []
    for x, y, columns, rows in boxes:
        depths = plan.depths[y : y + rows, x : x + columns]
        parts = _cut_out(model, digits, (x, y, columns, rows))
        out.append(SegmentWriter(model.prior, parts, depths, lean=lean))
    return out


def _counts(writers: list[SegmentWriter], plan: Plan, tokens: int | None) -> list[int]:
    """Tokens of every segment that a plan, and at most so many tokens, leave."""
    if tokens is not None:
        return _share(writers, max(0, tokens))
    if plan.keep is not None:
        return _at_keep(writers, plan.keep)
    left_out = plan.left_out if len(writers) == 1 else 0
    return [max(0, writer.total - left_out) for writer in writers]


def _cut_out(model: Model, grids: list, box: tuple[int, int, int, int]) -> list:
    """The part of per-level grids that belongs to a segment, whose box is (left, top, columns, rows) in cells."""
    x, y, columns, rows = box
    out = []
    for grid, level in zip(grids, model.levels, strict=True):
        scale = container.CELL // level.stride
        out.append(grid[y * scale : (y + rows) * scale, x * scale : (x + columns) * scale])
    return out


def _at_keep(writers: list[SegmentWriter], keep: float) -> list[int]:
    return [writer.tokens_at(keep) for writer in writers]


def _share(writers: list[SegmentWriter], tokens: int) -> list[int]:
    """Gives every segment its share of so many tokens, all down to the same level; never more than that in sum."""
    if len(writers) == 1:
        return [min(tokens, writers[0].total)]
    low, high = 0.0, float(len(writers[0].masks))
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(_at_keep(writers, middle)) <= tokens else (low, middle)
    return _at_keep(writers, high if sum(_at_keep(writers, high)) <= tokens else low)


def _written(ltk: Ltk, writers: list[SegmentWriter], counts: list[int], steps: Steps | None = None) -> bytes:
    counts = [min(count, writer.total) for writer, count in zip(writers, counts, strict=True)]
    cells = max(rows * columns for rows, columns in (writer.grid for writer in writers))
    streams = in_parallel(lambda i: writers[i].stream(counts[i]), range(len(writers)), cells, steps)
    segments = [
        Segment(count, writer.depths is not None, stream)
        for writer, count, stream in zip(writers, counts, streams, strict=True)
    ]
    return container.write(replace(ltk, segments=tuple(segments)))


def _sized(
    ltk: Ltk, studio: Studio, boxes: list[Box], size: int, strict: bool, effort: int, device: str
) -> bytes:  # fmt: skip
    """The file of at most `size` bytes that is expected to look best: a plan for a little more, cut to fit."""
    from ltokc.rate.control import Wish, foresee
    from ltokc.rate.effort import leaner, refined

    outlook = foresee(studio, Wish(bits=8.0 * max(size - _fixed(ltk, boxes), 1)), effort)
    share, best = leaner(effort), b""
    for _ in range(REFINED_ROUNDS if share < 1 else 1):
        plan, writers, planned = _plan_for_size(ltk, studio, boxes, int(size / share), effort, outlook)
        better = refined(studio, plan, outlook, effort, device)
        if better is not studio:
            writers = _writers(better, plan, boxes)
        data = _fitted(ltk, writers, size, strict)
        best = max(best, data, key=len)
        if len(data) >= size * (1 - SPARE / 2) or plan.keep == len(studio.model.levels):
            break
        share = len(data) / planned
    return best


def _fixed(ltk: Ltk, boxes: list[Box]) -> int:
    """About the bytes of a file that are no tokens."""
    return 24 + 8 * len(boxes) + sum(len(chunk.data) + 12 for chunk in ltk.chunks)


def _plan_for_size(
    ltk: Ltk, studio: Studio, boxes: list[Box], size: int, effort: int, outlook: Outlook | None
) -> tuple[Plan, list[SegmentWriter], float]:  # fmt: skip
    """The plan that takes at least, and hardly more than, `size` bytes, the writers of its tokens, and its bytes."""
    from ltokc.rate.control import Wish, allocate
    from ltokc.rate.plan import alike

    bits = 8.0 * max(size - _fixed(ltk, boxes), 1)
    best, least = None, math.inf  # of the plans that fill the size the one with the fewest bytes to cut off
    for _ in range(SIZE_ROUNDS):
        plan = allocate(studio, Wish(bits=bits), effort, outlook)
        writers = _writers(studio, plan, boxes)
        empty = len(_written(ltk, writers, [0] * len(writers)))
        if empty > size and plan.keep is None:  # no room for a depth map
            break
        ratio = (empty + sum(writer.bits(writer.total) for writer in writers) / 8) / size
        if 1 <= ratio < least:
            best, least = (plan, writers, ratio * size), ratio
        if 1 <= ratio <= 1 + SPARE or (plan.keep is not None and ratio >= 1) or plan.keep == len(studio.model.levels):
            break
        bits *= (1 + SPARE / 2) / ratio
    if best is None:
        plan = alike(len(studio.model.levels), plan.depths.shape)
        best = plan, _writers(studio, plan, boxes), float(size)
    return best


def _fitted(ltk: Ltk, writers: list[SegmentWriter], size: int, strict: bool) -> bytes:
    """The file with the most tokens that is no larger than `size` bytes."""
    empty = _written(ltk, writers, [0] * len(writers))
    if len(empty) > size:
        if strict:
            raise UsageError(f"the smallest file of this picture has {len(empty)} bytes, more than {size}")
        return empty
    total = sum(writer.total for writer in writers)
    low, high = 0, total  # most tokens whose estimated size fits
    budget = size - len(empty)
    while low < high:
        middle = (low + high + 1) // 2
        counts = _share(writers, middle)
        low, high = (middle, high) if _estimate(writers, counts) <= budget else (low, middle - 1)
    best, step = empty, 1
    while True:  # the estimate is good to a few bytes: go down until the file fits
        data = _written(ltk, writers, _share(writers, low))
        if len(data) <= size:
            return max(best, data, key=len)
        low, step = max(0, low - step), step * 2


def _estimate(writers: list[SegmentWriter], counts: list[int]) -> float:
    """Bytes that the streams add to an empty file, lengths in the table of segments included."""
    cells = max(rows * columns for rows, columns in (writer.grid for writer in writers))
    bits = in_parallel(lambda i: writers[i].bits(counts[i]), range(len(writers)), cells)
    if len(writers) == 1:
        return bits[0] / 8
    grown = sum(_varint_growth(2 * n) + _varint_growth(int(b / 8) + 3) for n, b in zip(counts, bits, strict=True))
    return sum(bits) / 8 + len(writers) + grown


def _varint_growth(value: int) -> int:
    """Bytes of a varint beyond the first."""
    return max(0, (value.bit_length() - 1) // 7)


def _model_of(ltk: Ltk | Header) -> Model:
    from ltokc.zoo.model import open_model

    model = open_model(ltk.model_id)
    if model.entry.bitstream_hash != ltk.weights_hash:
        raise ModelError(
            f"the file was made with other weights of model {model.entry.name} "
            f"({ltk.weights_hash:04x}, here {model.entry.bitstream_hash:04x})"
        )
    return model


def _levels_for(reduce: int, levels: int) -> int:
    """Levels that a smaller picture needs: of 11 levels all but 1, 3, 4 for 1/2, 1/4, 1/8.

    Measured on Kodak at full quality: the smaller picture is within 36 dB of the one made with all levels.
    """
    if reduce not in (1, 2, 4, 8):
        raise UsageError(f"reduce is 1, 2, 4 or 8, not {reduce}")
    return max(1, levels - round(levels * (reduce.bit_length() - 1) / 8))


def _read_tokens(
    model: Model,
    ltk: Ltk,
    limit: int | None,
    needed: Needed | None = None,
    steps: Steps | None = None,
    stop: int | None = None,
) -> TokenArrays:
    """The tokens of the segments that are needed, None for all; the grids begin at `needed.origin`.

    No level from `stop` on is read.
    """
    import numpy as np

    from ltokc.entropy.segment import TokenArrays, full_masks, read_segment
    from ltokc.tokenizer import regions

    needed = needed or regions.everything(ltk, len(model.levels))
    masks = [np.zeros_like(mask) for mask in full_masks(model.levels, *needed.grid)]
    digits = [np.zeros((*mask.shape, level.digits), np.int8) for mask, level in zip(masks, model.levels, strict=True)]
    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    total = max(1, sum(segment.tokens for segment in ltk.segments))

    def read(i: int) -> None:
        segment, (left, top, columns, rows) = ltk.segments[i], boxes[i]
        part = None if limit is None else limit if len(boxes) == 1 else segment.tokens * limit // total
        wanted = needed.levels[i] if stop is None else min(stop, needed.levels[i])
        found = read_segment(
            model.prior, segment.stream, segment.tokens, rows, columns,
            depth_map=segment.depth_map, cut=ltk.truncated, limit=part, levels=wanted,
        )  # fmt: skip
        for k, level in enumerate(model.levels):
            for grid, values in ((digits[k], found[0][k]), (masks[k], found[1][k])):
                regions.put(grid, values, (top, left), needed.origin, container.CELL // level.stride)

    cells = max(columns * rows for _, _, columns, rows in boxes)
    in_parallel(read, sorted(needed.levels), cells, steps)
    return TokenArrays(digits, masks, tuple(v.stride for v in model.levels), tuple(v.size for v in model.levels))


def _writers_of(model: Model, ltk: Ltk) -> list[SegmentWriter]:
    """Writers over the tokens of an existing file."""
    from ltokc.entropy.segment import reopen

    boxes = segment_boxes(ltk.width, ltk.height, ltk.segment_cells)
    return [
        reopen(model.prior, segment.stream, segment.tokens, rows, columns, depth_map=segment.depth_map)
        for segment, (_, _, columns, rows) in zip(ltk.segments, boxes, strict=True)
    ]


def _tokens_total(entry: registry.ModelEntry, ltk: Ltk) -> int:
    from ltokc.zoo.weights import read_config

    cells = _cells(ltk.height) * _cells(ltk.width)
    config = read_config(registry.folder(entry) / "model.safetensors")
    return sum(cells * (container.CELL // level["stride"]) ** 2 for level in config["levels"])

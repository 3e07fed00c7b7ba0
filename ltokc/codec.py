"""encode, decode, info, trim, tokens, verify: what each verb does, step by step.

What is heavy is imported by the verbs that need it, so that `info` starts at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ltokc import container
from ltokc.arguments import whole
from ltokc.container import DEFAULT_LIMIT_PIXELS, Data, Header, Ltk
from ltokc.errors import FormatError, Say, UsageError, warn_of_loss
from ltokc.geometry import Size, checked_crop
from ltokc.rate.defaults import DEFAULT_EFFORT
from ltokc.threads import Progress, Steps
from ltokc.zoo.summary import Info, summarize

if TYPE_CHECKING:
    from PIL.Image import Image

    from ltokc.token_grid import Tokens


def encode(
    image: Any, quality: float | None = None, *, tokens: int | None = None, target_size: int | None = None,
    target_bpp: float | None = None, strict: bool = False, model: str | int | None = None,
    metadata: str | Iterable[str] = (), alpha: str = "keep", backend: str = "auto", device: str = "auto",
    precision: str = "auto", effort: int = DEFAULT_EFFORT, patches: str = "auto",
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS,
    value_range: tuple[float, float] | None = None, frame: int | None = None, allow_damaged: bool = False,
    progress: Progress | None = None, say: Say = warn_of_loss,
) -> bytes:  # fmt: skip
    """Encodes a picture as the bytes of an .ltk file.

    image: a path, file object, PIL image, uint8 array (H, W, 3) or what else `ltokc.pictures.load.load` takes; frame:
    which one of several in it, from 1; allow_damaged: take what can be read of a damaged one.
    One rate control at a time: quality 0..1 (default 0.6), tokens, target_size in bytes, target_bpp in bits per pixel
    of the whole file. A target is met from below, alpha and metadata give way (UsageError: not even alpha fits); where
    even the smallest file is larger, it is returned (`strict`: UsageError). metadata: "all", "none" or which of
    `ltokc.pictures.options.METADATA_KINDS` to keep; alpha: "keep", "drop" or "blend" (with white). say: called with
    each thing that is not kept as it was; by default these are LossWarnings. effort: 0 to 4, see `ltokc.rate.effort`;
    above 2 torch is needed. patches: "auto" or "off" (tokens alone), see `ltokc.rate.patches`. value_range: of floats,
    see `load`. backend, device, precision: see `ltokc.tokenizer.runtime.open_runtime`. progress: gets (steps done, in
    all); what it raises ends it. Raises FormatError, LimitError, ModelError, UsageError.
    """
    from ltokc.pictures.load import load
    from ltokc.rate.effort import effort_of
    from ltokc.rate.target import RateTarget
    from ltokc.zoo.model import open_model

    container.check_limit(limit_pixels)
    rates = {"quality": quality, "tokens": tokens, "target_size": target_size, "target_bpp": target_bpp}
    RateTarget.check(strict=strict, **rates)
    effort_ = effort_of(effort)
    effort_.require()
    picture = load(image, limit_pixels=limit_pixels, value_range=value_range, frame=frame, allow_damaged=allow_damaged)
    opened, size = open_model(model), Size.of(picture.rgb)
    networks = opened.networks(backend, device, precision=precision)
    networks.prepare(size, size.box, effort_.graphs)
    from ltokc.pictures.chunks import chunks_of, is_gray, pixels_of, tell_of_shape  # these take a while too, meanwhile
    from ltokc.rate.room import filled, with_room
    from ltokc.rate.tokenized import tokenized
    from ltokc.rate.written import Writing, check_patches, of_quality, of_size

    cells = opened.tiling.segment_cells(size)
    patched = check_patches(patches, size, cells)
    chunks = chunks_of(picture, metadata, alpha, say)
    rgb = pixels_of(picture, alpha)
    target = RateTarget.of(size, strict=strict, **rates)
    ltk = Ltk(Header(opened.entry.id, opened.entry.bitstream_hash, *size, cells, is_gray(rgb)), ()).with_chunks(chunks)
    ltk = ltk if target.size is None else with_room(ltk, picture.alpha, target.size, say)
    tell_of_shape(picture, ltk, say)
    effort_ = effort_.of_picture(size, opened.rounding is not None)
    how = Writing(tokenized(opened, networks, rgb, effort_, target, progress), effort_, device, patched)
    data = of_quality(ltk, target, how) if target.size is None else of_size(ltk, target, how, say)
    how.picture.steps.finish()
    return data if target.size is None else filled(data, picture.alpha, target.size)


def decode(
    data: Data, *, tokens: int | None = None, crop: Sequence[int] | None = None, allow_truncated: bool = False,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS, backend: str = "auto", device: str = "auto",
    precision: str = "auto", decoder: str = "faithful", seed: int = 0, detail: float = 1.0, reduce: int = 1,
    metadata: str | Iterable[str] = "all", progress: Progress | None = None, say: Say = warn_of_loss,
) -> Image:  # fmt: skip
    """Decodes an .ltk file to a PIL image, RGB or gray, with or without alpha, with the metadata it carries in `info`.

    tokens: use no more than so many; crop: (left, top, width, height) of the region wanted in pixels, of which only the
    segments are read and the limit counts the pixels; allow_truncated: take what is there of a file that was cut;
    reduce: 1, 2, 4 or 8, for a picture of 1/reduce of the size (rounded up) without the finest levels; metadata,
    progress, say: as of `encode`.  decoder: "faithful" (the expected picture, also "auto") or "generative" (a sample of
    the pictures that the tokens allow: seed, 0 to 2**32 - 1, says which; detail, 0 to 1: how much it adds to the
    faithful one).  Raises FormatError, LimitError, ModelError, UsageError.
    """
    from ltokc.container.hidden import hide_tokens
    from ltokc.tokenizer.generative import sampling_of
    from ltokc.tokenizer.regions import levels_for_reduced, needed
    from ltokc.zoo.model import model_of

    if tokens is not None:
        whole("tokens", tokens, 0)
    sampling = sampling_of(decoder, seed, detail)
    header = container.read_header(data)
    size = Size(header.width, header.height)
    box = checked_crop(crop, size)
    limit = limit_pixels
    if crop is not None and not header.alpha:
        container.check_pixels(box.width, box.height, limit_pixels)
        limit_pixels = None
    container.check_pixels(*size, limit_pixels)
    model = model_of(header, data, allow_truncated)
    part = needed(header, model.field_of(sampling), box)
    ltk = container.read(data, allow_truncated=allow_truncated, limit_pixels=None, only=part.levels)
    container.check_density(ltk, limit, part.levels)
    part = part.up_to(levels_for_reduced(reduce, len(model.levels)))
    networks = model.networks(backend, device, sampling, precision)
    hidden, found = hide_tokens(ltk, box), None
    if not hidden:
        networks.prepare(size, box)
    from PIL import Image  # this takes a while too, meanwhile

    from ltokc.entropy.file import read_tokens, told_of_cut
    from ltokc.pictures.chunks import compose, metadata_of
    from ltokc.pictures.metadata import generated_xmp

    steps = Steps(progress, len(part.levels) + len(networks.decoder_windows(size, box)))
    image = Image.new("RGB", (box.width, box.height))
    if not hidden:
        found = read_tokens(model.prior, ltk, part, limit=tokens, steps=steps)
        for left, top, pixels in networks.parts(found, size, box):
            image.paste(Image.fromarray(pixels), (left - box.left, top - box.top))
            steps.advance()
    if ltk.truncated:
        say(told_of_cut(ltk, found, part, tokens))
    image = compose(image, ltk, box)
    image = image.reduce(reduce) if reduce > 1 else image
    image.info.update(metadata_of(ltk, metadata))
    if sampling and not hidden:
        image.info["xmp"] = generated_xmp(image.info.get("xmp", b""))
    return image


def info(data: Data) -> Info:
    """Reads header, segment table and chunks.  Raises FormatError; a file that was cut is described as such."""
    return summarize(container.read(data, allow_truncated=True, limit_pixels=None), memoryview(data).nbytes)


def trim(
    data: Data, *, tokens: int | None = None, target_size: int | None = None,
    limit_pixels: int | None = DEFAULT_LIMIT_PIXELS, say: Say = warn_of_loss,
) -> bytes:  # fmt: skip
    """Cuts a file to its first tokens or to so many bytes, without touching pixels; a smaller file comes back as it is.

    A size makes metadata and alpha give way as in `encode`, then patches.  Raises FormatError, ModelError, UsageError.
    """
    from ltokc.entropy.file import FileWriter
    from ltokc.rate.size import cut_to
    from ltokc.rate.target import RateTarget
    from ltokc.zoo.model import model_of

    if (tokens is None) == (target_size is None):
        raise UsageError("trim needs either tokens or a target size")
    RateTarget.check(tokens=tokens, target_size=target_size)
    ltk = container.read(data, limit_pixels=limit_pixels)
    container.check_density(ltk, limit_pixels)
    held = sum(segment.tokens for segment in ltk.segments)
    if memoryview(data).nbytes <= target_size if target_size is not None else held <= (tokens or 0):
        return bytes(data)
    file = FileWriter.reopen(model_of(ltk).prior, ltk)
    if target_size is not None:
        return cut_to(ltk, file, target_size, say)
    return file.write(ltk, file.share(tokens or 0))


def tokens(data: Data, *, allow_truncated: bool = False, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS) -> Tokens:
    """The tokens themselves: per level digits int8 (rows, columns, d) and masks.  Raises FormatError, ModelError."""
    from ltokc.entropy.file import read_tokens
    from ltokc.zoo.model import model_of

    ltk = container.read(data, allow_truncated=allow_truncated, limit_pixels=limit_pixels)
    container.check_density(ltk, limit_pixels)
    return read_tokens(model_of(ltk).prior, ltk)


def verify(data: Data, *, limit_pixels: int | None = DEFAULT_LIMIT_PIXELS) -> None:
    """Raises FormatError unless checksums hold, the tokens give the same bytes again, and pictures in chunks decode."""
    from ltokc.entropy.file import FileWriter
    from ltokc.pictures.chunks import check_pictures
    from ltokc.zoo.model import model_of

    ltk = container.read(data, limit_pixels=limit_pixels)
    container.check_density(ltk, limit_pixels)
    file = FileWriter.reopen(model_of(ltk).prior, ltk)
    if file.write(ltk, [s.tokens for s in ltk.segments]) != bytes(data):
        raise FormatError("the stream is not the one its tokens have")
    check_pictures(ltk)

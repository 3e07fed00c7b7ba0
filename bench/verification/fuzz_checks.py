"""What every file, however damaged, has to stand: a result or an error of the codec, and results that agree."""

from __future__ import annotations

import random
from typing import Any

from ltokc import codec, container
from ltokc.container import alpha, patches
from ltokc.entropy import colour
from ltokc.errors import FormatError, LimitError, ModelError

LIMIT_PIXELS = 1 << 18  # 512x512: what the files may ask for, so that many cases fit into a campaign
PICTURES = (container.ALPHA, container.PATCHES, container.COLOUR)  # chunks that may be damaged inside
Outcome = str


class Contradiction(Exception):
    """Two results of one file that cannot both be right."""


def attempt(verb: Any, *arguments: Any, **options: Any) -> tuple[Any, Outcome]:
    """The result or None, and "ok" or the kind of the error.  Anything but the codec's errors goes through."""
    try:
        return verb(*arguments, **options), "ok"
    except (FormatError, LimitError, ModelError) as error:
        text = str(error)
        if not text or "\n" in text or len(text) > 300:
            raise Contradiction(f"no error for one line: {text!r}") from error
        return None, next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "ltokc.errors")


def check(data: bytes, rng: random.Random) -> Outcome:
    """Runs the verbs, the costly ones on a share of the files, and compares what they say.

    Returns how far the file got: the error of the container, of the tokens, or "decoded".
    """
    record, read = attempt(container.read, data, limit_pixels=LIMIT_PIXELS)
    if record is not None and container.write(record) != data:
        raise Contradiction("the container has a second spelling")
    loose, _ = attempt(container.read, data, allow_truncated=True, limit_pixels=LIMIT_PIXELS)
    if record is not None and loose != record:
        raise Contradiction("a whole file is read in another way when it may be cut")
    if rng.random() < 0.02:
        about, said = attempt(codec.info, data)
        if loose is not None and (about is None or about.width != loose.width):
            raise Contradiction(f"info differs: {said}")
    if record is None:
        if loose is not None and rng.random() < 0.5:
            _, said = attempt(codec.tokens, data, allow_truncated=True, limit_pixels=LIMIT_PIXELS)
            return f"cut: {said}"
        return f"container: {read}"
    tokens, said = attempt(codec.tokens, data, limit_pixels=LIMIT_PIXELS)
    if tokens is None:
        return f"tokens: {said}"
    if tokens.count != sum(segment.tokens for segment in record.segments):
        raise Contradiction("another number of tokens than the file says")
    deep(data, record, tokens, rng)
    return "decoded"


def deep(data: bytes, record: container.Ltk, tokens: Any, rng: random.Random) -> None:
    """What a file whose tokens can be read has to stand."""
    if rng.random() < 0.1:
        again, _ = attempt(codec.tokens, data, allow_truncated=True, limit_pixels=LIMIT_PIXELS)
        if again is None or again.sha256() != tokens.sha256():
            raise Contradiction("other tokens when the file may be cut")
    if rng.random() < 0.1:
        attempt(codec.verify, data, limit_pixels=LIMIT_PIXELS)
    if rng.random() < 0.05 and tokens.count:
        wanted = rng.randrange(tokens.count)
        shorter, said = attempt(codec.trim, data, tokens=wanted, limit_pixels=LIMIT_PIXELS)
        if shorter is None:
            raise Contradiction(f"cannot be trimmed: {said}")
        part = codec.tokens(shorter, limit_pixels=LIMIT_PIXELS)
        if part.count > wanted or any(
            (held & ~mask).any() or (digits != whole * held[..., None]).any()
            for held, mask, digits, whole in zip(part.masks, tokens.masks, part.digits, tokens.digits, strict=True)
        ):
            raise Contradiction("trimmed to tokens that are not the first")
    if rng.random() < 0.02:
        image, said = attempt(codec.decode, data, limit_pixels=LIMIT_PIXELS, backend="onnx", device="cpu")
        if image is not None and image.size != (record.width, record.height):
            raise Contradiction("a picture of another size")
        if image is not None and (image.mode in ("L", "LA")) != record.header.gray:
            raise Contradiction("gray is coloured, or colour is gray")
        if image is None and not any(chunk.fourcc in PICTURES for chunk in record.chunks):
            raise Contradiction(f"tokens but no picture: {said}")
    else:
        inside(record)


def inside(record: container.Ltk) -> None:
    """The pictures that chunks hold, as a decode comes to them."""
    header = record.header
    for chunk in record.chunks:
        if chunk.fourcc == container.ALPHA:
            attempt(alpha.decode_alpha, chunk.data, header.width, header.height)
        elif chunk.fourcc == container.COLOUR:
            attempt(colour.decode, chunk.data, header)
        elif chunk.fourcc == container.PATCHES:
            patch = patches.parse(chunk.data, header)  # the container has taken it
            if patches.spell(patch) != chunk.data:
                raise Contradiction("patches have a second spelling")
            attempt(patches.decode, patch, header)


def cut_everywhere(data: bytes) -> int:
    """Every length of a file without and with leave to read a cut one; returns the number of lengths."""
    whole, before, header_done = codec.tokens(data), -1, False
    for length in range(len(data)):
        part = data[:length]
        if attempt(codec.tokens, part)[1] not in ("FormatError", "TruncatedError"):
            raise Contradiction(f"{length} of {len(data)} bytes are taken for a whole file")
        tokens, said = attempt(codec.tokens, part, allow_truncated=True)
        if tokens is None:
            if header_done or said != "FormatError":
                raise Contradiction(f"{length} of {len(data)} bytes: {said}")
            continue
        header_done = True
        if tokens.count < before or any(
            (held & ~mask).any() or (digits != all_ * held[..., None]).any()
            for held, mask, digits, all_ in zip(tokens.masks, whole.masks, tokens.digits, whole.digits, strict=True)
        ):
            raise Contradiction(f"{length} of {len(data)} bytes: not the first tokens, or fewer than before")
        before = tokens.count
    return len(data)

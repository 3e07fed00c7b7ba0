"""From a tokenized picture to the bytes of its file: plan, patches, search for digits, streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from ltokc.container import patches as laid
from ltokc.container.chunks import PATCHES
from ltokc.container.hidden import patches_of
from ltokc.container.reader import read
from ltokc.container.records import Ltk
from ltokc.entropy.file import FileWriter, read_tokens
from ltokc.entropy.prior import Prior
from ltokc.errors import Say, UsageError
from ltokc.geometry import CELL, Size
from ltokc.metrics.colour import SIDE
from ltokc.metrics.ssimulacra2 import Reference, points
from ltokc.rate.colour.grid import with_grid
from ltokc.rate.control import choose_plan, predict_curves
from ltokc.rate.curves import RDCurves
from ltokc.rate.defaults import PATCH_MODES
from ltokc.rate.effort import PLAIN, Effort
from ltokc.rate.patches import dense, high
from ltokc.rate.patches import plan as patched
from ltokc.rate.patches.choice import errors_of
from ltokc.rate.patches.drawn import drawing_of
from ltokc.rate.plan import error_of_quality
from ltokc.rate.size import SPARE, all_there_is, counts_of, fitted, sized, writer_of
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import TokenizedPicture

STEPS = (0.3, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72, 0.78, 0.84, 0.9, 0.94, 0.97, 1.0)  # qualities tried for a size


def check_patches(patches: str, size: Size, segment_cells: int) -> bool:
    """Whether patches, "auto" or "off", may be used for a picture in such segments.  Raises UsageError."""
    if patches not in PATCH_MODES:
        raise UsageError(f"patches are auto or off, not {patches!r}")
    return patches == "auto" and patched.available(size, segment_cells)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a picture becomes a file: by an effort, on a device, with patches or without."""

    picture: TokenizedPicture
    effort: Effort
    device: str
    patches: bool


def of_quality(ltk: Ltk, target: RateTarget, how: Writing) -> bytes:
    """The file of a wanted quality, or of so many tokens, which has no patches.

    ltk: its header and chunks.
    """
    picture, effort = how.picture, how.effort
    quality = target.quality if how.patches else None
    plain = quality is not None and patched.is_plain(picture, quality)
    if quality is not None and (plain or quality > high.STARTS):
        found = (patched.alone if plain else patched.whole)(picture, ltk, effort.number, quality)
        file = writer_of(picture, found.plan, ltk)
        return file.write(found.added_to(ltk), counts_of(file, found.plan), picture.steps)
    curves = predict_curves(picture, target, effort)
    if quality is not None and curves is not None:
        data = _partly_drawn(ltk, target, quality, curves, how)
        if data is not None:
            return data
    return _of_tokens(ltk, target, curves, how)


def _partly_drawn(ltk: Ltk, target: RateTarget, quality: float, curves: RDCurves, how: Writing) -> bytes | None:
    """The file of a picture with a drawn part that patches show; None: it has none, or tokens show it as well."""
    picture, effort = how.picture, how.effort
    drawing = patched.drawn_part(picture.rgb) if picture.measurable else None
    if drawing is None:
        return None
    coder = patched.coder_of(picture, ltk, effort.number, drawing)
    found = patched.part(picture, coder, curves, lambda curves: choose_plan(picture, target, effort, curves), quality)
    if found is None:
        return None
    data = _with_patches(found.added_to(ltk), found, curves, how)
    if not effort.measures:
        return data
    whole = bool(laid.covered_cells(found.patches, ltk.header).all())
    shown = coder.shown(found.patches, picture.rgb) if whole else _shown(data, picture)
    short = _look(quality, picture) - Reference(picture.rgb).score(shown)
    return _smaller(data, ltk, quality, dense.most_bytes_beside(quality, short, len(data), whole), how)


def _of_tokens(ltk: Ltk, target: RateTarget, curves: RDCurves | None, how: Writing) -> bytes:
    """The file of tokens, or where patches may be, one whose picture is a patch, if these do not show it well."""
    picture, effort, looks = how.picture, how.effort, how.picture.model.entry.looks
    plan = choose_plan(picture, target, effort, curves)
    error = error_of_quality(target.quality, looks) if looks and target.quality not in (None, 1) else None
    refined = picture.refined(plan, curves, effort, how.device, error)
    plan = refined.plan or plan
    file = writer_of(refined, plan, ltk)
    data = file.write(with_grid(ltk, refined.means), counts_of(file, plan, target.tokens), picture.steps)
    if target.quality is None or curves is None or not how.patches or not (picture.measurable and effort.measures):
        return data
    seen = curves.error_of(plan.depths) if refined.error is None else refined.error / effort.error_left
    short = _expected_lack(target.quality, seen, how)
    most = dense.most_bytes(target.quality, short, len(data), picture.rgb)
    return _smaller(data, ltk, target.quality, most, how)


def _look(quality: float, picture: TokenizedPicture) -> float:
    """Points of SSIMULACRA2 that a quality asks for."""
    return points(error_of_quality(quality, picture.model.entry.looks))


def _expected_lack(quality: float, error: float | None, how: Writing) -> float:
    """Points that tokens lack for a quality, given the error that was measured before digits were searched.

    Negative: they have more; 0 where nothing was measured, or the quality is below those of the model's table.
    """
    if error is None or quality < how.picture.model.entry.looks[0][0]:
        return 0.0
    return _look(quality, how.picture) - points(error * how.effort.error_left)


def _smaller(data: bytes, ltk: Ltk, quality: float, most: float, how: Writing) -> bytes:
    """A file with tokens, or one of at most `most` bytes whose picture is a patch with the look of a quality."""
    picture, effort = how.picture, how.effort
    if not most:
        return data
    found = dense.instead(picture, ltk, effort.number, quality, _look(quality, picture), most)
    if found is None:
        return data
    file = writer_of(picture, found.plan, ltk)
    other = file.write(found.added_to(ltk), counts_of(file, found.plan))
    return other if len(other) <= most else data


def _with_patches(ltk: Ltk, better: patched.Patched, curves: RDCurves, how: Writing) -> bytes:
    """The file of tokens that are planned beside patches; what these hide is neither searched for nor corrected."""
    cells, found = laid.covered_cells(better.patches, ltk.header), how.picture
    if not cells.all():
        found = found.refined(better.plan, curves, how.effort, how.device)
    means = found.means
    if means is not None:
        hidden = cells.repeat(CELL // SIDE, 0).repeat(CELL // SIDE, 1)[..., None]
        means = replace(means, decoded=np.where(hidden, means.original, means.decoded))
    file = writer_of(found, better.plan, ltk)
    return file.write(with_grid(ltk, means), counts_of(file, better.plan), found.steps)


def of_size(ltk: Ltk, target: RateTarget, how: Writing, say: Say) -> bytes:
    """The file of at most `target.size` bytes that looks best, of tokens alone or with patches.

    Patches are tried for pictures with a drawn part, and where all tokens do not fill the size.
    """
    picture, effort, device, patches = how.picture, how.effort, how.device, how.patches
    size = target.size
    assert size is not None

    def by_quality(how: Writing) -> Callable[[float], bytes]:
        return lambda quality: of_quality(ltk, RateTarget(quality=quality), how)

    if patches and patched.is_plain(picture, STEPS[-1]):
        plain = _largest(STEPS, size, picture.model.prior, by_quality(how))
        if plain is not None:
            if plain.last and len(plain.data) < size * (1 - SPARE):
                say(all_there_is(len(plain.data), size))
            return plain.data
    said: list[str] = []
    data = sized(ltk, picture, target, effort, device, said.append)
    better: _Largest | None = None
    share = 1.0
    if patches and picture.measurable and len(data) <= size:
        if patched.drawn_part(picture.rgb) is not None:
            quick = how if effort.number <= 1 else replace(how, effort=PLAIN)
            better = _largest(STEPS, size, picture.model.prior, by_quality(quick))
        elif len(data) < size * (1 - SPARE):
            better = _filled(ltk, picture, effort, size)
        elif effort.measures and dense.worth_trying(size, picture.rgb):
            better, share = _filled(ltk, picture, effort, size), dense.LESS
    if better is not None and _error(better.data, picture) < share * _error(data, picture):
        if better.last and len(better.data) < size * (1 - SPARE):
            say(all_there_is(len(better.data), size))
        return better.data
    for each in said:
        say(each)
    return data


@dataclass(frozen=True, slots=True)
class _Largest:
    """A file, and whether there is none beyond it."""

    data: bytes
    last: bool


def _largest(steps: Sequence[float], size: int, prior: Prior, made: Callable[[float], bytes]) -> _Largest | None:
    """The file of the highest step that has at most `size` bytes, and patches; None: there is none.

    What is a little larger gives up tokens that patches hide.
    """
    best, low, high_ = None, 0, len(steps) - 1
    while low <= high_:
        middle = (low + high_) // 2
        data = _without_hidden(made(steps[middle]), size, prior)
        if len(data) <= size:
            best, low = data, middle + 1
        else:
            high_ = middle - 1
    return _Largest(best, low == len(steps)) if best is not None and _has_patches(best) else None


def _filled(ltk: Ltk, picture: TokenizedPicture, effort: Effort, size: int) -> _Largest | None:
    """The best file of at most `size` bytes whose patches show the whole picture."""
    coder = patched.coder_of(picture, ltk, effort.number, drawing_of(picture.rgb))

    def made(quality: float) -> bytes:
        found = patched.whole_at(picture, coder, int(quality))
        file = writer_of(picture, found.plan, ltk)
        return file.write(found.added_to(ltk), counts_of(file, found.plan))

    return _largest(range(101), size, picture.model.prior, made)


def _without_hidden(data: bytes, size: int, prior: Prior) -> bytes:
    """A file of at most `size` bytes that looks the same, where a preview below patches over all of it has so many."""
    ltk = read(data, limit_pixels=None)
    if not size < len(data) <= size + sum(len(segment.stream) for segment in ltk.segments):
        return data
    hidden = laid.covered_cells(patches_of(ltk), ltk.header).all()
    return fitted(ltk, FileWriter.reopen(prior, ltk), size, strict=False) if hidden else data


def _has_patches(data: bytes) -> bool:
    return any(chunk.fourcc == PATCHES for chunk in read(data, limit_pixels=None).chunks)


def _error(data: bytes, picture: TokenizedPicture) -> float:
    """The mean error of the cells of a file as it is shown, alpha aside."""
    return float(errors_of(picture.rgb, _shown(data, picture)).mean())


def _shown(data: bytes, picture: TokenizedPicture) -> npt.NDArray[np.uint8]:
    """What a file shows of a picture (H, W, 3), colour grid and alpha aside."""
    ltk = read(data, limit_pixels=None)
    shown = np.empty_like(picture.rgb)
    for left, top, part in picture.networks.parts(read_tokens(picture.model.prior, ltk), picture.size):
        shown[top : top + part.shape[0], left : left + part.shape[1]] = part
    image = Image.fromarray(shown)
    for chunk in ltk.chunks:
        if chunk.fourcc == PATCHES:
            laid.lay_over(image, laid.parse(chunk.data, ltk.header), ltk.header, picture.size.box)
    return np.asarray(image)

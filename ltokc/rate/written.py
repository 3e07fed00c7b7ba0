"""From a tokenized picture to the bytes of its file: plan, patches, search for digits, streams."""

from __future__ import annotations

from ltokc.container.records import Ltk
from ltokc.errors import UsageError
from ltokc.rate.control import choose_plan, predict_curves
from ltokc.rate.effort import Effort
from ltokc.rate.patches import high
from ltokc.rate.patches import plan as patched
from ltokc.rate.size import counts_of, writer_of
from ltokc.rate.target import RateTarget
from ltokc.rate.tokenized import TokenizedPicture

PATCHES = ("auto", "off")


def check_patches(patches: str) -> bool:
    """Whether patches may be used: "auto" or "off".  Raises UsageError."""
    if patches not in PATCHES:
        raise UsageError(f"patches are auto or off, not {patches!r}")
    return patches == "auto" and patched.available()


def of_quality(
    ltk: Ltk, picture: TokenizedPicture, target: RateTarget, effort: Effort, device: str, patches: bool
) -> bytes:
    """The file of a wanted quality, or of so many tokens, which has no patches.

    ltk: its header and chunks; patches: whether there may be any.
    """
    quality = target.quality if patches else None
    if quality is not None and quality > high.STARTS:
        found = patched.whole(picture, ltk, effort.number, quality)
        file = writer_of(picture, found.plan, ltk)
        return file.write(found.added_to(ltk), counts_of(file, found.plan), picture.steps)
    curves = predict_curves(picture, target, effort)
    plan = choose_plan(picture, target, effort, curves)
    drawing = patched.drawn_part(picture.rgb) if quality is not None and picture.measurable else None
    if drawing is not None and curves is not None and quality is not None:
        coder = patched.coder_of(picture, ltk, effort.number, drawing)
        better = patched.part(
            picture, coder, drawing, curves, lambda curves: choose_plan(picture, target, effort, curves), quality
        )
        if better is not None:
            plan, ltk = better.plan, better.added_to(ltk)
    file = writer_of(picture.refined(plan, curves, effort, device), plan, ltk)
    return file.write(ltk, counts_of(file, plan, target.tokens), picture.steps)

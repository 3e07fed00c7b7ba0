"""The exceptions of ltokc.  A user sees them as one line: `ltokc: photo.png: reason`.  And what is said of losses."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

OWN = ("ltokc", "PIL")  # packages whose lines no warning is about
Say = Callable[[str], None]  # tells what of a picture is not kept as it was


class LtokcError(Exception):
    """Anything that ltokc raises on purpose."""


class FormatError(LtokcError):
    """The bytes are no valid .ltk file, or no readable picture."""


class TruncatedError(FormatError):
    """An .ltk file was cut, and `allow_truncated` shows what there is of it."""


class LimitError(LtokcError):
    """The file asks for more than the limits allow (`docs` of the command: --limit-pixels)."""


class ModelError(LtokcError):
    """A model is unknown, missing or damaged, or its runtime is not installed."""


class Unwritable(LtokcError):
    """Nothing more can be written, so that further work would be for nothing: a disk is full, for example."""


class UsageError(LtokcError):
    """The caller's arguments do not fit together."""


class LossWarning(UserWarning):
    """Something of a picture is not kept as it was, or a target is not met."""


def warn_of_loss(told: str) -> None:
    """A LossWarning at the line that called the verb, however deep in ltokc, or in Pillow's `save`, it is said."""
    level, frame = 2, sys._getframe(1)
    while frame.f_globals.get("__name__", "").partition(".")[0] in OWN and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(told, LossWarning, stacklevel=level)


def one_line(error: BaseException) -> str:
    """What went wrong in one line of at most 200 characters; the kind of error where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Numbers that callers give, checked in one way: the command line's own checks hold for Python too."""

from __future__ import annotations

import math
import operator
from typing import Any

from ltokc.errors import UsageError

HIGHEST = 1 << 53  # what a float still holds: numbers beyond that mean no more


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number of a range.  Raises UsageError, also for True, for 2.0 and for what is no number."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        bounds = f"from {least}" if most is None else f"from {least} to {most}"
        raise UsageError(f"{name} is a whole number {bounds}, not {shown(value)}")
    return number


def number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """A finite number from `least` to `most`.  Raises UsageError, also for True, NaN and what is no number."""
    found = real(value)
    if found is None or not least <= found <= most:
        bounds = f"{least:g} to {most:g}" if most < math.inf else f"finite and not below {least:g}"
        raise UsageError(f"{name} is {bounds}, not {shown(value)}")
    return found


def above_zero(name: str, value: Any) -> float:
    """A finite number above 0.  Raises UsageError."""
    found = real(value)
    if found is None or found <= 0:
        raise UsageError(f"{name} is a number above 0, not {shown(value)}")
    return found


def real(value: Any) -> float | None:
    """A finite number as float; None for anything else, texts of numbers too."""
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def check_callable(name: str, value: Any) -> None:
    """Raises UsageError unless a value can be called."""
    if not callable(value):
        raise UsageError(f"{name} is a function, not {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message: one that is long, or has no text, is cut short."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of very many digits
        return "one of so many digits"
    return text if len(text) <= 40 else text[:37] + "..."

"""What the library says in terms of its arguments, in those of the command line's options."""

from __future__ import annotations

import re

_ARGUMENT = re.compile(r'\b(allow_damaged|limit_pixels|frame|metadata|device)=(True|None|"\w+"|\w+)|\((limit_pixels)\)')
_VALUES = {"True": "", "None": " 0"}


def as_options(text: str) -> str:
    """allow_damaged=True becomes --allow-damaged, metadata="dpi" --metadata dpi, limit_pixels=None --limit-pixels 0."""
    return _ARGUMENT.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    if found[3]:
        return f"(--{found[3].replace('_', '-')})"
    return f"--{found[1].replace('_', '-')}{_VALUES.get(found[2], ' ' + found[2].strip(chr(34)))}"

"""Whose picture an output holds: names repeat, as those of cameras do, so journals know the folder of a source too.

It is known by a hash, since a journal may be handed on with the outputs, and where a picture lay is nobody's business.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from ltokc.jobs import journal
from ltokc.jobs.journal import Entry


def origin_of(source: str) -> str:
    """A hash of the folder that a source lies in, by its full name: 64 bits, hexadecimal."""
    folder = os.path.dirname(os.path.abspath(source))
    return hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()


def is_of_another(makers: Iterable[Entry], source: str) -> bool:
    """Whether an output that these entries are of was made of another picture than `source`, which may have its name.

    A picture that changed where it lies is the same one, and so is one that lies elsewhere with the same bytes, and one
    of which an earlier version did not note where it lay.
    """
    makers = list(makers)
    if not makers or any(entry.origin in ("", origin_of(source)) for entry in makers):
        return False
    try:
        found = journal.digest(source)
    except OSError:
        return True
    return all(entry.digest != found for entry in makers)
